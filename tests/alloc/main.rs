//! What a message costs in allocations: nothing, once the session and its buffers are warm.
//!
//! Why a test of its own: the count needs an allocator of its own, which belongs to no other test.
//! Absent: sockets. The relay keeps its buffers by thread; what could allocate for each message is the session.

use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use pgweir_cluster::NodeId;
use pgweir_session::{
    AfterReplies, Event, Limits, Liveness, Next, NodeRole, PoolMode, ServerState, Session, SessionSettings,
    Step,
};
use pgweir_sql::{Catalog, CatalogRows, CatalogSlot, Classifier};

#[test]
fn simple_queries_allocate_nothing() {
    let answer = [message(b'T', &[0; 30]), rows(100), message(b'C', b"SELECT 100\0"), ready(b'I')].concat();
    for role in [NodeRole::Standby, NodeRole::Primary] {
        let (mut line, read) = (Line::new(role), query("SELECT name FROM shop WHERE id = 42"));
        free_of_allocations(|| line.exchange(&read, &answer));
    }
    let (mut line, write) = (Line::new(NodeRole::Primary), query("UPDATE shop SET name = 'x' WHERE id = 42"));
    let answer = [message(b'C', b"UPDATE 1\0"), ready(b'I')].concat();
    free_of_allocations(|| line.exchange(&write, &answer));
}

#[test]
fn prepared_statements_allocate_nothing_when_they_run() {
    for role in [NodeRole::Standby, NodeRole::Primary] {
        let mut line = Line::new(role);
        let parse = message(b'P', b"read\0SELECT name FROM shop WHERE id = $1\0\0\0");
        line.exchange(&[parse, sync()].concat(), &[message(b'1', b""), ready(b'I')].concat());
        let run =
            [message(b'B', b"\0read\0\0\0\0\x01\0\0\0\x0242\0\0"), message(b'E', b"\0\0\0\0\0"), sync()]
                .concat();
        let answer = [message(b'2', b""), rows(100), message(b'C', b"SELECT 100\0"), ready(b'I')].concat();
        free_of_allocations(|| line.exchange(&run, &answer));
    }
}

#[test]
fn transactions_allocate_nothing_for_their_statements() {
    let mut line = Line::new(NodeRole::Primary);
    line.exchange(&query("SAVEPOINT s"), &[message(b'C', b"SAVEPOINT\0"), ready(b'T')].concat());
    let answer = [message(b'T', &[0; 30]), rows(10), message(b'C', b"SELECT 10\0"), ready(b'T')].concat();
    let read = query("SELECT name FROM shop WHERE id = 42");
    free_of_allocations(|| line.exchange(&read, &answer));
}

/// However many rows there are, and however they are cut by the reads.
#[test]
fn rows_of_a_long_result_allocate_nothing() {
    for role in [NodeRole::Standby, NodeRole::Primary] {
        let mut line = Line::new(role);
        line.send(&query("SELECT name FROM shop"));
        line.hear(&message(b'T', &[0; 30]));
        let rows = rows(1000);
        free_of_allocations(|| {
            let mut at = 0;
            while at < rows.len() {
                let end = (at + 4096).min(rows.len());
                at += line.hear(&rows[at..end]);
            }
        });
    }
}

#[test]
fn data_of_a_copy_allocates_nothing() {
    let data = message(b'd', &[b'x'; 200]).repeat(100);
    let mut line = Line::new(NodeRole::Primary);
    line.send(&query("COPY shop FROM STDIN"));
    line.hear(&message(b'G', b"\0\0\0"));
    free_of_allocations(|| line.send(&data));
    let mut line = Line::new(NodeRole::Primary);
    line.send(&query("COPY shop TO STDOUT"));
    line.hear(&message(b'H', b"\0\0\0"));
    free_of_allocations(|| assert_eq!(line.hear(&data), data.len()));
}

/// One client's session, a server for it, and the buffers of its thread.
struct Line {
    session: Session,
    role: NodeRole,
    server: Option<Box<ServerState>>,
    classifier: Classifier,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    events: Vec<Event>,
}

impl Line {
    fn new(role: NodeRole) -> Self {
        let limits = Limits {
            query_bytes_max: 1 << 20,
            segment_bytes_max: 1 << 16,
            client_statements_max: 1000,
            server_statements_max: 1000,
            pipeline_depth_max: 1000,
        };
        let catalog = Arc::new(CatalogSlot::default());
        catalog.set(Some(Arc::new(Catalog::new(&CatalogRows::default()))));
        let session = Session::new(SessionSettings {
            id: 1,
            process_id: 1,
            mode: PoolMode::Transaction,
            limits,
            startup: Arc::default(),
            namer: Arc::default(),
            proven: Arc::default(),
            accepted: Arc::default(),
            catalog,
            role: "anna".into(),
            reads_own_writes: true,
            transaction_reads: pgweir_session::TransactionReads::Primary,
        });
        Self {
            session,
            role,
            server: Some(Box::new(ServerState::new(Arc::default(), Default::default()))),
            classifier: Classifier::new(pgweir_sql::Settings::default(), 1),
            to_client: Vec::new(),
            to_server: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The client says something, and gets a server when it needs one.
    fn send(&mut self, input: &[u8]) {
        let mut at = 0;
        loop {
            let (session, mut step) = self.step();
            let took = session.on_client(&input[at..], &mut step).expect("the client speaks well");
            at += took.bytes;
            match took.next {
                Next::Input => break,
                Next::Lease(_) => {
                    let (server, role) = (self.server.take().expect("the server is free"), self.role);
                    let (session, mut step) = self.step();
                    session.link(server, NodeId::new(0), role, Liveness::Known, &mut step);
                }
                other => panic!("waits for {other:?}"),
            }
        }
        assert_eq!(at, input.len());
        self.sent();
    }

    /// The server says something; answers how much of it was taken.
    fn hear(&mut self, input: &[u8]) -> usize {
        let (session, mut step) = self.step();
        let took = session.on_server(input, &mut step).expect("the server speaks well");
        match took.then {
            AfterReplies::Input => {}
            AfterReplies::Release(_) => self.server = Some(self.session.unlink()),
            other => panic!("does {other:?}"),
        }
        self.sent();
        took.bytes
    }

    fn exchange(&mut self, request: &[u8], answer: &[u8]) {
        self.send(request);
        assert_eq!(self.hear(answer), answer.len());
        assert!(!self.session.is_busy());
    }

    fn step(&mut self) -> (&mut Session, Step<'_>) {
        let Self { session, classifier, to_client, to_server, events, .. } = self;
        (session, Step { now: Instant::now(), classifier, to_client, to_server, events })
    }

    fn sent(&mut self) {
        self.to_client.clear();
        self.to_server.clear();
        self.events.clear();
    }
}

/// Runs the act until everything is warm, and then again with every allocation counted.
#[track_caller]
fn free_of_allocations(mut act: impl FnMut()) {
    (0..WARM_UP).for_each(|_| act());
    let counted = measure(|| (0..ROUNDS).for_each(|_| act()));
    assert_eq!(counted.count_total, 0, "{counted:?} in {ROUNDS} rounds");
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("these messages are short");
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

fn rows(count: usize) -> Vec<u8> {
    message(b'D', b"\0\x01\0\0\0\x0athe letter").repeat(count)
}

const WARM_UP: usize = 10;
const ROUNDS: usize = 100;
