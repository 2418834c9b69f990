//! Everything that can be wrong in a `proxy.toml`.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What is wrong, in facts; its text says it to people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Names and hosts and ports that make no address.
    BadAddress {
        /// As written.
        given: String,
        /// What is amiss.
        why: AddressFault,
    },
    /// Not an octal file mode.
    BadFileMode {
        /// As written.
        given: String,
    },
    /// A key says that TLS is needed, another that is missing would make it possible.
    CertificateMissing {
        /// The key that must be given.
        needed: String,
        /// The mode, or the other key, that asks for it.
        because: String,
    },
    /// A file that should hold a password holds nothing.
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// Two values that exclude each other by size.
    Exceeds {
        /// The smaller bound's key.
        other: String,
        /// The value of this key.
        value: String,
        /// The value of the other key.
        limit: String,
    },
    /// A warning: whoever reaches the port comes in, or can listen.
    Exposed {
        /// What is exposed.
        what: Exposure,
    },
    /// A key and its `_file` twin.
    GivenTwice {
        /// The other key.
        other: String,
    },
    /// Something must be written and is not.
    MissingKey {
        /// Its name.
        name: &'static str,
    },
    /// No cluster at all, or one without nodes.
    NoNodes,
    /// A client could never prove itself.
    NoSecrets {
        /// The method that needs them.
        method: &'static str,
    },
    /// Not one of the words.
    NotAChoice {
        /// As written.
        given: String,
        /// The words.
        choices: &'static [&'static str],
    },
    /// A number with a unit of a quantity, but not like this.
    NotAQuantity {
        /// As written.
        given: String,
        /// The quantity with its units.
        quantity: Quantity,
    },
    /// A value that must be smaller than another.
    NotBelow {
        /// The other key.
        other: String,
        /// The value of this key.
        value: String,
        /// The value of the other key.
        limit: String,
    },
    /// A number beyond what is allowed.
    OutOfRange {
        /// As written.
        given: String,
        /// The least.
        least: String,
        /// The most.
        most: String,
    },
    /// The lookup query has no place for the role's name.
    QueryWithoutName,
    /// The same thing said twice.
    Repeated {
        /// What: an address or name.
        value: String,
        /// The line of the first.
        first_line: usize,
    },
    /// A name which pgweir keeps for itself.
    ReservedName {
        /// The name.
        name: String,
    },
    /// Not TOML.
    Syntax {
        /// The parser's text.
        message: String,
    },
    /// More than there may be.
    TooMany {
        /// What.
        what: &'static str,
        /// The most.
        most: usize,
    },
    /// A number where a quantity with a unit is needed.
    UnitMissing {
        /// The quantity.
        quantity: Quantity,
    },
    /// A cluster that no section describes.
    UnknownCluster {
        /// The name; empty when several clusters exist and none was named.
        name: String,
    },
    /// A key that does not exist in this section.
    UnknownKey {
        /// The key.
        name: String,
        /// The section; empty at the top.
        section: String,
    },
    /// A node that the cluster does not have.
    UnknownNode {
        /// As written.
        name: String,
    },
    /// A file that cannot be read.
    Unreadable {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// A warning: the value has no effect.
    Unused {
        /// The key, or its value, that makes it so.
        because: String,
    },
    /// A warning: no route leads to this cluster.
    UnusedCluster,
    /// A value of another type.
    WrongType {
        /// What is allowed.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFault {
    /// Nothing before the port.
    NoHost,
    /// No port at the end.
    NoPort,
    /// The port is no number from 1 to 65535.
    PortInvalid,
    /// A path where only TCP is possible.
    Path,
    /// An IPv6 address without brackets.
    Unbracketed,
}

/// What a warning says is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Passwords pass unencrypted.
    PlainPasswords,
    /// No proof is asked for.
    Trust,
}

/// A quantity that has units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// `64kB`.
    Bytes,
    /// `10s`.
    Duration,
}

/// A fault with the advice that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    pub(crate) suggestion: Option<String>,
    /// The element of a list, if only one is meant.
    pub(crate) element: Option<usize>,
}

impl Refusal {
    pub(crate) fn new(fault: Fault, suggestion: impl Into<String>) -> Self {
        Refusal { suggestion: Some(suggestion.into()), ..Refusal::from(fault) }
    }

    /// With advice, if there is any.
    pub(crate) fn advise(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion.or(self.suggestion);
        self
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal { fault, suggestion: None, element: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::BadAddress { given, why } => write!(f, "\"{given}\" is not an address: {why}"),
            Fault::BadFileMode { given } => write!(f, "\"{given}\" is not a file mode"),
            Fault::CertificateMissing { needed, because } => write!(f, "{because} needs {needed}"),
            Fault::EmptyFile { path } => write!(f, "{} is empty", path.display()),
            Fault::Exceeds { other, value, limit } => write!(f, "{value} is more than {other} ({limit})"),
            Fault::Exposed { what } => what.fmt(f),
            Fault::GivenTwice { other } => write!(f, "{other} is given too, and only one of them may be"),
            Fault::MissingKey { name } => write!(f, "{name} is missing"),
            Fault::NoNodes => f.write_str("no PostgreSQL server is named"),
            Fault::NoSecrets { method } => {
                write!(f, "nobody could log in: method \"{method}\" needs users_file or query_user")
            }
            Fault::NotAChoice { given, choices } => {
                write!(f, "\"{given}\" is not one of {}", choices.join(", "))
            }
            Fault::NotAQuantity { given, quantity } => write!(f, "\"{given}\" is not {quantity}"),
            Fault::NotBelow { other, value, limit } => write!(f, "{value} is not below {other} ({limit})"),
            Fault::OutOfRange { given, least, most } => {
                write!(f, "{given} is out of range: {least} to {most}")
            }
            Fault::QueryWithoutName => f.write_str("the query has no $1, which stands for the role's name"),
            Fault::Repeated { value, first_line } => {
                write!(f, "\"{value}\" is already given in line {first_line}")
            }
            Fault::ReservedName { name } => write!(f, "the name \"{name}\" has a meaning of its own"),
            Fault::Syntax { message } => f.write_str(message),
            Fault::TooMany { what, most } => write!(f, "more than {most} {what}"),
            Fault::UnitMissing { quantity } => write!(f, "the unit is missing: write {quantity}"),
            Fault::UnknownCluster { name } if name.is_empty() => {
                f.write_str("several clusters exist, so the database must name its own")
            }
            Fault::UnknownCluster { name } => write!(f, "there is no [cluster.{name}]"),
            Fault::UnknownKey { name, section } if section.is_empty() => {
                write!(f, "unknown section or key `{name}`")
            }
            Fault::UnknownKey { name, section } => write!(f, "unknown key `{name}` in [{section}]"),
            Fault::UnknownNode { name } => write!(f, "there is no node \"{name}\""),
            Fault::Unreadable { path, kind } => {
                let why = match kind {
                    io::ErrorKind::NotFound => "there is no such file".to_owned(),
                    other => other.to_string(),
                };
                write!(f, "cannot read {}: {why}", path.display())
            }
            Fault::Unused { because } => write!(f, "no effect with {because}"),
            Fault::UnusedCluster => f.write_str("no database leads to this cluster"),
            Fault::WrongType { wanted, found } => write!(f, "{wanted} is needed here, not {found}"),
        }
    }
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressFault::NoHost => "the host is missing",
            AddressFault::NoPort => "the port is missing",
            AddressFault::Path => "a socket directory cannot stand here",
            AddressFault::PortInvalid => "the port must be a number from 1 to 65535",
            AddressFault::Unbracketed => "an IPv6 address needs brackets",
        })
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exposure::PlainPasswords => "passwords cross the network unencrypted",
            Exposure::Trust => "whoever reaches this port is let in as any role, without a password",
        })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quantity::Bytes => "a whole number with one of the units B, kB, MB, GB, TB",
            Quantity::Duration => "a whole number with one of the units us, ms, s, m, h, d",
        })
    }
}
