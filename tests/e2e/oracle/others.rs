//! Other clients of the same pool: they hold servers, change their settings and use the same names, so that a session
//! gets another server from step to step.

use pgweir_sandbox::{Client, SandboxError};

use crate::harness::{Random, Site, bind, execute, message, parse, sync};

pub(super) struct Others(Vec<Client>);

impl Others {
    pub(super) fn of(site: &Site, count: usize) -> Self {
        Self((0..count).map(|_| site.try_connect("postgres", "proxied").unwrap()).collect())
    }

    /// Each of them may do something, and is served at once.
    pub(super) fn stir(&mut self, random: &mut Random) {
        for client in &mut self.0 {
            match random.below(4) {
                0 => {}
                1 => {
                    let text = format!("SELECT 'other', {}", random.below(3));
                    let name = *random.pick(&["", "s1", "s2"]);
                    let close = message(b'C', &[b"S", name.as_bytes(), b"\0"].concat());
                    let said = [close, parse(name, &text), bind(name, &[]), execute(), sync()].concat();
                    client.wire().send(&said).unwrap();
                    answered(client.reply());
                }
                _ => {
                    let text = *random.pick(TEXTS);
                    answered(client.query(text));
                }
            }
        }
    }
}

/// A block that has failed refuses statements; nothing else may go wrong.
fn answered<T>(reply: Result<T, SandboxError>) {
    if let Err(error) = reply {
        assert!(matches!(error, SandboxError::Server(_)), "another client is not answered: {error}");
    }
}

/// None waits for another client, or makes one wait.
const TEXTS: &[&str] = &[
    "SELECT count(*) FROM others",
    "UPDATE others SET n = n",
    "ROLLBACK; BEGIN; SELECT pg_current_xact_id_if_assigned()",
    "ROLLBACK; BEGIN READ ONLY; SELECT count(*) FROM others",
    "ROLLBACK",
    "ROLLBACK",
    "SET datestyle TO 'German'",
    "SET search_path TO pg_catalog, public",
    "SET work_mem TO '10MB'",
    "SET my.x TO 'another'",
    "SET timezone TO 'Europe/Paris'",
    "RESET ALL",
];
