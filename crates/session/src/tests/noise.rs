//! Whatever peers send, nothing panics, and a server that broke the protocol is not used again.

use pgweir_cluster::NodeId;
use pgweir_wire::say;

use super::random::Random;
use crate::*;

const FRONTEND: &[u8] = b"BCdcfDEHFPQSXp?";
const BACKEND: &[u8] = b"RK23CWdcGHDIEVvnNAtS1sZT?";
const TEXTS: &[&str] = &[
    "",
    "SELECT 1",
    "INSERT INTO t VALUES (1)",
    "BEGIN",
    "BEGIN READ ONLY",
    "COMMIT",
    "COPY t FROM STDIN",
    "SET a TO b",
    "DISCARD ALL",
    "DEALLOCATE s",
    "\u{fffd}\u{1}'",
    "SELECT 1; COMMIT",
];

fn body(random: &mut Random) -> Vec<u8> {
    let texts = |random: &mut Random, parts: &[&[u8]]| {
        let text = random.pick(TEXTS).as_bytes();
        parts.iter().map(|part| if part.is_empty() { text } else { part }).collect::<Vec<_>>().concat()
    };
    match random.below(9) {
        0 => texts(random, &[b"", b"\0"]),
        1 => texts(random, &[b"s\0", b"", b"\0\0\0"]),
        2 => texts(random, &[b"\0", b"", b"\0\0\0"]),
        3 => b"\0s\0\0\0\0\0\0\0".to_vec(),
        4 => b"\0\0\0\0\0\0\0\0".to_vec(),
        5 => b"Ss\0".to_vec(),
        6 => {
            random.pick(&[&b"I"[..], b"T", b"E", b"?", b"SERROR\0C25006\0\0", b"SFATAL\0C57P01\0\0"]).to_vec()
        }
        7 => (0..random.below(20)).map(|_| random.next() as u8).collect(),
        _ => Vec::new(),
    }
}

fn noise(random: &mut Random, tags: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.below(6) {
        match random.below(12) {
            0 => out.push(random.next() as u8),
            _ => say::frame(&mut out, *random.pick(tags), &[&body(random)]),
        }
    }
    out
}

/// One client and one server that both make noise.
fn run(seed: u64) {
    let mut random = Random::new(seed);
    let limits = Limits {
        query_bytes_max: 60,
        segment_bytes_max: 50,
        pipeline_depth_max: 5,
        ..super::shell::limits()
    };
    let mode = *random.pick(&[PoolMode::Transaction, PoolMode::Statement, PoolMode::Session]);
    let mut session = Session::new(SessionSettings { limits, mode, ..super::shell::settings(&[("a", "b")]) });
    let mut classifier = super::shell::classifier();
    let (mut to_client, mut to_server, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let mut input = Vec::new();
    for _ in 0..60 {
        let mut step = Step {
            now: std::time::Instant::now(),
            classifier: &mut classifier,
            to_client: &mut to_client,
            to_server: &mut to_server,
            events: &mut events,
        };
        if random.one_in(2) {
            input.extend_from_slice(&noise(&mut random, FRONTEND));
            let Ok(took) = session.on_client(&input, &mut step) else { return };
            input.drain(..took.bytes);
            match took.next {
                Next::Lease(_) if random.one_in(8) => {
                    let refusal = Refusal { sqlstate: "53300", message: "no".to_owned() };
                    let taken = session.refuse(&input, &refusal, &mut step);
                    input.drain(..taken);
                }
                Next::Lease(demand) => {
                    let server = Box::new(ServerState::new(std::sync::Arc::default(), Reported::new()));
                    let primary = demand.access == pgweir_cluster::Access::Primary;
                    let (node, role) = if primary { (0, NodeRole::Primary) } else { (1, NodeRole::Standby) };
                    session.link(server, NodeId::new(node), role, Liveness::Known, &mut step);
                }
                Next::Goodbye => return,
                Next::Input | Next::Replies => {}
            }
        } else {
            let replies = noise(&mut random, BACKEND);
            let Ok(took) = session.on_server(&replies, &mut step) else { return };
            match took.then {
                AfterReplies::Input | AfterReplies::Prepared => {}
                AfterReplies::Release(_) | AfterReplies::Renewed(..) => drop(session.unlink()),
                AfterReplies::SendAgain(mut bytes) => {
                    drop(session.unlink());
                    bytes.append(&mut input);
                    input = bytes;
                }
                AfterReplies::ServerEnds => return,
            }
        }
        if random.one_in(20) && session.is_linked() {
            match session.on_server_lost() {
                OnServerLost::Fatal(_) => return,
                OnServerLost::Unnoticed => drop(session.unlink()),
                OnServerLost::SendAgain(mut bytes) => {
                    drop(session.unlink());
                    bytes.append(&mut input);
                    input = bytes;
                }
            }
        }
    }
    let mut step = Step {
        now: std::time::Instant::now(),
        classifier: &mut classifier,
        to_client: &mut to_client,
        to_server: &mut to_server,
        events: &mut events,
    };
    let _outcome = session.at_the_end(&mut step);
}

#[test]
fn noise_from_both_sides_never_panics() {
    (0..3_000).for_each(run);
}
