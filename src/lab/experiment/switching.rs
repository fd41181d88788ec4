//! Switching the proxy's strategy while it runs.
//!
//! Here: the request that does it. Not here: when (`live.rs`). Floor 4.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{ExperimentError, cannot};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has the proxy at `address` use another strategy.
pub(super) fn switch(address: SocketAddr, name: &str) -> Result<(), ExperimentError> {
    let what = || format!("switch the strategy to {name}");
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = "Host: proxy\r\nConnection: close\r\nContent-Length: 0\r\n";
        write!(stream, "POST /strategy?new_strategy={name} HTTP/1.1\r\n{head}\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(cannot(what()))?;
    match answer.starts_with("HTTP/1.1 200 ") {
        true => Ok(()),
        false => {
            let first = answer.lines().next().unwrap_or("no answer").to_owned();
            Err(cannot(what())(io::Error::other(first)))
        }
    }
}
