//! Ports that nobody else in the sandbox uses, across processes and across a server's restarts.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::SandboxError;

/// A TCP port of 127.0.0.1 that belongs to the holder until dropped.
///
/// The lease is a bound UDP socket of the same number: the kernel keeps it exclusive between
/// processes and frees it when its process dies, and it is not in the way of a TCP server. The range
/// lies below the ports that Linux gives to outgoing connections, so none of those takes the port
/// while its server is down.
#[derive(Debug)]
pub struct PortLease {
    number: u16,
    _held: UdpSocket,
}

impl PortLease {
    /// Takes a free port.
    pub fn take() -> Result<Self, SandboxError> {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        let start = process::id().wrapping_mul(STRIDE) + TAKEN.fetch_add(1, Ordering::Relaxed);
        let width = u32::from(LAST - FIRST) + 1;
        (0..width)
            .map(|step| FIRST + (start.wrapping_add(step) % width) as u16)
            .find_map(Self::try_take)
            .ok_or(SandboxError::NoFreePort)
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn try_take(number: u16) -> Option<Self> {
        let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).ok()?;
        Some(Self { number, _held: held })
    }
}

const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;
/// Processes start their search far apart, so they seldom try the same ports.
const STRIDE: u32 = 37;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn leases_are_exclusive_and_leave_the_tcp_port_free() {
        let leases: Vec<PortLease> = (0..50).map(|_| PortLease::take().unwrap()).collect();
        let numbers: BTreeSet<u16> = leases.iter().map(PortLease::number).collect();
        assert_eq!(numbers.len(), leases.len());
        let number = leases[0].number();
        assert!(PortLease::try_take(number).is_none(), "taken");
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
    }
}
