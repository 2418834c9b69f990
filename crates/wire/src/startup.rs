//! The packet that opens a connection, which has no type byte.
//!
//! Invariants: a packet is refused above 10,000 bytes (and its length word) before anything is kept of it; parameters stay in the order
//! the client gave, and `options` is taken apart as the server would, because order decides which value wins.
//! Manual: Message Formats, "StartupMessage", "SSLRequest", "GSSENCRequest", "CancelRequest".

use std::fmt;

/// The largest first packet PostgreSQL takes: its length word and `MAX_STARTUP_PACKET_LENGTH` bytes.
pub const STARTUP_PACKET_MAX: usize = 4 + 10_000;

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;

/// What a connection begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstPacket {
    /// Cancel the statement of another connection.
    Cancel(CancelKey),
    /// The client asks for GSSAPI encryption.
    GssEncRequest,
    /// The client asks for TLS.
    SslRequest,
    /// The client wants a session.
    Startup(Startup),
}

/// The key in a cancel request: what BackendKeyData gave the client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The process number.
    pub process_id: u32,
    /// 4 bytes in protocol 3.0, up to 256 in 3.2.
    pub secret: Vec<u8>,
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelKey({}, ***)", self.process_id)
    }
}

/// One setting that a client names at start-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GucSetting {
    /// The setting's name as the client wrote it.
    pub name: String,
    /// Its value, unquoted.
    pub value: String,
}

/// A request for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// The minor version of protocol 3 that the client asks for.
    pub minor: u16,
    /// The role to log in as.
    pub user: String,
    /// The database; the role's name where the client gave none.
    pub database: String,
    /// Whether the client asks for a replication connection, and of which kind.
    pub replication: Replication,
    /// Settings in the order in which the server would apply them: those of `options` first.
    pub settings: Vec<GucSetting>,
    /// Names of protocol options (`_pq_.`) that we do not know.
    pub unknown_options: Vec<String>,
}

/// The value of the start-up parameter `replication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// An ordinary session.
    No,
    /// A physical replication connection.
    Physical,
    /// A logical replication connection, bound to the database.
    Logical,
}

impl Startup {
    /// The value of the setting `name`, by its last mention.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|s| s.name.eq_ignore_ascii_case(name)).map(|s| s.value.as_str())
    }
}

/// Why a first packet is refused. The texts are PostgreSQL's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartupError {
    /// A length below 8 or above 10,000.
    InvalidLength,
    /// Parameters without their terminator, or a key of impossible length.
    InvalidLayout,
    /// `replication` is neither a boolean nor `database`.
    InvalidReplication(String),
    /// A parameter that is not UTF-8.
    NotUtf8,
    /// No role was named.
    NoUser,
    /// Another major version of the protocol.
    UnsupportedProtocol {
        /// The major version asked for.
        major: u16,
        /// The minor version asked for.
        minor: u16,
    },
}

impl StartupError {
    /// The SQLSTATE PostgreSQL gives.
    #[must_use]
    pub const fn sqlstate(&self) -> &'static str {
        match self {
            Self::InvalidLength | Self::InvalidLayout => "08P01",
            Self::InvalidReplication(_) => "22023",
            Self::NotUtf8 => "22021",
            Self::NoUser => "28000",
            Self::UnsupportedProtocol { .. } => "0A000",
        }
    }
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLength => f.write_str("invalid length of startup packet"),
            Self::InvalidLayout => {
                f.write_str("invalid startup packet layout: expected terminator as last byte")
            }
            Self::InvalidReplication(value) => {
                write!(f, "invalid value for parameter \"replication\": \"{value}\"")
            }
            Self::NotUtf8 => f.write_str("invalid byte sequence for encoding \"UTF8\" in startup packet"),
            Self::NoUser => f.write_str("no PostgreSQL user name specified in startup packet"),
            Self::UnsupportedProtocol { major, minor } => {
                write!(f, "unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")
            }
        }
    }
}

impl std::error::Error for StartupError {}

impl FirstPacket {
    /// The length that the first four bytes announce, themselves included.
    ///
    /// # Errors
    /// A length that no first packet can have.
    pub fn length(word: [u8; 4]) -> Result<usize, StartupError> {
        match usize::try_from(i32::from_be_bytes(word)) {
            Ok(length) if (8..=STARTUP_PACKET_MAX).contains(&length) => Ok(length),
            Ok(_) | Err(_) => Err(StartupError::InvalidLength),
        }
    }

    /// Reads a packet from `packet`, which is exactly the packet without its length word.
    ///
    /// # Errors
    /// What PostgreSQL would refuse.
    pub fn read(packet: &[u8]) -> Result<Self, StartupError> {
        let (code, rest) = packet.split_first_chunk::<4>().ok_or(StartupError::InvalidLength)?;
        match u32::from_be_bytes(*code) {
            CANCEL_REQUEST => read_cancel(rest),
            SSL_REQUEST if rest.is_empty() => Ok(Self::SslRequest),
            GSSENC_REQUEST if rest.is_empty() => Ok(Self::GssEncRequest),
            SSL_REQUEST | GSSENC_REQUEST => Err(StartupError::InvalidLength),
            version if version >> 16 == 3 => read_startup(version, rest).map(Self::Startup),
            version => Err(StartupError::UnsupportedProtocol {
                major: (version >> 16) as u16,
                minor: (version & 0xFFFF) as u16,
            }),
        }
    }
}

fn read_cancel(rest: &[u8]) -> Result<FirstPacket, StartupError> {
    let (pid, secret) = rest.split_first_chunk::<4>().ok_or(StartupError::InvalidLength)?;
    if !(4..=256).contains(&secret.len()) {
        return Err(StartupError::InvalidLength);
    }
    Ok(FirstPacket::Cancel(CancelKey { process_id: u32::from_be_bytes(*pid), secret: secret.to_vec() }))
}

fn read_startup(version: u32, mut rest: &[u8]) -> Result<Startup, StartupError> {
    let mut startup = Startup {
        minor: (version & 0xFFFF) as u16,
        user: String::new(),
        database: String::new(),
        replication: Replication::No,
        settings: Vec::new(),
        unknown_options: Vec::new(),
    };
    let mut options = Vec::new();
    loop {
        let name = take_text(&mut rest)?;
        if name.is_empty() {
            break;
        }
        let value = take_text(&mut rest)?;
        match name {
            "user" => value.clone_into(&mut startup.user),
            "database" => value.clone_into(&mut startup.database),
            "options" => options = split_options(value),
            "replication" => startup.replication = read_replication(value)?,
            _ if name.starts_with("_pq_.") => startup.unknown_options.push(name.to_owned()),
            _ => startup.settings.push(GucSetting { name: name.to_owned(), value: value.to_owned() }),
        }
    }
    if !rest.is_empty() {
        return Err(StartupError::InvalidLayout);
    }
    if startup.user.is_empty() {
        return Err(StartupError::NoUser);
    }
    if startup.database.is_empty() {
        startup.user.clone_into(&mut startup.database);
    }
    let mut settings = settings_of_options(&options);
    settings.append(&mut startup.settings);
    startup.settings = settings;
    Ok(startup)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, StartupError> {
    let end = rest.iter().position(|b| *b == 0).ok_or(StartupError::InvalidLayout)?;
    let text = std::str::from_utf8(&rest[..end]).map_err(|_| StartupError::NotUtf8)?;
    *rest = &rest[end + 1..];
    Ok(text)
}

fn read_replication(value: &str) -> Result<Replication, StartupError> {
    let lower = value.to_ascii_lowercase();
    match lower.as_str() {
        "database" => Ok(Replication::Logical),
        "true" | "on" | "yes" | "1" | "t" | "y" => Ok(Replication::Physical),
        "false" | "off" | "no" | "0" | "f" | "n" => Ok(Replication::No),
        _ => Err(StartupError::InvalidReplication(value.to_owned())),
    }
}

/// Words of `options`: split at white space, a backslash keeps the next character (`pg_split_opts`).
fn split_options(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        if chars.peek().is_none() {
            return words;
        }
        let mut word = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_ascii_whitespace()) {
            match c {
                '\\' => word.extend(chars.next()),
                c => word.push(c),
            }
        }
        words.push(word);
    }
}

/// `-c name=value`, `-cname=value` and `--name=value`; a dash in a name stands for an underscore. Words of any
/// other form are left out: they are switches of the server program that no client needs.
fn settings_of_options(words: &[String]) -> Vec<GucSetting> {
    let mut settings = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next().map(String::as_str)
        } else {
            word.strip_prefix("--").or_else(|| word.strip_prefix("-c"))
        };
        if let Some((name, value)) = assignment.and_then(|a| a.split_once('=')) {
            settings.push(GucSetting { name: name.replace('-', "_"), value: value.to_owned() });
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u32, pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = version.to_be_bytes().to_vec();
        for (name, value) in pairs {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn keeps_the_order_and_takes_options_apart() {
        let bytes = packet(
            0x0003_0000,
            &[
                ("user", "ann"),
                ("search_path", "x"),
                ("options", r"-c a.b=1 --work-mem=4MB -c 'x -cq=with\ blank -S 3"),
                ("_pq_.new", "1"),
            ],
        );
        let FirstPacket::Startup(startup) = FirstPacket::read(&bytes).unwrap() else { panic!() };
        assert_eq!((startup.user.as_str(), startup.database.as_str()), ("ann", "ann"));
        let settings: Vec<_> = startup.settings.iter().map(|s| (s.name.as_str(), s.value.as_str())).collect();
        assert_eq!(settings, [("a.b", "1"), ("work_mem", "4MB"), ("q", "with blank"), ("search_path", "x")]);
        assert_eq!(startup.unknown_options, ["_pq_.new"]);
    }

    #[test]
    fn refuses_as_postgresql_does() {
        let two = [0, 2, 0, 0];
        let table: &[(&[u8], StartupError)] = &[
            (&two, StartupError::UnsupportedProtocol { major: 2, minor: 0 }),
            (b"\0\x03\0\0", StartupError::InvalidLayout),
            (b"\0\x03\0\0\0", StartupError::NoUser),
            (b"\0\x03\0\0user\0", StartupError::InvalidLayout),
            (b"\0\x03\0\0user\0a\0", StartupError::InvalidLayout),
            (b"\0\x03\0\0user\0a\0\0trailing", StartupError::InvalidLayout),
            (b"\0\x03\0\0user\0\xFF\0\0", StartupError::NotUtf8),
            (b"\x04\xd2\x16\x2e\0\0\0\x01\0\0", StartupError::InvalidLength),
        ];
        for (bytes, error) in table {
            assert_eq!(FirstPacket::read(bytes), Err(error.clone()), "{bytes:?}");
        }
    }

    #[test]
    fn lengths_have_a_floor_and_a_ceiling() {
        for (length, fine) in
            [(0, false), (7, false), (8, true), (10_004, true), (10_005, false), (-5, false)]
        {
            assert_eq!(FirstPacket::length(i32::to_be_bytes(length)).is_ok(), fine, "{length}");
        }
    }
}
