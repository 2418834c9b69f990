//! Random clients.
//!
//! Left out is what PostgreSQL answers differently for a reason that is known: see the comments.

use std::fmt;

use super::super::frames::*;
use super::super::model::Model;
use super::super::random::Random;

const READS: &[&str] = &[
    "SELECT 'a'",
    "SELECT count(*) FROM t",
    "VALUES ('a'), ('b'), ('c')",
    "SHOW my.x",
    "SHOW my.z",
    "SHOW datestyle",
    "SHOW role",
    "COPY t TO STDOUT",
    "",
];
const ERRORS: &[&str] = &["SELECT 1/0", "FROBNICATE", "ROLLBACK TO nothing", "SELECT 'a'; FROBNICATE"];
const BLOCKS: &[&str] = &[
    "BEGIN",
    "BEGIN READ ONLY",
    "BEGIN WORK READ WRITE",
    "START TRANSACTION",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT TRANSACTION",
];
const INSIDE: &[&str] = &["SAVEPOINT s", "SAVEPOINT t", "ROLLBACK TO s", "RELEASE s", "COMMIT", "ROLLBACK"];
const SETTINGS: &[&str] = &[
    "SET my.x TO 'one'",
    "SET my.x TO 'two'",
    "SET my.y TO 'three'",
    "SET LOCAL my.x TO 'local'",
    "RESET my.x",
    "SET search_path TO 'here'",
    "SET datestyle TO 'YMD'",
    "SET datestyle TO 'German'",
    "SET LOCAL datestyle TO 'MDY'",
    "SET application_name TO 'me'",
    "SET role TO 'ann'",
    "SET LOCAL role TO 'eve'",
    "SET session_authorization TO 'bob'",
    "RESET role",
    "RESET session_authorization",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "RESET datestyle",
    "RESET my.z",
    "SET my.z TO DEFAULT",
    "RESET ALL",
    "DISCARD ALL",
];
/// What holds the server, ends that, or may have done so.
const HOLDS: &[&str] = &[
    "LISTEN c",
    "UNLISTEN *",
    "CREATE TEMP TABLE x",
    "DROP TABLE x",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_advisory_unlock(1)",
    "SELECT locks()",
    "SELECT unlocks()",
    "SELECT sets()",
    "SELECT hides()",
    "SELECT held()",
];
const SEQUENCES: &[&str] =
    &["SELECT nextval('s')", "SELECT currval('s')", "SELECT currval('s')", "DISCARD SEQUENCES"];
const NAMES: &[&str] = &["a", "b", "c", "d"];

/// What a client sends: each chunk when the one before it is answered.
pub(super) struct Script {
    pub(super) chunks: Vec<Vec<u8>>,
    notes: Vec<String>,
}

struct Writer<'a> {
    random: &'a mut Random,
    writes: usize,
    /// Whether the pool's clients ask for sequence values.
    sequences: bool,
    /// Whether `direct` is in an explicit block, or may be in one.
    block: bool,
    /// Whether `direct` is in a READ ONLY block, which may be on a standby: nothing may bind a session to it.
    read_only: bool,
    notes: Vec<String>,
}

impl Script {
    /// A script, which `direct` has answered.
    pub(super) fn random(random: &mut Random, direct: &mut Model, sequences: bool) -> Self {
        // No two clients write the same.
        let first = random.below(1 << 40) * 1000;
        let mut writer =
            Writer { random, writes: first, block: false, read_only: false, sequences, notes: Vec::new() };
        let mut chunks = vec![Vec::new()];
        for _ in 0..3 + writer.random.below(14) {
            let unit = writer.unit();
            direct.receive(&unit);
            writer.block = direct.is_in_block();
            writer.read_only = direct.is_read_only();
            chunks.last_mut().expect("there is one").extend_from_slice(&unit);
            if writer.random.one_in(3) {
                writer.notes.push("…".to_owned());
                chunks.push(Vec::new());
            }
        }
        let notes = std::mem::take(&mut writer.notes);
        Self { chunks, notes }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.notes.join(" | "))
    }
}

impl Writer<'_> {
    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        self.random.pick::<&str>(from)
    }

    fn write(&mut self) -> String {
        self.writes += 1;
        format!("INSERT INTO t VALUES ('{}')", self.writes)
    }

    fn row(&mut self) -> Vec<u8> {
        self.writes += 1;
        copy_data(&format!("row {}", self.writes))
    }

    fn note(&mut self, note: impl fmt::Display) {
        self.notes.push(note.to_string());
    }

    fn text(&mut self) -> String {
        match self.random.below(15) {
            12 if self.sequences && !self.read_only => self.pick(SEQUENCES).to_owned(),
            13..=14 if !self.read_only => self.pick(HOLDS).to_owned(),
            0..=4 => self.pick(READS).to_owned(),
            5..=6 => self.write(),
            7 => self.pick(ERRORS).to_owned(),
            8..=9 => self.pick(SETTINGS).to_owned(),
            10 if self.block => self.pick(INSIDE).to_owned(),
            10..=11 => self.pick(BLOCKS).to_owned(),
            _ => "SELECT 'a'".to_owned(),
        }
    }

    /// What ends with a ReadyForQuery, whatever happens.
    fn unit(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0..=3 => self.simple(),
            4..=6 => self.segment(),
            7..=8 => self.named(),
            9 => self.copy(),
            10 => self.portal(),
            _ if self.random.one_in(3) => {
                self.note("function call");
                function_call()
            }
            _ => self.close(),
        }
    }

    fn simple(&mut self) -> Vec<u8> {
        let text = match self.random.below(8) {
            6 => self.string(),
            0 => format!("{}; {}", self.write(), self.write()),
            1 => format!(
                "SELECT 'a'; {}; SELECT 'b'",
                self.pick(&["SELECT 1/0", "SELECT 'c'", "COPY t TO STDOUT"])
            ),
            _ => self.text(),
        };
        self.note(&text);
        query(&text)
    }

    /// Several statements that change settings, begin and end blocks, or fail.
    fn string(&mut self) -> String {
        let count = 2 + self.random.below(4);
        let texts: Vec<&str> = (0..count)
            .map(|_| match self.random.below(8) {
                0..=2 => match self.pick(SETTINGS) {
                    // Should the string fail behind a savepoint, our SET comes too late.
                    "RESET ALL" | "RESET datestyle" | "RESET my.z" | "SET my.z TO DEFAULT" => "RESET my.x",
                    text => text,
                },
                3 => self.pick(&["BEGIN", "COMMIT", "ROLLBACK"]),
                4 if self.block => self.pick(INSIDE),
                5 => self.pick(&["SELECT 1/0", "SHOW my.y", "UNLISTEN *"]),
                _ => self.pick(&["SELECT 'a'", "SHOW my.x"]),
            })
            .collect();
        texts.join("; ")
    }

    fn segment(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..=self.random.below(3) {
            let text = self.text();
            self.note(format!("[{text}]"));
            match self.random.below(4) {
                0 => out.extend(all(&[
                    parse("", "SELECT $1::text"),
                    bind_portal("", "", Some("x")),
                    execute(),
                ])),
                1 => out.extend(all(&[
                    parse("", "SELECT $1::text"),
                    bind_portal("", "", Some("bad")),
                    execute(),
                ])),
                _ => out.extend(run(&text)),
            }
            match self.random.below(14) {
                12 => out.extend(all(&[bind_portal("", "", Some("x")), execute()])),
                13 => out.extend(close_statement("")),
                0 => out.extend(flush()),
                1 => out.extend(query("SELECT 'in between'")),
                2 => out.extend(sync()),
                _ => {}
            }
        }
        self.note("sync");
        out.extend(sync());
        out
    }

    /// Named statements. They are parsed outside of blocks: in a failed one a Parse of a known statement may succeed.
    fn named(&mut self) -> Vec<u8> {
        let name = self.pick(NAMES);
        let mut out = Vec::new();
        if !self.block && self.random.one_in(2) {
            if self.random.one_in(4) {
                out.extend(run("SELECT 1/0"));
                self.note("fails");
            }
            let texts =
                ["SELECT 'a'", "SELECT 'b'", "SELECT $1::text", "SHOW my.x", "SELECT count(*) FROM t"];
            let text = self.pick(&texts);
            self.note(format!("define {name} = {text}"));
            out.extend(all(&[parse(name, text), describe_statement(name)]));
            match self.random.below(3) {
                0 => out.extend(sync()),
                1 => out.extend(flush()),
                _ => {}
            }
        }
        for _ in 0..self.random.below(3) {
            self.note(format!("use {name}"));
            out.extend(all(&[bind_portal("", name, Some("x")), execute()]));
            if self.random.one_in(3) {
                out.extend(sync());
            }
        }
        self.note("sync");
        out.extend(sync());
        if self.random.one_in(4) {
            let text = match self.random.below(6) {
                0 => format!("DEALLOCATE {name}"),
                1 => "DEALLOCATE ALL".to_owned(),
                2 if !self.read_only => format!("PREPARE {name} AS SELECT 'p'"),
                3 => format!("SET my.x TO 'one'; EXECUTE {name}; DEALLOCATE {name}"),
                _ => format!("EXECUTE {name}"),
            };
            self.note(&text);
            out.extend(if self.random.one_in(2) { query(&text) } else { all(&[run(&text), sync()]) });
        }
        out
    }

    /// Close, which an error in front of it may make the server skip, and what that leaves.
    fn close(&mut self) -> Vec<u8> {
        let name = self.pick(&[NAMES, &[""]].concat());
        let mut out = Vec::new();
        if self.random.one_in(3) {
            self.note("fails");
            out.extend(bind("none"));
        }
        self.note(format!("close {name}"));
        out.extend(all(&[close_statement(name), sync()]));
        if self.random.one_in(2) {
            self.note(format!("use {name}"));
            out.extend(all(&[bind_portal("", name, Some("x")), execute(), sync()]));
        }
        out
    }

    fn copy(&mut self) -> Vec<u8> {
        let begin = "COPY t FROM STDIN";
        // Or the unnamed statement would be run without data for it.
        let other = all(&[parse("", "SELECT $1::text"), sync()]);
        let mut rows: Vec<u8> = (0..self.random.below(3)).flat_map(|_| self.row()).collect();
        if self.random.one_in(4) {
            self.note("bad data");
            rows.extend(copy_data("bad"));
        }
        for _ in 0..self.random.below(6).saturating_sub(3) {
            self.note("a Sync amid data");
            rows.extend(all(&[sync(), self.row()]));
        }
        rows.extend(if self.random.one_in(5) { copy_fail("no") } else { copy_done() });
        match self.random.below(4) {
            0 => {
                self.note("copy by a simple query");
                all(&[query(begin), rows])
            }
            1 => {
                self.note("copy and more by a simple query");
                all(&[query("SELECT 'a'; COPY t FROM STDIN; SELECT 'b'"), rows])
            }
            2 => {
                self.note("copy with a Sync inside");
                all(&[run(begin), sync(), rows, sync(), other])
            }
            _ => {
                self.note("copy");
                all(&[run(begin), rows, sync(), other])
            }
        }
    }

    fn portal(&mut self) -> Vec<u8> {
        self.note("portal");
        let limit = u32::try_from(self.random.below(3)).expect("it is small");
        let mut out = all(&[
            parse("", "VALUES ('a'), ('b'), ('c')"),
            bind_portal("p", "", None),
            describe_portal("p"),
            execute_portal("p", limit),
        ]);
        if self.random.one_in(2) {
            out.extend(all(&[execute_portal("p", 0), close_portal("p")]));
        }
        if self.random.one_in(3) {
            out.extend(all(&[sync(), execute_portal("p", 1)]));
        }
        out.extend(sync());
        out
    }
}
