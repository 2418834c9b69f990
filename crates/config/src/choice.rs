//! Settings that are one word out of a few.

use std::fmt;
use std::path::Path;

use toml::de::DeValue;

use crate::fault::{Fault, Refusal};
use crate::section::{Setting, Written};
use crate::suggest::closest;

macro_rules! choices {
    ($(
        $(#[doc = $about:literal])+
        $name:ident { $( $(#[doc = $meaning:literal])+ $variant:ident = $word:literal, )+ }
    )+) => { $(
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[doc = $meaning])+ $variant, )+ }

        impl $name {
            /// All choices, in the order of the manual.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that stands in the file.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Setting for $name {
            fn kind() -> String {
                Self::WORDS.join(" | ")
            }

            fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
                let word = crate::setting::text(value)?;
                let found = Self::ALL.iter().find(|choice| choice.as_str() == word);
                found.copied().ok_or_else(|| refuse(word, Self::WORDS))
            }

            fn written(&self) -> Written {
                Written::Text(self.as_str().to_owned())
            }
        }
    )+ };
}

pub(crate) fn refuse(word: &str, choices: &'static [&'static str]) -> Refusal {
    let alike = word.to_ascii_lowercase().replace(['-', ' '], "_");
    let spelled = |choice: &&&str| choice.replace('-', "_") == alike;
    let begins =
        |choice: &&&str| alike.len() >= 3 && (choice.starts_with(&alike) || alike.starts_with(**choice));
    let near = choices.iter().find(spelled).or_else(|| choices.iter().find(begins)).copied();
    let near = near.or_else(|| closest(word, choices.iter().copied()));
    let fault = Fault::NotAChoice { given: word.to_owned(), choices };
    Refusal::from(fault).advise(near.map(|choice| format!("did you mean \"{choice}\"?")))
}

choices! {
    /// How a client proves who it is.
    AuthMethod {
        /// Not at all: any role may connect, as far as the servers allow it.
        Trust = "trust",
        /// A password in plain text: only behind TLS.
        Password = "password",
        /// MD5 challenge; a SCRAM verifier in the users file upgrades to SCRAM.
        Md5 = "md5",
        /// SCRAM-SHA-256.
        ScramSha256 = "scram-sha-256",
    }

    /// How a node is chosen for a read among those that qualify.
    Balance {
        /// In turn.
        RoundRobin = "round_robin",
        /// By chance.
        Random = "random",
        /// In turn, in proportion to the weights.
        Weighted = "weighted",
        /// The one with the fewest statements under way.
        LeastInFlight = "least_in_flight",
    }

    /// Whether what a database's own objects do is read from its primary.
    CatalogUse {
        /// Of each database that clients use.
        Read = "read",
        /// Not at all: what uses functions or types of the user's goes to the primary.
        Off = "off",
    }

    /// What a session's reads are promised.
    Consistency {
        /// A session reads its own writes and never reads backwards.
        Session = "session",
        /// Only the bounds on lag and staleness hold.
        Eventual = "eventual",
    }

    /// How log lines look.
    LogFormat {
        /// For people.
        Plain = "plain",
        /// One JSON object a line.
        Json = "json",
    }

    /// The least severe lines that are written.
    LogLevel {
        /// Our mistakes and lost nodes.
        Error = "error",
        /// Degraded service as well.
        Warn = "warn",
        /// State changes that a person acts on as well.
        Info = "info",
        /// Each connection as well.
        Debug = "debug",
        /// Each statement as well, with its text.
        Trace = "trace",
    }

    /// When a server connection goes back to its pool.
    PoolMode {
        /// When the transaction ends.
        Transaction = "transaction",
        /// When the client leaves.
        Session = "session",
        /// After each statement; transaction blocks are refused.
        Statement = "statement",
    }

    /// Whether the primary serves reads that a standby could serve.
    ReadsOnPrimary {
        /// Only while no standby qualifies.
        WhenNone = "when_none",
        /// Never: such reads wait for a standby.
        Never = "never",
        /// Always: it is one of the nodes that take turns.
        Always = "always",
    }

    /// Where the reads of a transaction block go that may write.
    TransactionReads {
        /// To the primary, as all of such a block.
        Primary = "primary",
        /// To one standby until the first statement that is anything else, where that shows no difference.
        UntilWrite = "until_write",
    }

    /// TLS, under the names of libpq's `sslmode`. Seen from a server, `allow` and `prefer` leave it to the client.
    TlsMode {
        /// Never TLS.
        Disable = "disable",
        /// TLS only when the other side insists.
        Allow = "allow",
        /// TLS when the other side can.
        Prefer = "prefer",
        /// TLS or nothing; the certificate is not checked.
        Require = "require",
        /// The other side's certificate must be signed by `tls_ca`.
        VerifyCa = "verify-ca",
        /// As `verify-ca`, and the certificate must name the host.
        VerifyFull = "verify-full",
    }
}
