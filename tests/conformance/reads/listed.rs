//! Reads that a standby answers otherwise, each with the reason why that is right.

/// What a text has in it, and why its answers differ.
static LISTED: &[(&str, &str)] = &[
    ("SHOW custom.my_guc", HIDDEN),
    ("SHOW custom.my.qualified.guc", HIDDEN),
    ("select current_setting('nosuch.setting'", HIDDEN),
];

const HIDDEN: &str = "no question shows a setting that nobody defined, so the standby's session is not given it: a session of pgweir is";

/// Why a standby may answer this otherwise.
pub(super) fn reason(text: &str) -> Option<&'static str> {
    LISTED.iter().find(|(part, _)| text.contains(part)).map(|(_, why)| *why)
}
