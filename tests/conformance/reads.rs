//! The suite `reads`: what pgweir calls a read, in all of PostgreSQL's regression suite, is run on a real standby as well.
//!
//! How: pg_regress runs its scripts against the primary, one at a time, by way of an intermediary that sees each statement.
//! A statement that stands alone (no transaction is open, the session has no temporary objects) is judged with the live
//! catalog, as a session of pgweir would. When the primary has answered and the standby has replayed all that came before,
//! the statement runs there too, under the same settings.
//! Invariants: a read that the standby refuses, or answers otherwise than the primary, is a finding, unless the primary
//! itself answers otherwise when it is asked again, or `reads/listed.rs` has a reason. A finding fails the run.
//! Also told: what was kept on the primary although the standby gave the primary's answer, by reason.
//! Absent: statements inside transactions.

mod answer;
mod intermediary;
mod judge;
mod listed;
mod tally;
mod twin;

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use pgweir_sandbox::Binaries;

use crate::site::Site;
use crate::{Suite, Way, regress, results};
use judge::Judge;
use tally::Tally;

/// Runs the regression suite, or the named scripts alone; how many findings there are.
pub(crate) fn run(binaries: &Binaries, names: &[String], report: &mut String) -> usize {
    let kept = results(binaries, Suite::Reads);
    let site = Site::start(binaries, Way::Directly);
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it listens").port();
    let judge = Arc::new(Mutex::new(Judge::new(site.cluster())));
    let nodes = (site.cluster().primary().address(), site.cluster().standbys()[0].address());
    let shared = Arc::clone(&judge);
    thread::spawn(move || intermediary::serve(&listener, nodes, &shared));
    let outcomes = regress::run(&site, Suite::Reads, names, port);
    eprintln!("== PostgreSQL {}, reads: {} scripts ran", binaries.version, outcomes.len());
    site.keep_logs(&kept);
    let judge = judge.lock().expect("no session of the suite has panicked");
    let tally: &Tally = &judge.tally;
    tally.report(binaries.major, &kept, report)
}
