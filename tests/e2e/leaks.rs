//! Nothing of one client's session is seen by the next one.
//!
//! Why rounds: what a session leaves behind depends on the state, on how its client leaves and on what was there before.
//! Each round picks them by its seed, on pools of one server, so that the next client gets the very server.
//! Invariant: a round leaves nothing in the database, so a round alone (`LEAK_SEED=`) is what it was among others.

mod probe;
mod states;

use std::thread;

use pgweir_sandbox::{Binaries, Client, Cluster};

use crate::harness::{Random, Setup, Site, cancel_request, query, seed_from};
use probe::Fresh;
use states::{Heard, Leaves, State};

#[test]
fn the_next_client_sees_a_fresh_session_on_the_oldest_postgresql() {
    let installed = Binaries::installed();
    the_next_client_sees_a_fresh_session(installed.last().expect("PostgreSQL is installed"));
}

#[test]
fn the_next_client_sees_a_fresh_session_on_the_newest_postgresql() {
    the_next_client_sees_a_fresh_session(&Binaries::newest().expect("PostgreSQL is installed"));
}

fn the_next_client_sees_a_fresh_session(binaries: &Binaries) {
    let site = Setup::on(binaries).standbys(1).set("pool", "size", "1").start();
    prepare(&site.cluster);
    site.wait_caught_up();
    let port = |index: usize| site.cluster.node(index).port();
    let fresh = Fresh::of(port(0), port(1));
    let states = states::all();
    let (first, rounds) = match seed_from("LEAK_SEED") {
        Some(seed) => (seed, 1),
        None => (0, ROUNDS),
    };
    for seed in first..first + rounds {
        let round = Round::chosen(seed, &states);
        let shown = round.shown();
        if let Some(difference) = round.run(&site, &fresh) {
            panic!("LEAK_SEED={seed}: behind {shown} the next client sees another's session {difference}");
        }
    }
}

/// What the states need.
fn prepare(cluster: &Cluster) {
    let hiding = |name: &str, body: &str| {
        format!("CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
    };
    let mut client = cluster.primary().connect("postgres").unwrap();
    for sql in [
        "CREATE TABLE numbers (n int)",
        "CREATE TABLE numbered (n serial)",
        "CREATE SEQUENCE counted",
        "CREATE ROLE somebody",
        &hiding("makes_temporary", "CREATE TEMPORARY TABLE left_table (n int)"),
        &hiding("sets_something", "SET work_mem TO '3MB'"),
        &hiding("locks_something", "PERFORM pg_advisory_lock(7)"),
        &hiding("listens", "LISTEN left_channel"),
        "CREATE PROCEDURE makes_temporary_too() LANGUAGE sql AS 'CREATE TEMPORARY TABLE left_table (n int)'",
    ] {
        client.query(sql).unwrap();
    }
}

/// What the first client does.
struct Round<'a> {
    states: Vec<&'a State>,
    way: Way,
}

/// How a client leaves, or lets its server be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Cancel,
    CancelWhileBusy,
    Close,
    DiscardAll,
    HalfAMessage,
    Reset,
    Rollback,
    Stay,
    Terminate,
    Unread,
}

impl<'a> Round<'a> {
    fn chosen(seed: u64, states: &'a [State]) -> Self {
        let mut random = Random::new(seed);
        let count = 1 + random.below(3);
        let mut chosen: Vec<&State> = (0..count).map(|_| random.pick(states)).collect();
        // What ends in the middle of something is last.
        chosen.sort_by_key(|state| state.leaves == Leaves::Middle);
        let middles = chosen.iter().filter(|state| state.leaves == Leaves::Middle).count();
        chosen.truncate(count + 1 - middles.max(1));
        // A prepared transaction holds its locks, on which another state might wait.
        if let Some(&alone) = chosen.iter().find(|state| state.prepares_transaction()) {
            chosen = vec![alone];
        }
        let way = if middles > 0 { random.pick(&Way::FROM_THE_MIDDLE) } else { random.pick(&Way::FROM_REST) };
        Self { states: chosen, way: *way }
    }

    fn shown(&self) -> String {
        let states: Vec<String> = self.states.iter().map(|state| format!("\n  {:?}", state.name)).collect();
        format!("{}\n  {:?},", states.concat(), self.way)
    }

    /// How the next client's session differs from a fresh one.
    fn run(self, site: &Site, fresh: &Fresh) -> Option<String> {
        let mut client = site.connect();
        for state in &self.states {
            if client.wire().send(&state.said).is_err() || !hears(&mut client, state.heard) {
                break;
            }
        }
        let next = || fresh.difference(&site.pgweir.address());
        let difference = match self.way.leave(client, site) {
            None => next(),
            Some(client) => thread::scope(|scope| {
                let next = scope.spawn(next);
                site.wait_for("the next client is served, or waits since the server is held", || {
                    let waiting = site.pgweir.metric("pgweir_pool_clients", &[("state", "waiting")]);
                    next.is_finished() || waiting == Some(1.0)
                });
                drop(client);
                next.join().expect("the next client is served")
            }),
        };
        if self.states.iter().any(|state| state.prepares_transaction()) {
            undo(site);
        }
        difference
    }
}

impl Way {
    const FROM_THE_MIDDLE: [Self; 4] = [Self::Cancel, Self::Close, Self::Reset, Self::Stay];
    const FROM_REST: [Self; 10] = [
        Self::Cancel,
        Self::CancelWhileBusy,
        Self::Close,
        Self::DiscardAll,
        Self::HalfAMessage,
        Self::Reset,
        Self::Rollback,
        Self::Stay,
        Self::Terminate,
        Self::Unread,
    ];

    /// Leaves, unless the way is to stay. A client that its server has thrown out cannot say anything.
    fn leave(self, mut client: Client, site: &Site) -> Option<Client> {
        match self {
            Self::Cancel => cancel(&client, site),
            Self::CancelWhileBusy => {
                let _sent = client.wire().send(&query("SELECT pg_sleep(0.2)"));
                cancel(&client, site);
            }
            Self::Close => {}
            Self::DiscardAll | Self::Rollback => {
                let text = if self == Self::DiscardAll { "DISCARD ALL" } else { "ROLLBACK" };
                let _failed = client.query(text);
                return Some(client);
            }
            Self::HalfAMessage => {
                let _sent = client.wire().send(&query("SELECT 1")[..7]);
            }
            Self::Reset => {
                let _reset = client.reset();
                return None;
            }
            Self::Stay => return Some(client),
            Self::Terminate => {
                let _closed = client.close();
                return None;
            }
            Self::Unread => {
                let _sent = client.wire().send(&query("SELECT 1; SET work_mem TO '3MB'").repeat(20));
            }
        }
        None
    }
}

/// Asks to cancel, and waits until pgweir has taken the request.
fn cancel(client: &Client, site: &Site) {
    let mut wire = site.wire();
    wire.send(&cancel_request(client.backend_key_data())).unwrap();
    assert_eq!(wire.recv_to_end().unwrap(), b"");
}

/// Whether the server is where the state wants it, and goes on.
fn hears(client: &mut Client, heard: Heard) -> bool {
    let (tag, mut count) = match heard {
        Heard::Nothing => return true,
        Heard::Message(tag) => (tag, 1),
        Heard::Ready(count) => (b'Z', count),
    };
    while count > 0 {
        match client.wire().recv() {
            Ok(message) => {
                let failed = message.tag == b'E' && matches!(heard, Heard::Message(_));
                count -= usize::from(message.tag == tag || failed);
            }
            Err(_) => return false,
        }
    }
    true
}

/// Takes back what is no session's.
fn undo(site: &Site) {
    let mut client = site.cluster.primary().connect("postgres").unwrap();
    if client.query("TABLE pg_prepared_xacts").unwrap().rows.len() == 1 {
        client.query("ROLLBACK PREPARED 'left'").unwrap();
    }
}

/// Of each version.
const ROUNDS: u64 = 1_000;
