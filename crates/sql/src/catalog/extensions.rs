//! The curated table of functions that extensions bring along and whose volatility mark does not tell where they may
//! run, each with the reason.
//!
//! Invariant: sorted by extension and name. What is not here is believed at its mark.

use crate::names::Class::{self, Node, Safe, Session, Unproven, Write};

/// What is known of an extension's function beyond its volatility mark.
pub(super) struct Curated {
    pub(super) extension: &'static str,
    pub(super) name: &'static str,
    pub(super) class: Class,
    /// Why the class is what it is.
    #[allow(dead_code, reason = "for the reader of this table")]
    pub(super) why: &'static str,
}

/// The class of the function `name` that `extension` brought along.
pub(super) fn class(extension: &str, name: &str) -> Option<Class> {
    let found = CURATED.binary_search_by(|entry| (entry.extension, entry.name).cmp(&(extension, name)));
    found.ok().map(|at| CURATED[at].class)
}

macro_rules! curated {
    ($($extension:literal $name:literal $class:ident $why:literal;)*) => {
        &[$(Curated { extension: $extension, name: $name, class: $class, why: $why },)*]
    };
}

pub(super) static CURATED: &[Curated] = curated! {
    "dblink" "dblink" Unproven "runs any text elsewhere";
    "dblink" "dblink_close" Session "uses a connection kept by the session";
    "dblink" "dblink_error_message" Session "of a connection kept by the session";
    "dblink" "dblink_get_connections" Session "connections kept by the session";
    "dblink" "dblink_get_notify" Session "of a connection kept by the session";
    "dblink" "dblink_is_busy" Session "of a connection kept by the session";
    "isn" "isn_weak" Session "changes how the session reads numbers";
    "lo" "lo_manage" Write "removes large objects";
    "pg_buffercache" "pg_buffercache_pages" Node "state of the node";
    "pg_buffercache" "pg_buffercache_summary" Node "state of the node";
    "pg_stat_statements" "pg_stat_statements" Node "counters of the node";
    "pg_stat_statements" "pg_stat_statements_info" Node "counters of the node";
    "pg_trgm" "set_limit" Session "changes a setting of the session";
    "pg_trgm" "show_limit" Session "the last set_limit's";
    "pgcrypto" "gen_random_bytes" Safe "volatile for its randomness only";
    "pgcrypto" "gen_random_uuid" Safe "volatile for its randomness only";
    "pgcrypto" "gen_salt" Safe "volatile for its randomness only";
    "pgcrypto" "pgp_pub_encrypt" Safe "volatile for its randomness only";
    "pgcrypto" "pgp_pub_encrypt_bytea" Safe "volatile for its randomness only";
    "pgcrypto" "pgp_sym_encrypt" Safe "volatile for its randomness only";
    "pgcrypto" "pgp_sym_encrypt_bytea" Safe "volatile for its randomness only";
    "tablefunc" "connectby" Unproven "makes a query of its arguments";
    "tablefunc" "crosstab" Unproven "runs any text";
    "tablefunc" "crosstab2" Unproven "runs any text";
    "tablefunc" "crosstab3" Unproven "runs any text";
    "tablefunc" "crosstab4" Unproven "runs any text";
    "tablefunc" "normal_rand" Safe "volatile for its randomness only";
    "tsm_system_rows" "system_rows" Safe "a sampling method: reads only";
    "tsm_system_time" "system_time" Safe "a sampling method: reads only";
    "uuid-ossp" "uuid_generate_v1" Safe "volatile for the clock only";
    "uuid-ossp" "uuid_generate_v1mc" Safe "volatile for the clock and its randomness only";
    "uuid-ossp" "uuid_generate_v4" Safe "volatile for its randomness only";
    "xml2" "xpath_table" Unproven "makes a query of its arguments";
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_gives_reasons() {
        let key = |entry: &Curated| (entry.extension, entry.name);
        assert!(CURATED.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
        assert!(CURATED.iter().all(|entry| !entry.why.is_empty()));
        assert_eq!(class("pgcrypto", "gen_salt"), Some(Safe));
        assert_eq!(class("mine", "gen_salt"), None);
    }
}
