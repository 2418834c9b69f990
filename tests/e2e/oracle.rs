//! One script, two answers: what a client hears through pgweir is what PostgreSQL says, byte for byte.
//!
//! Why random scripts: the answers to a message depend on all that was said before, and nobody thinks of all of it. Each
//! script goes to the primary itself, in one database, and through pgweir, in a copy of it, where other clients make the
//! session change servers. `ORACLE_SEED=` plays one script again; the smallest script that differs is shown.
//! Absent from the comparison: process numbers, OIDs of tables that the script made, the order of parameters that are
//! reported together, and which line of PostgreSQL's source complains (some errors are pgweir's own).

mod others;
mod script;
mod texts;

use std::cell::RefCell;
use std::time::Duration;

use pgweir_sandbox::client::{Address, Message};
use pgweir_sandbox::{Binaries, Client};

use crate::harness::{
    Random, Setup, Site, difference, local, message, parse, seed_from, sync, without_source,
};
use others::Others;
use script::{Script, Step, StepEnd};

#[test]
fn scripts_are_answered_as_postgresql_answers_them_on_the_oldest_postgresql() {
    let installed = Binaries::installed();
    scripts_are_answered_as_postgresql_answers_them(installed.last().expect("PostgreSQL is installed"));
}

#[test]
fn scripts_are_answered_as_postgresql_answers_them_on_the_newest_postgresql() {
    let newest = Binaries::newest().expect("PostgreSQL is installed");
    scripts_are_answered_as_postgresql_answers_them(&newest);
}

fn scripts_are_answered_as_postgresql_answers_them(binaries: &Binaries) {
    let stage = Stage::set(binaries);
    let (first, scripts) = match seed_from("ORACLE_SEED") {
        Some(seed) => (seed, 1),
        None => (0, SCRIPTS),
    };
    for seed in first..first + scripts {
        let script = Script::of(seed);
        if let Some(found) = stage.compare(&script, seed) {
            let (script, found) = stage.reduce(script, found, seed);
            panic!("ORACLE_SEED={seed}:{}\n  is answered differently: {found}", script.shown());
        }
    }
}

/// A cluster with two databases that are alike.
struct Stage {
    site: Site,
    direct: Address,
    /// Tables from here on were made by scripts.
    first_oid: u32,
    others: RefCell<Others>,
}

impl Stage {
    fn set(binaries: &Binaries) -> Self {
        let site = Setup::on(binaries).standbys(2).set("pool", "size", "4").start();
        let primary = site.cluster.primary();
        let mut client = primary.connect("postgres").unwrap();
        client.query("CREATE ROLE somebody").unwrap();
        client.query("CREATE DATABASE direct").unwrap();
        for sql in TABLES {
            primary.query("direct", sql).unwrap();
        }
        client.query("CREATE DATABASE proxied TEMPLATE direct").unwrap();
        for database in ["direct", "proxied"] {
            client.query(&format!("ALTER DATABASE {database} SET lock_timeout TO '500ms'")).unwrap();
        }
        let first_oid = primary.query("direct", "SELECT max(oid::int8) + 1 FROM pg_class").unwrap();
        let first_oid = first_oid.value().parse().unwrap();
        site.wait_caught_up();
        let direct = local(primary.port());
        let others = RefCell::new(Others::of(&site, 2));
        Self { site, direct, first_oid, others }
    }

    /// How the answers to a script differ.
    fn compare(&self, script: &Script, seed: u64) -> Option<String> {
        let wanted = self.play(&self.direct, "direct", script, None);
        let mut others = self.others.borrow_mut();
        let mut random = Random::new(seed);
        let got = self.play(&self.site.pgweir.address(), "proxied", script, Some((&mut others, &mut random)));
        if wanted.len() <= script.0.len() {
            return Some(UNANSWERED.to_owned());
        }
        let steps = wanted.iter().zip(&got).enumerate();
        let mut found = steps.filter_map(|(step, (wanted, got))| {
            difference(&forgiven(wanted, got), got).map(|text| format!("in step {step}, {text}"))
        });
        found.next().or_else(|| (wanted.len() != got.len()).then(|| "the session ends early".to_owned()))
    }

    /// The smallest script that differs too, as far as leaving things out leads to it.
    fn reduce(&self, mut script: Script, mut found: String, seed: u64) -> (Script, String) {
        let mut left = ATTEMPTS;
        'smaller: loop {
            for shorter in script.shorter() {
                left -= 1;
                if left == 0 {
                    return (script, found);
                }
                if let Some(text) = self.compare(&shorter, seed).filter(|text| text != UNANSWERED) {
                    (script, found) = (shorter, text);
                    continue 'smaller;
                }
            }
            return (script, found);
        }
    }

    /// What a new session hears, step by step. A step without its whole answer is the last one.
    fn play(
        &self,
        address: &Address,
        database: &str,
        script: &Script,
        mut others: Option<(&mut Others, &mut Random)>,
    ) -> Vec<Vec<Message>> {
        let mut client = Client::connect(address, "postgres", database).unwrap();
        client.set_timeout(Duration::from_secs(10)).unwrap();
        for sql in FIRST {
            client.query(sql).expect("the session and its tables begin as they should");
        }
        let last = Step { said: Vec::new(), end: StepEnd::Mark };
        let mut heard = Vec::new();
        for step in script.0.iter().chain([&last]) {
            if let Some((others, random)) = &mut others {
                others.stir(random);
            }
            let (messages, all) = hear(&mut client, step);
            let mut messages: Vec<Message> =
                messages.into_iter().map(|message| self.comparable(message)).collect();
            // Several settings that changed at a time are reported in an order of PostgreSQL's own.
            for reports in messages.chunk_by_mut(|a, b| (a.tag, b.tag) == (b'S', b'S')) {
                reports.sort_by(|a, b| a.body.cmp(&b.body));
            }
            heard.push(messages);
            if !all {
                break;
            }
        }
        let _closed = client.close();
        if script.prepares_transaction() {
            self.undo_prepared(database);
        }
        heard
    }

    /// Rolls back what a script has left prepared, or its locks would stay.
    fn undo_prepared(&self, database: &str) {
        let mut client = self.site.cluster.primary().connect(database).unwrap();
        let of_this = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()";
        for row in client.query(of_this).unwrap().rows {
            let gid = row[0].as_deref().unwrap();
            client.query(&format!("ROLLBACK PREPARED '{gid}'")).unwrap();
        }
    }

    /// The message without what may differ.
    fn comparable(&self, message: Message) -> Message {
        let mut message = without_source(message);
        match message.tag {
            b'A' => message.body[..4].fill(0),
            b'T' => self.forget_new_tables(&mut message.body),
            _ => {}
        }
        message
    }

    /// Fills the OIDs of tables that a script has made in a RowDescription.
    fn forget_new_tables(&self, body: &mut [u8]) {
        let mut at = 2;
        while let Some(name) = body[at..].iter().position(|&byte| byte == 0) {
            let oid = &mut body[at + name + 1..at + name + 5];
            if u32::from_be_bytes(oid.try_into().unwrap()) >= self.first_oid {
                oid.fill(0);
            }
            at += name + 1 + 18;
        }
    }
}

/// What PostgreSQL says, with pgweir's errors in place of those that are as good. In a failed block a server that lacks
/// the statement cannot be given it to count its parameters, so that the block has failed is all that it says.
fn forgiven(wanted: &[Message], got: &[Message]) -> Vec<Message> {
    let is = |message: &Message, sqlstate: &[u8]| {
        message.tag == b'E' && message.body.windows(7).any(|field| field == [b"C", sqlstate, b"\0"].concat())
    };
    let fails_sooner = |wanted: &Message, got: &Message| is(wanted, b"08P01") && is(got, b"25P02");
    let as_good = |at: usize, wanted: &Message| got.get(at).filter(|got| fails_sooner(wanted, got)).cloned();
    let said = wanted.iter().enumerate();
    said.map(|(at, wanted)| as_good(at, wanted).unwrap_or_else(|| wanted.clone())).collect()
}

/// Sends a step and answers what comes back, and whether that was all.
fn hear(client: &mut Client, step: &Step) -> (Vec<Message>, bool) {
    let mut bytes = step.bytes();
    if step.end == StepEnd::Mark {
        bytes.extend(mark());
    }
    let mut heard = Vec::new();
    if client.wire().send(&bytes).is_err() {
        return (heard, false);
    }
    while !is_all(step, &heard) {
        match client.wire().recv() {
            Ok(message) => heard.push(message),
            Err(_) => return (heard, false),
        }
    }
    (heard, true)
}

fn is_all(step: &Step, heard: &[Message]) -> bool {
    let count = |tags: &[u8]| heard.iter().filter(|message| tags.contains(&message.tag)).count();
    match step.end {
        StepEnd::Ready => count(b"Z") >= step.ready(),
        StepEnd::Flush => count(b"E") > 0 || count(b"123CsITn") + 1 >= step.said.len(),
        StepEnd::Mark => {
            let tags: Vec<u8> =
                heard.iter().map(|message| message.tag).filter(|tag| !b"NSA".contains(tag)).collect();
            tags.ends_with(MARK_HEARD)
        }
    }
}

/// Ends whatever is under way, and is answered as nothing else is, in a failed block too: a statement without text that is
/// described twice.
fn mark() -> Vec<u8> {
    let describe = message(b'D', b"Smark\0");
    let close = message(b'C', b"Smark\0");
    [message(b'f', b"the mark\0"), sync(), parse("mark", ""), describe.repeat(2), close, sync()].concat()
}

const MARK_HEARD: &[u8] = b"1tntn3Z";

const TABLES: &[&str] = &[
    "CREATE TABLE t (n int PRIMARY KEY, s text)",
    "CREATE TABLE others (n int)",
    "CREATE SCHEMA other",
    "CREATE TABLE here (where_am_i text)",
    "CREATE TABLE other.here (where_am_i text)",
    "INSERT INTO here VALUES ('public')",
    "INSERT INTO other.here VALUES ('other')",
    "GRANT ALL ON t, here TO somebody",
];

/// What each session does first. The rows are a write of its own, so that its reads on standbys see them. The custom
/// setting is there, since a server that another session gave one cannot forget its name.
const FIRST: [&str; 2] = [
    "SET my.x TO 'begun'",
    "DELETE FROM t; INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 20) g",
];

const UNANSWERED: &str = "PostgreSQL does not answer the script in full";

/// Of each version.
const SCRIPTS: u64 = 120;
/// How many scripts are tried on the way to the smallest one.
const ATTEMPTS: u32 = 80;
