//! Where to listen, and where a node listens.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::fault::{AddressFault, Fault, Refusal};
use crate::section::{Setting, Written};
use crate::setting::text;

/// A TCP address to listen on. Port 0 takes any free port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Where a PostgreSQL server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NodeAddress {
    /// Over TCP.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Over a Unix socket, `dir/.s.PGSQL.port`.
    Unix {
        /// The directory that holds the socket.
        dir: PathBuf,
        /// The number in the socket's name.
        port: u16,
    },
}

impl NodeAddress {
    /// The path of the Unix socket, if it is one.
    pub fn socket_path(&self) -> Option<PathBuf> {
        match self {
            NodeAddress::Tcp { .. } => None,
            NodeAddress::Unix { dir, port } => Some(dir.join(format!(".s.PGSQL.{port}"))),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host(f, &self.host, self.port)
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeAddress::Tcp { host, port } => write_host(f, host, *port),
            NodeAddress::Unix { dir, port } => write!(f, "{}:{port}", dir.display()),
        }
    }
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
}

impl Setting for ListenAddress {
    fn kind() -> String {
        "host:port".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        let given = text(value)?;
        if given.starts_with('/') {
            return Err(refuse(given, AddressFault::Path, Some("use unix_socket_dir".to_owned())));
        }
        let (host, port) = split(given, LISTEN_PORT, 0)?;
        Ok(ListenAddress { host, port })
    }

    fn written(&self) -> Written {
        Written::Text(self.to_string())
    }
}

impl Setting for Option<ListenAddress> {
    fn kind() -> String {
        ListenAddress::kind()
    }

    fn read(value: &DeValue<'_>, base: &Path) -> Result<Self, Refusal> {
        if text(value)?.is_empty() { Ok(None) } else { ListenAddress::read(value, base).map(Some) }
    }

    fn written(&self) -> Written {
        Written::Text(self.as_ref().map_or_else(String::new, ToString::to_string))
    }
}

impl Setting for NodeAddress {
    fn kind() -> String {
        "host:port, [v6]:port or /socket/dir:port".to_owned()
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        let given = text(value)?;
        let (host, port) = split(given, NODE_PORT, 1)?;
        if host.starts_with('/') {
            return Ok(NodeAddress::Unix { dir: PathBuf::from(host), port });
        }
        Ok(NodeAddress::Tcp { host, port })
    }

    fn written(&self) -> Written {
        Written::Text(self.to_string())
    }
}

/// Cuts `host:port`; `usual` is the port that a suggestion names.
fn split(given: &str, usual: u16, least: u16) -> Result<(String, u16), Refusal> {
    let write = |text: String| Some(format!("write \"{text}\""));
    if !given.starts_with(['[', '/']) && given.matches(':').count() > 1 {
        return Err(refuse(given, AddressFault::Unbracketed, write(format!("[{given}]:{usual}"))));
    }
    let closed = given.starts_with('[') && given.ends_with(']');
    let Some((host, port)) = given.rsplit_once(':').filter(|_| !closed) else {
        let why = if given.is_empty() { AddressFault::NoHost } else { AddressFault::NoPort };
        return Err(refuse(given, why, write(format!("{given}:{usual}")).filter(|_| !given.is_empty())));
    };
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() {
        return Err(refuse(given, AddressFault::NoHost, write(format!("localhost:{port}"))));
    }
    let number = port.parse::<u16>().ok().filter(|number| *number >= least);
    let port = number.ok_or_else(|| refuse(given, AddressFault::PortInvalid, None))?;
    Ok((bare.to_owned(), port))
}

fn refuse(given: &str, why: AddressFault, suggestion: Option<String>) -> Refusal {
    Refusal::from(Fault::BadAddress { given: given.to_owned(), why }).advise(suggestion)
}

const LISTEN_PORT: u16 = 6432;
const NODE_PORT: u16 = 5432;
