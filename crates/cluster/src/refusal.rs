//! Why a demand is not met: the errors of this crate.

use std::fmt;

/// Why a demand is not met. None of them is the client's fault, nothing was sent, so a retry is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No node is configured, or not the only one that was asked for.
    NoNode,
    /// There was no primary for as long as a waiter may wait.
    NoPrimary,
    /// No standby (nor the primary, where it may read) was fit for as long as a waiter may wait.
    NoStandby,
    /// As many wait already as may wait.
    QueueFull,
    /// The servers do not accept this database or user; what they said goes to the client.
    ServersRefuse,
    /// All slots stayed taken for as long as a waiter may wait.
    WaitedTooLong,
}

impl Refusal {
    /// The SQLSTATE for the client.
    #[must_use]
    pub const fn sqlstate(self) -> &'static str {
        match self {
            Self::NoNode | Self::NoPrimary | Self::NoStandby => "57P03",
            Self::QueueFull | Self::WaitedTooLong => "53300",
            Self::ServersRefuse => "08004",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNode => "no such server is configured",
            Self::NoPrimary => "there is no primary server at the moment",
            Self::NoStandby => "no server is fresh enough to read from at the moment",
            Self::QueueFull => "too many clients wait for a server connection already",
            Self::ServersRefuse => "the servers refuse connections to this database by this user",
            Self::WaitedTooLong => "no server connection became free in time",
        })
    }
}

impl std::error::Error for Refusal {}
