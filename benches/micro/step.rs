//! The session: one simple query from the client's bytes to the server at rest, and rows passed on.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use pgweir_cluster::NodeId;
use pgweir_session::{
    AfterReplies, Event, Limits, Liveness, Next, NodeRole, PoolMode, Reported, ServerState, Session,
    SessionSettings, Step,
};
use pgweir_sql::{Classifier, Settings};
use pgweir_wire::TransactionStatus;
use pgweir_wire::say;

use super::{least, print};

pub(super) fn run() {
    let mut bench = Bench::new();
    let mut request = Vec::new();
    say::query(&mut request, b"SELECT abalance FROM pgbench_accounts WHERE aid = 4711");
    let one_row = reply(1, 4);
    let time = least(|| bench.query(black_box(&request), black_box(&one_row)));
    print("session, one simple query and its row", time, "");
    let many = reply(1000, 100);
    let time = least(|| bench.query(black_box(&request), black_box(&many)));
    print("session, one simple query and 1,000 rows", time, "of 100 bytes each");
}

/// RowDescription (whose content nobody reads), rows, CommandComplete and ReadyForQuery.
fn reply(rows: usize, bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    say::frame(&mut out, b'T', &[&[0; 32]]);
    for _ in 0..rows {
        say::frame(&mut out, b'D', &[&vec![b'x'; bytes]]);
    }
    say::command_complete(&mut out, "SELECT 1");
    say::ready_for_query(&mut out, TransactionStatus::Idle);
    out
}

struct Bench {
    session: Session,
    server: Option<Box<ServerState>>,
    classifier: Classifier,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    events: Vec<Event>,
}

impl Bench {
    fn new() -> Self {
        let session = Session::new(SessionSettings {
            id: 1,
            process_id: 1,
            mode: PoolMode::Transaction,
            limits: Limits {
                query_bytes_max: 1 << 20,
                segment_bytes_max: 64 << 10,
                client_statements_max: 1000,
                server_statements_max: 1000,
                pipeline_depth_max: 100_000,
            },
            startup: Arc::default(),
            namer: Arc::default(),
            proven: Arc::default(),
            accepted: Arc::default(),
            catalog: Arc::default(),
            role: "anna".into(),
            reads_own_writes: true,
            transaction_reads: pgweir_session::TransactionReads::Primary,
        });
        Self {
            session,
            server: Some(Box::new(ServerState::new(Arc::default(), Reported::new()))),
            classifier: Classifier::new(Settings::default(), 1),
            to_client: Vec::new(),
            to_server: Vec::new(),
            events: Vec::new(),
        }
    }

    fn query(&mut self, request: &[u8], reply: &[u8]) {
        let mut step = Step {
            now: Instant::now(),
            classifier: &mut self.classifier,
            to_client: &mut self.to_client,
            to_server: &mut self.to_server,
            events: &mut self.events,
        };
        let asked = self.session.on_client(request, &mut step).expect("the request is well formed");
        assert!(matches!(asked.next, Next::Lease(_)), "an idle session asks for a server");
        let server = self.server.take().expect("the server came back");
        self.session.link(server, NodeId::new(1), NodeRole::Standby, Liveness::Known, &mut step);
        let _sent = self.session.on_client(request, &mut step).expect("the request is well formed");
        let took = self.session.on_server(reply, &mut step).expect("the reply is well formed");
        assert!(matches!(took.then, AfterReplies::Release(_)), "the server is at rest");
        self.server = Some(self.session.unlink());
        black_box(&self.to_client);
        self.to_client.clear();
        self.to_server.clear();
        self.events.clear();
    }
}
