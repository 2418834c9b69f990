//! Where a rule of the file sends reads.
//!
//! Absent: what becomes of it. It is what a session's setting `pgweir.route` begins with.

use std::fmt;
use std::path::Path;

use toml::de::DeValue;

use crate::choice::refuse;
use crate::fault::Refusal;
use crate::section::{Setting, Written};

/// Where reads should go; none of them makes a read of what is no proven one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Where their texts allow.
    Auto,
    /// To the node of this name.
    Node(String),
    /// To the primary.
    Primary,
    /// To a standby, also where the primary takes part in reads.
    Standby,
}

/// As the setting has it.
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

/// Empty text is no rule.
impl Setting for Option<Route> {
    fn kind() -> String {
        WORDS.join(" | ")
    }

    fn read(value: &DeValue<'_>, _: &Path) -> Result<Self, Refusal> {
        let text = crate::setting::text(value)?;
        let route = match (text, text.strip_prefix("node=")) {
            ("", _) => return Ok(None),
            ("auto", _) => Route::Auto,
            ("primary", _) => Route::Primary,
            ("standby", _) => Route::Standby,
            // What the setting could not say: there a comma ends the name.
            (_, Some(name)) if !name.is_empty() && !name.contains(',') && name == name.trim() => {
                Route::Node(name.to_owned())
            }
            _ => return Err(refuse(text, WORDS)),
        };
        Ok(Some(route))
    }

    fn written(&self) -> Written {
        Written::Text(self.as_ref().map_or_else(String::new, Route::to_string))
    }
}

const WORDS: &[&str] = &["auto", "primary", "standby", "node=NAME"];
