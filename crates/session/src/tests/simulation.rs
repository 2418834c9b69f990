//! Random clients on a simulated cluster: whatever they send, and whichever server dies, they get what one PostgreSQL
//! would have said.
//!
//! `SIM_SEED=n` replays one seed.

mod script;

use std::sync::Arc;

use pgweir_wire::Header;
use script::Script;

use super::apart::until_write;
use super::frames::shown;
use super::model::{Model, Shared};
use super::random::Random;
use super::shell::{self, End, Pieces, Shell};
use crate::{
    AcceptedSettings, Limits, NodeRole, ProvenStatements, SessionError, SessionSettings, StatementNamer,
};

const SEEDS: u64 = 500;
const CONFLICT: &str = "canceling statement due to conflict with recovery";

/// What may go wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    None,
    /// Servers die, and reads meet conflicts with recovery.
    Servers,
}

/// What became of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It got everything.
    Served,
    /// It was told that its server is lost, or of a conflict.
    Told,
}

#[test]
fn clients_get_what_one_postgresql_would_say() {
    each_seed(|seed| drop(run(seed, Faults::None)));
}

#[test]
fn clients_get_it_or_are_told_when_servers_fail() {
    let mut fates = [0, 0];
    each_seed(|seed| {
        for fate in run(seed, Faults::Servers) {
            fates[usize::from(fate == Fate::Told)] += 1;
        }
    });
    let [served, told] = fates;
    assert!(std::env::var("SIM_SEED").is_ok() || (served > told && told > 0), "{served} served, {told} told");
}

fn each_seed(mut run: impl FnMut(u64)) {
    match std::env::var("SIM_SEED") {
        Ok(seed) => run(seed.parse().expect("SIM_SEED is a number")),
        Err(_) => (0..SEEDS).for_each(run),
    }
}

/// Three clients, one after the other, with the same servers.
fn run(seed: u64, faults: Faults) -> Vec<Fate> {
    let mut random = Random::new(seed);
    let database = Shared::default();
    let alone = Shared::default();
    let (namer, proven) = (Arc::new(StatementNamer::default()), Arc::new(ProvenStatements::default()));
    let accepted = Arc::new(AcceptedSettings::default());
    let pieces = Pieces::Random(Random::new(random.next()));
    let mut shell = Shell::new(shell::settings(&[]), &database, pieces);
    let mut fates = Vec::new();
    let limits = limits(&mut random);
    let sequences = random.one_in(3);
    if sequences {
        proven.read_sequences();
    }
    for id in 1..=3 {
        let startup: &[(&str, &str)] = if random.one_in(2) {
            &[("my.z", "zed"), ("application_name", "app"), ("datestyle", "SQL")]
        } else {
            &[]
        };
        let settings = SessionSettings {
            id,
            limits,
            namer: Arc::clone(&namer),
            proven: Arc::clone(&proven),
            accepted: Arc::clone(&accepted),
            ..shell::settings(startup)
        };
        let apart = (seed + id).is_multiple_of(2);
        shell.next_client(if apart { until_write(settings, "read committed") } else { settings });
        let mut direct = Model::new(NodeRole::Primary, &alone, startup);
        let script = Script::random(&mut random, &mut direct, sequences);
        let fate = play(seed, faults, &mut shell, &mut random, &script, &direct.output);
        fates.push(fate);
        let database = database.borrow();
        assert!(
            database.refused_writes.is_empty(),
            "seed {seed}: a standby was to write {:?}",
            database.refused_writes
        );
        let asked = &alone.borrow().ran;
        let twice = |(what, times): &(&String, &usize)| **times > asked.get(*what).copied().unwrap_or(1);
        let twice: Vec<_> = database.ran.iter().filter(twice).collect();
        assert!(twice.is_empty(), "seed {seed}: ran too often: {twice:?}");
        if fate == Fate::Told {
            break;
        }
        assert_eq!(database.committed, alone.borrow().committed, "seed {seed}: what was written");
        drop(database);
        shell.leave();
    }
    fates
}

/// Limits that are met, or not.
fn limits(random: &mut Random) -> Limits {
    let wide = shell::limits();
    if random.one_in(2) {
        return wide;
    }
    Limits {
        query_bytes_max: 60 + random.below(200),
        segment_bytes_max: random.below(200),
        server_statements_max: 1 + random.below(3),
        pipeline_depth_max: 1 + random.below(10),
        ..wide
    }
}

fn play(
    seed: u64,
    faults: Faults,
    shell: &mut Shell,
    random: &mut Random,
    script: &Script,
    expected: &[u8],
) -> Fate {
    let _replay = Replay(seed, faults, script);
    let every = 20 + random.below(200);
    for chunk in &script.chunks {
        shell.send(chunk);
        while shell.turn() {
            if faults == Faults::Servers && random.one_in(every) {
                meet(shell, random);
            }
        }
    }
    let context = || format!("leased: {:?}", shell.leased);
    let (got, told) = before_conflict(&shell.received);
    if let Some(end) = &shell.end {
        assert_eq!((faults, end), (Faults::Servers, &End::Error(SessionError::ServerLost)), "{}", context());
    }
    if told || shell.end.is_some() {
        assert_eq!(faults, Faults::Servers, "{}", context());
        assert!(expected.starts_with(got), "{}\n got: {}\nwant: {}", context(), shown(got), shown(expected));
        return Fate::Told;
    }
    assert_eq!(shown(got), shown(expected), "{}", context());
    assert_eq!(got, expected, "{}", context());
    Fate::Served
}

/// What a client got before it was told of a conflict with recovery, and whether it was.
fn before_conflict(got: &[u8]) -> (&[u8], bool) {
    let mut at = 0;
    while let Ok(Some(header)) = Header::read(&got[at..]) {
        let end = got.len().min(at + header.total());
        let tells = got[at..end].windows(CONFLICT.len()).any(|window| window == CONFLICT.as_bytes());
        if header.tag == b'E' && tells {
            return (&got[..at], true);
        }
        at = end;
    }
    (got, false)
}

/// Says which run it was that panicked.
struct Replay<'a>(u64, Faults, &'a Script);

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SIM_SEED={} {:?}\nscript: {}", self.0, self.1, self.2);
        }
    }
}

/// Something goes wrong with the server at hand.
fn meet(shell: &mut Shell, random: &mut Random) {
    if random.one_in(2) {
        return shell.kill();
    }
    if let Some(server) = shell.server.as_mut().filter(|server| server.node != 0) {
        server.model.conflicts = 1;
    }
}
