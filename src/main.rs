//! The program: parses arguments, runs a command, chooses the exit code.

fn main() {}
