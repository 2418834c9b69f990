//! What a client asks of routing beyond its text: in a hint, in the setting `pgweir.route`, in a rule of the proxy.
//!
//! Why one grammar: what works in one place works in the others: items with commas between them, `auto`, `primary`,
//! `standby`, `node=NAME`, `staleness=500ms`.
//! Invariant: a wish chooses among the nodes that a verdict allows; it never makes a read of what is none.
//! Absent: which nodes there are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is asked for; the default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wish {
    /// Where reads should go.
    pub route: Option<Route>,
    /// How old a standby's data may be at most.
    pub staleness_max: Option<Duration>,
}

/// Where reads should go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// Where the text allows: a standby if it only reads.
    Auto,
    /// To this node and no other.
    Node(Arc<str>),
    /// To the primary.
    Primary,
    /// To a standby, also where the primary takes part in reads.
    Standby,
}

/// An item that asks for nothing that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WishFault {
    /// A duration that is none, or has no unit.
    Duration(String),
    /// Nothing stands between two commas.
    Empty,
    /// `node=` without a name.
    NoNode,
    /// A word that means nothing here.
    Unknown(String),
}

impl Wish {
    /// Reads a wish that must be right as a whole.
    ///
    /// # Errors
    /// The first item that is wrong.
    pub fn parse(text: &str) -> Result<Self, WishFault> {
        let mut wish = Self::default();
        text.split(',').try_for_each(|item| wish.item(item))?;
        Ok(wish)
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.route.is_none() && self.staleness_max.is_none()
    }

    /// Reads one item; what came before about the same thing is forgotten.
    pub(crate) fn item(&mut self, item: &str) -> Result<(), WishFault> {
        let item = item.trim_ascii();
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name.trim_ascii_end(), Some(value.trim_ascii_start())),
            None => (item, None),
        };
        let is = |word: &str| name.eq_ignore_ascii_case(word);
        match value {
            None if name.is_empty() => return Err(WishFault::Empty),
            None if is("auto") => self.route = Some(Route::Auto),
            None if is("primary") => self.route = Some(Route::Primary),
            None if is("standby") => self.route = Some(Route::Standby),
            Some("") if is("node") => return Err(WishFault::NoNode),
            Some(node) if is("node") => self.route = Some(Route::Node(node.into())),
            Some(age) if is("staleness") => {
                self.staleness_max = Some(duration(age).ok_or_else(|| WishFault::Duration(shortened(age)))?);
            }
            _ => return Err(WishFault::Unknown(shortened(item))),
        }
        Ok(())
    }
}

/// A whole number and a unit: PostgreSQL's, and `m` for minutes as in the configuration.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..digits].parse().ok()?;
    let (unit, times) = match text[digits..].trim_ascii_start() {
        "us" => (Duration::from_micros(1), 1),
        "ms" => (Duration::from_millis(1), 1),
        "s" => (Duration::from_secs(1), 1),
        "m" | "min" => (Duration::from_secs(1), 60),
        "h" => (Duration::from_secs(1), 3_600),
        "d" => (Duration::from_secs(1), 86_400),
        _ => return None,
    };
    unit.checked_mul(u32::try_from(count.checked_mul(times)?).ok()?)
}

/// The beginning of what a client wrote, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// As it is written in a hint.
impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = self.route.as_ref().map(Route::to_string);
        let age = self.staleness_max.map(|age| format!("staleness={}us", age.as_micros()));
        let items: Vec<String> = route.into_iter().chain(age).collect();
        f.write_str(&items.join(", "))
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Node(name) => write!(f, "node={name}"),
            Self::Primary => f.write_str("primary"),
            Self::Standby => f.write_str("standby"),
        }
    }
}

impl fmt::Display for WishFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration(age) => {
                write!(f, "\"{age}\" is no duration: write a number and a unit, such as 500ms")
            }
            Self::Empty => f.write_str("an item is empty"),
            Self::NoNode => f.write_str("node= needs a name"),
            Self::Unknown(item) => {
                write!(f, "\"{item}\" is none of auto, primary, standby, node=NAME, staleness=DURATION")
            }
        }
    }
}

impl std::error::Error for WishFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_items_with_commas_between_them() {
        let table = [
            ("primary", "primary"),
            (" STANDBY ", "standby"),
            ("auto", "auto"),
            ("node=db2", "node=db2"),
            ("Node = 10.0.0.1:5432", "node=10.0.0.1:5432"),
            ("staleness=500ms", "staleness=500000us"),
            ("staleness = 2 s", "staleness=2000000us"),
            ("standby, staleness=1m", "standby, staleness=60000000us"),
            ("staleness=1min,node=a=b", "node=a=b, staleness=60000000us"),
            ("staleness=0ms", "staleness=0us"),
            ("primary,standby", "standby"),
        ];
        for (text, expected) in table {
            let wish = Wish::parse(text).expect(text);
            assert_eq!(wish.to_string(), expected, "{text}");
            assert_eq!(Wish::parse(expected), Ok(wish), "it reads what it prints");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let table = [
            ("", "an item is empty"),
            ("primary,", "an item is empty"),
            ("replica", "\"replica\" is none of auto, primary, standby, node=NAME, staleness=DURATION"),
            ("node", "\"node\" is none of"),
            ("node=", "node= needs a name"),
            ("primary=1", "\"primary=1\" is none of"),
            ("staleness=500", "\"500\" is no duration"),
            ("staleness=", "\"\" is no duration"),
            ("staleness=-1s", "\"-1s\" is no duration"),
            ("staleness=99999999999999999999s", "is no duration"),
            ("staleness=18446744073709551615d", "is no duration"),
            ("staleness=1 week", "is no duration"),
        ];
        for (text, expected) in table {
            let fault = Wish::parse(text).expect_err(text).to_string();
            assert!(fault.contains(expected), "{text}: {fault}");
        }
        let long = Wish::parse(&"é".repeat(1000)).expect_err("it is nothing").to_string();
        assert!(long.chars().count() < 200, "a message stays short: {long}");
    }
}
