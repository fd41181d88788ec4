//! What clients cost that are connected and say nothing.
//!
//! Here: opening them, asking the memory that the proxy holds, and seeing that all are served again. Not here: starting proxies
//! (`contenders.rs`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use socket2::SockRef;

use super::contenders::{Backend, Contender, Mode};
use super::machine::resident_kib;
use super::{SCENARIOS, wrk};

/// How many there are at first, of every proxy.
const FEW: usize = 5_000;

/// Descriptors of this process that are for other things.
const OTHERS: usize = 100;

/// Prints what each proxy holds without clients, with some and with as many as it takes.
pub(crate) fn compare(backend: &Backend, folder: &Path, descriptors: u64) -> Result<(), String> {
    println!("| proxy | clients | resident without, MiB | with, MiB | each, KiB | served again |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for contender in Contender::ALL {
        let most = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(OTHERS);
        let proxy = contender.start(Mode::Persistent, backend, folder)?;
        proxy.check()?;
        // What comes with traffic, however few clients make it, is not for those who are silent.
        wrk::run(&SCENARIOS[0], proxy.address, 1, folder)?;
        let without = resident_kib(proxy.id())?;
        let mut clients = Vec::new();
        for target in [FEW, contender.idle_clients()].map(|wanted| wanted.min(most)) {
            while clients.len() < target {
                clients.push(
                    Idle::connect(proxy.address).map_err(|e| format!("client {}: {e}", clients.len() + 1))?,
                );
            }
            let with = resident_kib(proxy.id())?;
            let served = clients.iter_mut().filter_map(|client| client.ask().ok()).count();
            println!(
                "| {} | {target} | {:.1} | {:.1} | {:.2} | {served} |",
                contender.name(),
                without as f64 / 1024.0,
                with as f64 / 1024.0,
                (with as f64 - without as f64) / target as f64
            );
        }
    }
    Ok(())
}

/// A client between requests.
struct Idle(TcpStream);

impl Idle {
    /// Connects and is served once.
    fn connect(proxy: SocketAddr) -> std::io::Result<Idle> {
        let stream = TcpStream::connect(proxy)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        // Thousands of them would keep their ports for a minute otherwise.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        let mut client = Idle(stream);
        client.ask()?;
        Ok(client)
    }

    fn ask(&mut self) -> std::io::Result<()> {
        self.0.write_all(b"GET /tiny HTTP/1.1\r\nHost: t\r\n\r\n")?;
        let (mut answer, mut block) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(b"hello, world\n") {
            match self.0.read(&mut block)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => answer.extend_from_slice(&block[..n]),
            }
        }
        Ok(())
    }
}
