//! Prepared transactions that wait for their second phase: how many, and since when.
//!
//! Why: nobody owns one. It survives its client, its server connection and a restart, and until somebody ends it, it holds its
//! locks and keeps dead rows alive; so an operator must hear of it.
//! Invariants: each is warned of once; the question is bounded in rows and in time, and asked only of the primary.
//! Absent: ending any. Only the transaction manager that prepared it knows how.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

/// How often the primary is asked.
const INTERVAL: Duration = Duration::from_secs(3);
/// An answer that is older says nothing any more.
const VALID_FOR: Duration = Duration::from_secs(15);

/// The prepared transactions of a cluster at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PreparedTransactions {
    pub(crate) count: u64,
    /// How long ago the oldest of them was prepared.
    pub(crate) oldest: Option<Duration>,
    at: Instant,
}

impl PreparedTransactions {
    /// What is true at `now`, as far as anybody knows.
    pub(crate) fn as_of(self, now: Instant) -> Option<Self> {
        let since = now.saturating_duration_since(self.at);
        let oldest = self.oldest.map(|age| age + since);
        (since <= VALID_FOR).then_some(Self { oldest, at: now, ..self })
    }
}

/// One prepared transaction, as the server shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prepared {
    /// Its number, which no other has for a long time; names are used again.
    transaction: String,
    gid: String,
    owner: String,
    database: String,
    age: Duration,
}

/// What one node was asked, and whom an operator was warned of.
#[derive(Debug, Default)]
pub(crate) struct PreparedWatch {
    asked: Option<Instant>,
    warned: HashSet<String>,
}

impl PreparedWatch {
    /// Whether it is time to ask.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= INTERVAL)
    }

    /// Asks the primary, and warns of what is older than `age_warn`.
    pub(crate) async fn ask(
        &mut self,
        cluster: &str,
        client: &Client,
        age_warn: Option<Duration>,
    ) -> Result<PreparedTransactions, tokio_postgres::Error> {
        let at = Instant::now();
        self.asked = Some(at);
        let answer = client.simple_query(QUESTION).await?;
        let rows = answer.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => read(row),
            _ => None,
        });
        let (counts, seen): (Vec<u64>, Vec<Prepared>) = rows.unzip();
        for it in self.overdue(&seen, age_warn) {
            let Prepared { gid, owner, database, age, .. } = it;
            tracing::warn!(
                cluster,
                gid,
                owner,
                database,
                ?age,
                "a prepared transaction waits for COMMIT PREPARED or ROLLBACK PREPARED and holds its locks"
            );
        }
        let oldest = seen.first().map(|it| it.age);
        Ok(PreparedTransactions { count: counts.first().copied().unwrap_or(0), oldest, at })
    }

    /// Those that are too old and were not warned of yet. The others are forgotten once they are gone.
    fn overdue<'a>(&mut self, seen: &'a [Prepared], age_warn: Option<Duration>) -> Vec<&'a Prepared> {
        let old = seen.iter().filter(|it| age_warn.is_some_and(|limit| it.age >= limit));
        let (before, old) = (std::mem::take(&mut self.warned), old.collect::<Vec<_>>());
        self.warned = old.iter().map(|it| it.transaction.clone()).collect();
        old.into_iter().filter(|it| !before.contains(&it.transaction)).collect()
    }
}

/// The oldest of them, and how many there are altogether. Manual: System Views, "pg_prepared_xacts".
const QUESTION: &str = "\
SELECT pg_catalog.count(*) OVER (), p.transaction, p.gid, p.owner, p.database,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - p.prepared)
  FROM pg_catalog.pg_prepared_xacts p ORDER BY p.prepared LIMIT 100";

fn read(row: &SimpleQueryRow) -> Option<(u64, Prepared)> {
    let text = |place: usize| row.get(place).map(str::to_owned);
    let age: f64 = row.get(5)?.parse().ok()?;
    let prepared = Prepared {
        transaction: text(1)?,
        gid: text(2)?,
        // Dropped roles and databases have no name.
        owner: text(3).unwrap_or_default(),
        database: text(4).unwrap_or_default(),
        age: Duration::try_from_secs_f64(age.max(0.0)).ok()?,
    };
    Some((row.get(0)?.parse().ok()?, prepared))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(transaction: u32, age: u64) -> Prepared {
        let text = || "x".to_owned();
        let age = Duration::from_secs(age);
        Prepared { transaction: transaction.to_string(), gid: text(), owner: text(), database: text(), age }
    }

    #[test]
    fn each_is_warned_of_once() {
        let (mut watch, limit) = (PreparedWatch::default(), Some(Duration::from_secs(60)));
        let mut warned = |seen: &[Prepared]| -> Vec<String> {
            watch.overdue(seen, limit).into_iter().map(|it| it.transaction.clone()).collect()
        };
        assert!(warned(&[prepared(1, 59)]).is_empty());
        assert_eq!(warned(&[prepared(1, 62), prepared(2, 61)]), ["1", "2"]);
        assert!(warned(&[prepared(1, 65), prepared(2, 64)]).is_empty());
        assert_eq!(warned(&[prepared(2, 67), prepared(3, 60)]), ["3"]);
        assert!(watch.overdue(&[prepared(9, 1_000_000)], None).is_empty());
    }

    #[test]
    fn an_old_answer_ages_and_then_says_nothing() {
        let at = Instant::now();
        let seen = PreparedTransactions { count: 1, oldest: Some(Duration::from_secs(2)), at };
        let later = seen.as_of(at + Duration::from_secs(5)).unwrap();
        assert_eq!((later.count, later.oldest), (1, Some(Duration::from_secs(7))));
        assert_eq!(seen.as_of(at + VALID_FOR + Duration::from_secs(1)), None);
    }
}
