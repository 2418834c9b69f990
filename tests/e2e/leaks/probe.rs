//! Everything that a client can see of its session, asked on the primary and on the standby.
//!
//! Absent: whether the name of a custom setting was ever used on a connection, and whether PL/pgSQL was. PostgreSQL
//! cannot undo either. So are the temporary schema's own number and what stands in it once nothing is left.

use std::collections::BTreeMap;

use pgweir_sandbox::Client;
use pgweir_sandbox::client::{Address, Message};

use crate::harness::{ask, bind, difference, execute, local, message, query, sync, without_source};

/// What a session shows on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen(Vec<Message>);

/// What a session shows that nobody had before.
pub(super) struct Fresh {
    parameters: BTreeMap<String, String>,
    primary: Seen,
    standby: Seen,
    /// What `random()` says next to a session that has chosen its seed.
    chosen: Vec<String>,
}

impl Fresh {
    /// Asks the nodes themselves.
    pub(super) fn of(primary: u16, standby: u16) -> Self {
        let connect = |port| Client::connect(&local(port), "postgres", "postgres").unwrap();
        let mut seeded = connect(primary);
        seeded.query("SELECT setseed(0.25)").unwrap();
        let next = |_| seeded.query("SELECT random()").unwrap().value().to_owned();
        let chosen: Vec<String> = (0..5).map(next).collect();
        let mut on_primary = connect(primary);
        Self {
            parameters: on_primary.parameters().clone(),
            primary: see(&mut on_primary, &on_a_primary(&chosen)),
            standby: see(&mut connect(standby), &on_a_standby(&chosen)),
            chosen,
        }
    }

    /// How a new session differs from a fresh one.
    pub(super) fn difference(&self, address: &Address) -> Option<String> {
        let mut client = Client::connect(address, "postgres", "postgres").unwrap();
        if client.parameters() != &self.parameters {
            return Some(format!("the login reports {:?}", client.parameters()));
        }
        // First what only reads: a session reads from no standby that may lack what it wrote.
        let Seen(standby) = see(&mut client, &on_a_standby(&self.chosen));
        let Seen(primary) = see(&mut client, &on_a_primary(&self.chosen));
        let _closed = client.close();
        let of = |node, found: Option<String>| found.map(|text| format!("on the {node}: {text}"));
        of("primary", difference(&self.primary.0, &primary))
            .or_else(|| of("standby", difference(&self.standby.0, &standby)))
    }
}

/// Asks one question after the other, all of them without waiting.
fn see(client: &mut Client, questions: &[Vec<u8>]) -> Seen {
    let said = ask(client, &questions.concat(), questions.len());
    Seen(said.into_iter().map(without_source).collect())
}

fn on_a_primary(chosen: &[String]) -> Vec<Vec<u8>> {
    let mut questions = in_block("BEGIN READ WRITE", chosen);
    questions.extend(FOR_ERRORS.iter().map(|sql| query(sql)));
    questions
}

fn on_a_standby(chosen: &[String]) -> Vec<Vec<u8>> {
    in_block("BEGIN READ ONLY", chosen)
}

/// Statements and portals of the protocol. The unnamed statement first: any simple query ends it.
fn names() -> Vec<Vec<u8>> {
    let alone = |said: Vec<u8>| [said, sync()].concat();
    vec![
        alone(bind("", &[])),
        alone(execute()),
        alone(bind("left", &[])),
        alone(message(b'D', b"Sleft\0")),
        alone(message(b'D', b"Sleft_statement\0")),
        alone(message(b'D', b"Pleft_cursor\0")),
    ]
}

fn in_block(begin: &str, chosen: &[String]) -> Vec<Vec<u8>> {
    let random = format!("SELECT random()::text IN ('{}')", chosen.join("', '"));
    let texts = [&[begin], IN_BLOCK, &[&random, "COMMIT"]].concat();
    names().into_iter().chain(texts.iter().map(|sql| query(sql))).collect()
}

const IN_BLOCK: &[&str] = &[
    // Both in one look: that is most of what a round costs.
    "SELECT count(*), array_agg((name, setting)) FILTER \
     (WHERE source = 'session' OR setting IS DISTINCT FROM reset_val OR name = 'port') \
     FROM pg_settings WHERE name NOT LIKE 'plpgsql.%'",
    "SELECT coalesce(current_setting('left.custom', true), '')",
    "SELECT session_user, current_user, current_schemas(false)",
    "SELECT pg_listening_channels()",
    "SELECT name, statement, is_holdable FROM pg_cursors",
    "SELECT name, statement, from_sql FROM pg_prepared_statements WHERE name !~ '^pgweir_[0-9a-f]{32}$'",
    "SELECT mode, locktype FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'",
    "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), \
     (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()), \
     (SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema())",
    "SELECT to_regclass('left_table'), to_regtype('pg_temp.left_type'), to_regclass('numbers')",
];

const FOR_ERRORS: &[&str] = &[
    "SELECT currval('counted')",
    "SELECT lastval()",
    "EXECUTE left_statement",
    "FETCH left_cursor",
    "SELECT loread(0, 1)",
    "TABLE left_table",
    "COMMIT",
    "NOTIFY left_channel",
    "SELECT txid_current_if_assigned() FOR UPDATE",
];
