//! What the proxy tells about itself: the one window through which the console and the metrics look in.
//!
//! Why here: the console and the HTTP side must not know sessions, pools or locks, and the relay must not know
//! column names. Between them stand these plain rows and one trait.
//! Invariants: every row is a copy, so a reader never holds a lock of the relay; label values (`kind`, `reason`,
//! `code`) come from closed sets in the code and never from a client's text.
//! Absent: formatting. The console decides how a row looks in SQL, the metrics how it looks to Prometheus.

use std::time::{Duration, SystemTime};

mod rows;

pub use rows::*;

/// The proxy as its operators see it. Every method answers at once from what is known; none waits.
pub trait Report: Send + Sync {
    /// The version of this build, as `0.1.0`.
    fn version(&self) -> &str;
    /// When this process began to serve.
    fn started_at(&self) -> SystemTime;

    /// One row for each database that clients may name or have named.
    fn databases(&self) -> Vec<DatabaseRow>;
    /// One row for each pair of database and user, summed over all nodes.
    fn pools(&self) -> Vec<PoolRow>;
    /// One row for each client connection.
    fn clients(&self) -> Vec<ClientRow>;
    /// One row for each server connection.
    fn servers(&self) -> Vec<ServerRow>;
    /// One row for each user with settings of its own or with connections.
    fn users(&self) -> Vec<UserRow>;
    /// One row for each node of each cluster.
    fn nodes(&self) -> Vec<NodeRow>;
    /// One row for each cluster.
    fn clusters(&self) -> Vec<ClusterRow>;
    /// One row for each cluster whose primary answers.
    fn prepared_transactions(&self) -> Vec<PreparedRow>;
    /// One row for each database whose catalog is kept.
    fn catalogs(&self) -> Vec<CatalogRow>;
    /// How many of each thing exist.
    fn lists(&self) -> Lists;
    /// Every setting with its value in force.
    fn config(&self) -> Vec<ConfigRow>;

    /// Totals since the start, one row for each database.
    fn stats(&self) -> Vec<DatabaseStats>;
    /// Averages over the last full period, one row for each database: see [`Counters::averages_since`].
    fn averages(&self) -> Vec<DatabaseStats>;
    /// Statements by node, kind and the reason for which they went there.
    fn queries(&self) -> Vec<QueryCount>;
    /// Errors that clients were shown, by who is at fault.
    fn errors(&self) -> Vec<ErrorCount>;
    /// How long statements took and how long clients waited for a server.
    fn latencies(&self) -> Latencies;
    /// Where such a client's text would go, and why; `Err` says what is missing.
    fn explain(&self, whose: &Whose<'_>, text: &str) -> Result<Vec<ExplainedRow>, String>;
    /// Statements by shape, those that came most often first; as many as are kept.
    fn routes(&self) -> Vec<RouteRow>;
    /// Statements with hints, by what became of them.
    fn hints(&self) -> Vec<HintCount>;
    /// Sessions bound to one server, by reason.
    fn pins(&self) -> Vec<PinCount>;
    /// Whether anything can be served now.
    fn readiness(&self) -> Readiness;

    /// Reads the configuration again and puts it in force.
    ///
    /// `Ok` holds what the operator should know (say, a change that needs a restart); `Err` says why the old
    /// configuration stays in force.
    fn reload(&self) -> Result<Vec<String>, String>;
    /// Begins to shut down and returns at once.
    fn shutdown(&self, mode: ShutdownMode);
}

/// Whether the proxy can serve anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// At least one node serves.
    Ready,
    /// No node serves, and why; fit for an operator's eyes.
    NotReady(String),
}

/// What a shutdown waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Nothing: connections are closed at once.
    Immediate,
    /// No new clients; the process ends when the last client has left.
    WaitForClients,
    /// No new clients; the process ends when no server is in use.
    WaitForServers,
}

impl Counters {
    /// What happened since `earlier`, `period` ago, in the form of PgBouncer's `avg_` columns: counts and bytes
    /// per second; times per transaction, per query and, for the wait, per server assignment.
    pub fn averages_since(&self, earlier: &Counters, period: Duration) -> Counters {
        let per_second = |now: u64, then: u64| {
            let grown = u128::from(now.saturating_sub(then)) * 1_000_000;
            (grown / period.as_micros().max(1)) as u64
        };
        let each = |now: Duration, then: Duration, count: u64| {
            Duration::from_micros((now.saturating_sub(then).as_micros() / u128::from(count.max(1))) as u64)
        };
        let transactions = self.transactions.saturating_sub(earlier.transactions);
        let queries = self.queries.saturating_sub(earlier.queries);
        let assignments = self.server_assignments.saturating_sub(earlier.server_assignments);
        Counters {
            server_assignments: per_second(self.server_assignments, earlier.server_assignments),
            transactions: per_second(self.transactions, earlier.transactions),
            queries: per_second(self.queries, earlier.queries),
            bytes_received: per_second(self.bytes_received, earlier.bytes_received),
            bytes_sent: per_second(self.bytes_sent, earlier.bytes_sent),
            transaction_time: each(self.transaction_time, earlier.transaction_time, transactions),
            query_time: each(self.query_time, earlier.query_time, queries),
            wait_time: each(self.wait_time, earlier.wait_time, assignments),
            client_parses: per_second(self.client_parses, earlier.client_parses),
            server_parses: per_second(self.server_parses, earlier.server_parses),
            binds: per_second(self.binds, earlier.binds),
            client_logins: per_second(self.client_logins, earlier.client_logins),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_rates_for_counts_and_means_for_times() {
        let then = Counters { queries: 100, query_time: Duration::from_secs(1), ..Counters::default() };
        let now = Counters { queries: 700, query_time: Duration::from_secs(4), ..Counters::default() };
        let average = now.averages_since(&then, Duration::from_secs(60));
        assert_eq!(average.queries, 10);
        assert_eq!(average.query_time, Duration::from_millis(5));
        assert_eq!(average.transactions, 0);
    }

    #[test]
    fn averages_survive_an_empty_period_and_counters_that_went_back() {
        let more = Counters { queries: 5, ..Counters::default() };
        assert_eq!(Counters::default().averages_since(&more, Duration::ZERO), Counters::default());
    }
}
