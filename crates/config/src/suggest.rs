//! Guesses what was meant by a name that does not exist.

/// Names that users of other poolers know, with ours.
const ALIASES: &[(&str, &str)] = &[
    ("admin_users", "admin.users"),
    ("auth_dbname", "auth.query_database"),
    ("auth_file", "auth.users_file"),
    ("auth_query", "auth.query"),
    ("auth_type", "auth.method"),
    ("auth_user", "auth.query_user"),
    ("client_login_timeout", "listen.startup_timeout"),
    ("client_tls_ca_file", "listen.tls_ca"),
    ("client_tls_cert_file", "listen.tls_cert"),
    ("client_tls_key_file", "listen.tls_key"),
    ("client_tls_sslmode", "listen.tls_mode"),
    ("dbname", "server_database"),
    ("default_pool_size", "pool.size"),
    ("host", "address"),
    ("listen_addr", "listen.address"),
    ("listen_backlog", "listen.backlog"),
    ("listen_port", "listen.address"),
    ("max_client_conn", "listen.clients_max"),
    ("max_db_connections", "pool.database_connections_max"),
    ("max_prepared_statements", "limits.server_statements_max"),
    ("max_user_connections", "pool.user_connections_max"),
    ("min_pool_size", "pool.min_size"),
    ("port", "address"),
    ("query_wait_timeout", "pool.wait_timeout"),
    ("reserve_pool_size", "pool.reserve_size"),
    ("reserve_pool_timeout", "pool.reserve_after"),
    ("server_check_delay", "pool.check_after_idle"),
    ("server_connect_timeout", "pool.connect_timeout"),
    ("server_idle_timeout", "pool.idle_timeout"),
    ("server_lifetime", "pool.lifetime"),
    ("server_tls_ca_file", "tls_ca"),
    ("server_tls_cert_file", "tls_cert"),
    ("server_tls_key_file", "tls_key"),
    ("server_tls_sslmode", "tls_mode"),
    ("sslmode", "tls_mode"),
];

/// Our name for a setting of PgBouncer or libpq.
pub(crate) fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
}

/// The candidate that differs least from `name`, if it is close enough to be what was meant.
pub(crate) fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    let scored = candidates.into_iter().map(|candidate| (distance(name, candidate), candidate));
    let (best, candidate) = scored.min_by_key(|(distance, _)| *distance)?;
    (best <= allowed).then_some(candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(NAME_MAX).collect();
    let to: Vec<char> = to.chars().take(NAME_MAX).collect();
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let same = usize::from(from[i - 1] != to[j - 1]);
            let mut least = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + same);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(before_at(&before, j - 2) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

fn before_at(row: &[usize], at: usize) -> usize {
    row.get(at).copied().unwrap_or(usize::MAX - 1)
}

/// Longer names are compared by their beginnings: the work stays small whatever the file holds.
const NAME_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::{closest, distance};

    #[test]
    fn counts_edits() {
        assert_eq!(distance("size", "size"), 0);
        assert_eq!(distance("sizze", "size"), 1);
        assert_eq!(distance("szie", "size"), 1);
        assert_eq!(distance("", "size"), 4);
        assert_eq!(distance("mode", "size"), 3);
    }

    #[test]
    fn suggests_only_what_is_close() {
        assert_eq!(closest("wieght", ["weight", "zone"]), Some("weight"));
        assert_eq!(closest("colour", ["weight", "zone"]), None);
    }
}
