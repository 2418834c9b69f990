//! `pgweir health`: the health check of a container, which has no other program to ask with.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/readyz`; prints why when it is not ready.
pub(crate) fn health(address: &str) -> ExitCode {
    match ready(address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => ExitCode::SUCCESS,
        Ok(answer) => {
            let body = answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, body)| body);
            eprintln!("not ready: {}", body.trim());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cannot ask {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ready(address: &str) -> std::io::Result<String> {
    let found = address.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&found, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

const ANSWER_MAX: u64 = 64 * 1024;
