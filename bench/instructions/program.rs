//! The program under valgrind: built, started, driven, stopped, and the tools that it depends on.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};

use crate::batched::Classifier;
use crate::callgrind::{self, Profile};
use crate::gate::Tools;
use crate::traffic::{Exchange, PATIENCE, Pace};

/// Builds the released program, whatever profile this bench itself was built with; returns where it is.
pub(crate) fn build() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--bin", "tidegate"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    // Profiles lie side by side in the target folder: this is the place for any of them.
    let of_profile = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().and_then(Path::parent);
    let program = of_profile.expect("a target folder").join("release/tidegate");
    match built.success() && program.exists() {
        true => Ok(program),
        false => Err(format!("`cargo build --release` ({built}) left no {}", program.display())),
    }
}

/// The tools on which figures depend.
pub(crate) fn tools() -> Result<Tools, String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    Ok(Tools {
        rustc: first_line(&rustc, "--version")?,
        valgrind: first_line("valgrind", "--version")?,
        libc: first_line("getconf", "GNU_LIBC_VERSION")?,
        simd: simd().to_owned(),
    })
}

fn first_line(program: &str, argument: &str) -> Result<String, String> {
    let said = Command::new(program).arg(argument).output().map_err(|e| cannot_run(program, &e))?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    text.lines().next().map(str::to_owned).ok_or_else(|| format!("`{program} {argument}` says nothing"))
}

fn cannot_run(program: &str, e: &std::io::Error) -> String {
    let help = match (program, e.kind()) {
        ("valgrind", ErrorKind::NotFound) => " (`make install-valgrind` installs it)",
        _ => "",
    };
    format!("cannot run {program}: {e}{help}")
}

/// The vector instructions that libc and httparse choose by at run time. Valgrind shows its guest no others than the
/// host's, and none beyond AVX2. Without AVX2 libc takes 0.4 % more of an exchange, without any httparse 1.4 % less.
fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        match () {
            () if std::arch::is_x86_feature_detected!("avx2") => "avx2",
            () if std::arch::is_x86_feature_detected!("sse4.2") => "sse4.2",
            () => "sse2",
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        "of the architecture"
    }
}

/// Runs `program` for this many exchanges; returns what its reactor's thread executed.
pub(crate) fn run(program: &Path, exchange: Exchange, exchanges: u32) -> Result<Profile, String> {
    let folder = tempfile::tempdir().map_err(|e| format!("cannot make a folder: {e}"))?;
    let classifier = (exchange == Exchange::Batched).then(Classifier::listen).transpose()?;
    let proxy = Running::start(program, exchange, classifier.as_ref(), folder.path())?;
    match &classifier {
        Some(classifier) => classifier.drive(proxy.address, &proxy.pace, exchanges)?,
        None => exchange.drive(proxy.address, &proxy.pace, exchanges)?,
    }
    proxy.stop()?;
    let path = folder.path().join("callgrind-01");
    let text =
        std::fs::read_to_string(&path).map_err(|e| format!("valgrind left no {}: {e}", path.display()))?;
    callgrind::parse(&text)
}

/// The proxy under valgrind; killed if it is not stopped.
struct Running {
    valgrind: Child,
    address: SocketAddr,
    pace: Pace,
    lines: Receiver<String>,
}

impl Running {
    fn start(
        program: &Path,
        exchange: Exchange,
        classifier: Option<&Classifier>,
        folder: &Path,
    ) -> Result<Running, String> {
        let pace = Pace::default();
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "-q", "--separate-threads=yes", "--callgrind-out-file=callgrind"])
            .arg(program)
            .args([
                "proxy",
                "--listen=127.0.0.1:0",
                "--csv=rows.csv",
                "--connections",
                exchange.connections(),
            ])
            .args((0..3).map(|_| format!("--backend=http://{}", exchange.backend(pace.clone()))))
            .args(classifier.map(|classifier| format!("--classifier=http://{}", classifier.address())))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDEGATE_")) {
            command.env_remove(name);
        }
        let mut valgrind = command.spawn().map_err(|e| cannot_run("valgrind", &e))?;
        let lines = lines_of(valgrind.stderr.take().expect("its stderr"));
        pace.follow(valgrind.id());
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut running = Running { valgrind, address: unknown, pace, lines };
        running.address = running.listening()?;
        Ok(running)
    }

    /// Waits for the line that tells where the proxy listens.
    fn listening(&self) -> Result<SocketAddr, String> {
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            if let Some((_, address)) = line.split_once("the proxy listens on ") {
                return address.parse().map_err(|_| format!("not an address: {line}"));
            }
            said.push(line);
        }
        Err(format!("the proxy did not start under valgrind; it said:\n{}", said.join("\n")))
    }

    /// Stops the proxy; valgrind writes its counts then.
    fn stop(mut self) -> Result<(), String> {
        let pid = Pid::from_raw(self.valgrind.id().cast_signed()).expect("a process");
        kill_process(pid, Signal::TERM).map_err(|e| format!("cannot stop the proxy: {e}"))?;
        // The end of its words is its own.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        let status = self.valgrind.wait().map_err(|e| format!("cannot wait for the proxy: {e}"))?;
        if status.success() { Ok(()) } else { Err(format!("the proxy failed under valgrind: {status}")) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.valgrind.kill();
        let _ = self.valgrind.wait();
    }
}

fn lines_of(stderr: ChildStderr) -> Receiver<String> {
    let (said, lines) = channel();
    std::thread::spawn(move || {
        // Reads to the end even when nobody listens any more, so that the program never waits to be heard.
        BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| drop(said.send(line)));
    });
    lines
}
