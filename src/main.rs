//! The program: parses arguments, runs a command, chooses the exit code.

fn main() -> std::process::ExitCode {
    tidegate::cli::main()
}
