//! A shell without sockets around sessions: model backends, and bytes that arrive in pieces.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgweir_cluster::{Access, Demand, NodeId};
use pgweir_wire::GucSetting;

use super::model::{Model, Shared};
use super::random::Random;
use crate::sequences::SequenceValues;
use crate::settings::SettingValue;
use crate::*;

/// How bytes arrive.
#[derive(Clone, Debug)]
pub(super) enum Pieces {
    Whole,
    /// So many at a time.
    Of(usize),
    Random(Random),
}

/// A server connection.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) node: usize,
    state: Option<Box<ServerState>>,
    pub(super) model: Model,
    /// Sent and not looked at by the session.
    replies: Vec<u8>,
    /// Written and not received by the model.
    requests: Vec<u8>,
}

/// What becomes of a client's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Goodbye,
    Error(SessionError),
    ServerEnded,
}

/// One session and the servers it may use: node 0 is the primary.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) session: Session,
    classifier: pgweir_sql::Classifier,
    database: Shared,
    /// Idle servers, those of all sessions.
    pub(super) idle: Vec<Server>,
    pub(super) server: Option<Server>,
    /// The client's bytes: those that have arrived, and behind them those that have not.
    input: Vec<u8>,
    arrived: usize,
    stalled: bool,
    /// What the client got.
    pub(super) received: Vec<u8>,
    pub(super) events: Vec<Event>,
    pub(super) end: Option<End>,
    pub(super) pieces: Pieces,
    pub(super) now: Instant,
    /// Nodes that are gone.
    pub(super) down: Vec<usize>,
    /// Every node that was leased, in order.
    pub(super) leased: Vec<usize>,
    /// When set, demands are refused.
    pub(super) refuses: bool,
    /// So many of the next reads on each new standby connection meet a conflict.
    pub(super) conflicts: usize,
    /// The error that those reads meet.
    pub(super) conflict: &'static str,
    pub(super) last_demand: Option<Demand>,
}

/// A session whose client was told what servers report under its start-up settings.
fn admitted(settings: SessionSettings) -> Session {
    let plain = |(name, value): (&String, &SettingValue)| match value {
        SettingValue::Plain(value) => (name.clone(), value.clone()),
        SettingValue::Sql(_) | SettingValue::Defined => panic!("start-up packets give strings"),
    };
    let startup: Vec<(String, String)> = settings.startup.iter().map(plain).collect();
    let startup: Vec<(&str, &str)> = startup.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    let welcome = Model::new(NodeRole::Primary, &Shared::default(), &startup);
    let mut session = Session::new(settings);
    session.welcomed(&Arc::new(welcome.gucs.reported().clone()));
    session
}

/// A small one: each shell has its own.
pub(super) fn classifier() -> pgweir_sql::Classifier {
    pgweir_sql::Classifier::new(pgweir_sql::Settings { cache_entries: 16, ..Default::default() }, 1)
}

pub(super) fn limits() -> Limits {
    Limits {
        query_bytes_max: 1 << 12,
        segment_bytes_max: 1 << 11,
        client_statements_max: 20,
        server_statements_max: 10,
        pipeline_depth_max: 64,
    }
}

pub(super) fn settings(startup: &[(&str, &str)]) -> SessionSettings {
    let startup: Vec<GucSetting> = startup
        .iter()
        .map(|(name, value)| GucSetting { name: (*name).to_owned(), value: (*value).to_owned() })
        .collect();
    SessionSettings {
        id: 1,
        process_id: 1,
        mode: PoolMode::Transaction,
        limits: limits(),
        startup: Arc::new(startup_settings(&startup)),
        namer: Arc::new(StatementNamer::default()),
        proven: Arc::default(),
        accepted: Arc::default(),
        catalog: Arc::default(),
        role: "anna".into(),
        reads_own_writes: true,
        transaction_reads: crate::TransactionReads::Primary,
    }
}

impl Shell {
    pub(super) fn new(settings: SessionSettings, database: &Shared, pieces: Pieces) -> Self {
        Self {
            session: admitted(settings),
            classifier: classifier(),
            database: Rc::clone(database),
            idle: Vec::new(),
            server: None,
            input: Vec::new(),
            arrived: 0,
            stalled: false,
            received: Vec::new(),
            events: Vec::new(),
            end: None,
            pieces,
            now: Instant::now(),
            down: Vec::new(),
            leased: Vec::new(),
            refuses: false,
            conflicts: 0,
            conflict: "40001",
            last_demand: None,
        }
    }

    /// Another client takes over the servers; the one before must have let them go.
    pub(super) fn next_client(&mut self, settings: SessionSettings) {
        assert!(self.server.is_none(), "the client before held its server");
        self.session = admitted(settings);
        (self.input, self.arrived, self.stalled) = (Vec::new(), 0, false);
        self.received.clear();
        self.end = None;
    }

    /// The table gets other columns, by a connection that is not ours.
    pub(super) fn change_columns(&mut self) {
        self.database.borrow_mut().shape += 1;
    }

    /// How often a write was run, committed or not.
    pub(super) fn times_run(&self, what: &str) -> usize {
        self.database.borrow().ran.get(what).copied().unwrap_or_default()
    }

    /// The client sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Sends, and lets everything happen that can happen; answers what the client got.
    pub(super) fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        let before = self.received.len();
        self.send(bytes);
        self.settle();
        self.received[before..].to_vec()
    }

    /// Sends, and answers what is written to a server at once.
    pub(super) fn first_write(&mut self, bytes: &[u8]) -> String {
        self.send(bytes);
        self.turn();
        let written =
            self.server.as_ref().map(|server| String::from_utf8_lossy(&server.requests).into_owned());
        written.unwrap_or_default().replace(|c: char| c.is_control(), " ")
    }

    /// Lets everything happen that can happen.
    pub(super) fn settle(&mut self) {
        while self.turn() {}
    }

    fn piece(&mut self, whole: usize) -> usize {
        match &mut self.pieces {
            Pieces::Whole => whole,
            Pieces::Of(bytes) => whole.min(*bytes),
            Pieces::Random(random) => {
                if random.one_in(3) {
                    whole
                } else {
                    whole.min(1 + random.below(12))
                }
            }
        }
    }

    fn coin(&mut self) -> bool {
        match &mut self.pieces {
            Pieces::Random(random) => random.one_in(2),
            Pieces::Whole | Pieces::Of(_) => false,
        }
    }

    /// One thing happens; `false` if nothing can.
    pub(super) fn turn(&mut self) -> bool {
        if self.end.is_some() {
            return false;
        }
        let server_first = self.coin();
        (server_first && self.server_turn()) || self.client_turn() || self.server_turn()
    }

    fn client_turn(&mut self) -> bool {
        let missing = self.input.len() - self.arrived;
        if missing == 0 || self.stalled {
            return false;
        }
        self.arrived += self.piece(missing);
        self.go_on();
        true
    }

    fn server_turn(&mut self) -> bool {
        let Some(server) = &self.server else { return false };
        let (requests, replies) = (server.requests.len(), server.model.output.len());
        if requests > 0 && (replies == 0 || self.coin()) {
            let piece = self.piece(requests);
            let server = self.server.as_mut().unwrap();
            let bytes: Vec<u8> = server.requests.drain(..piece).collect();
            server.model.receive(&bytes);
            return true;
        }
        if replies == 0 {
            return false;
        }
        let piece = self.piece(replies);
        let server = self.server.as_mut().unwrap();
        let bytes: Vec<u8> = server.model.output.drain(..piece).collect();
        server.replies.extend_from_slice(&bytes);
        self.server_said();
        if self.stalled && self.end.is_none() {
            self.go_on();
        }
        true
    }

    /// Runs one step of the session and puts its bytes where they belong.
    fn step<T>(&mut self, run: impl FnOnce(&mut Session, &mut Step<'_>) -> T) -> T {
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        let mut step = Step {
            now: self.now,
            classifier: &mut self.classifier,
            to_client: &mut to_client,
            to_server: &mut to_server,
            events: &mut self.events,
        };
        let outcome = run(&mut self.session, &mut step);
        self.received.extend_from_slice(&to_client);
        match &mut self.server {
            Some(server) => server.requests.extend_from_slice(&to_server),
            None => assert!(to_server.is_empty(), "bytes for a server that is not there"),
        }
        outcome
    }

    fn go_on(&mut self) {
        self.stalled = false;
        loop {
            let input = self.input[..self.arrived].to_vec();
            let took = match self.step(|session, step| session.on_client(&input, step)) {
                Ok(took) => took,
                Err(error) => return self.end = Some(End::Error(error)),
            };
            self.take(took.bytes);
            match took.next {
                Next::Input => return,
                Next::Replies => return self.stalled = true,
                Next::Goodbye => return self.end = Some(End::Goodbye),
                Next::Lease(_) if self.refuses => {
                    let refusal = Refusal { sqlstate: "53300", message: "no server is free".to_owned() };
                    let input = self.input[..self.arrived].to_vec();
                    let taken = self.step(|session, step| session.refuse(&input, &refusal, step));
                    self.take(taken);
                }
                Next::Lease(demand) => self.lease(&demand),
            }
        }
    }

    fn take(&mut self, bytes: usize) {
        self.input.drain(..bytes);
        self.arrived -= bytes;
    }

    fn lease(&mut self, demand: &Demand) {
        self.last_demand = Some(*demand);
        let usable = |node: &usize| !self.down.contains(node) && !demand.exclude.contains(NodeId::new(*node));
        let standbys: Vec<usize> = [1, 2].into_iter().filter(usable).collect();
        let named = self.session.wanted_node().and_then(|name| name.strip_prefix("n")?.parse().ok());
        let node = match (demand.access, &mut self.pieces) {
            (Access::Primary, _) => 0,
            (Access::Read, _) if named.is_some() => named.unwrap(),
            (Access::Read, Pieces::Random(random)) if !standbys.is_empty() => *random.pick(&standbys),
            (Access::Read, _) => standbys.first().copied().unwrap_or(0),
        };
        self.now += Duration::from_millis(1);
        self.leased.push(node);
        let role = if node == 0 { NodeRole::Primary } else { NodeRole::Standby };
        let at = self.idle.iter().position(|server| server.node == node);
        let mut server = match at {
            Some(at) => self.idle.remove(at),
            None => self.new_server(node, role),
        };
        let state = server.state.take().unwrap();
        self.server = Some(server);
        let liveness = if self.coin() { Liveness::Ask } else { Liveness::Known };
        self.step(|session, step| session.link(state, NodeId::new(node), role, liveness, step));
    }

    fn new_server(&self, node: usize, role: NodeRole) -> Server {
        let mut model = Model::new(role, &self.database, &[]);
        let reported = model.gucs.reported().clone();
        if role == NodeRole::Standby {
            model.conflicts = self.conflicts;
            model.conflict = self.conflict;
        }
        let state = Some(Box::new(ServerState::new(Arc::default(), reported)));
        Server { node, state, model, replies: Vec::new(), requests: Vec::new() }
    }

    fn server_said(&mut self) {
        loop {
            let Some(server) = &mut self.server else { return };
            let replies = std::mem::take(&mut server.replies);
            let took = match self.step(|session, step| session.on_server(&replies, step)) {
                Ok(took) => took,
                Err(error) => return self.end = Some(End::Error(error)),
            };
            let rest = replies[took.bytes..].to_vec();
            match took.then {
                AfterReplies::Input => {
                    self.server.as_mut().unwrap().replies = rest;
                    return;
                }
                AfterReplies::Prepared => assert!(rest.is_empty(), "nothing else was asked"),
                AfterReplies::Release(proof) => {
                    assert!(rest.is_empty(), "a server that has more to say is not at rest");
                    return self.give_back(&proof);
                }
                AfterReplies::Renewed(proof, bytes) => {
                    assert!(rest.is_empty(), "a server that has more to say is not at rest");
                    self.give_back(&proof);
                    return self.read_again(bytes);
                }
                AfterReplies::SendAgain(bytes) => return self.send_again(bytes),
                AfterReplies::ServerEnds => return self.end = Some(End::ServerEnded),
            }
        }
    }

    pub(super) fn give_back(&mut self, _proof: &AtRest) {
        let mut server = self.server.take().unwrap();
        // The rest of a COPY that failed may be on its way: servers ignore it. Anything else would be answered.
        server.model.receive(&server.requests);
        server.requests.clear();
        assert!(server.model.is_idle(), "{:?} is not at rest", server.model);
        let state = self.session.unlink();
        check_state(&state, &server.model);
        server.state = Some(state);
        self.idle.push(server);
    }

    fn send_again(&mut self, bytes: Vec<u8>) {
        if self.session.is_linked() {
            drop(self.session.unlink());
        }
        self.server = None;
        self.read_again(bytes);
    }

    fn read_again(&mut self, mut bytes: Vec<u8>) {
        self.arrived += bytes.len();
        bytes.append(&mut self.input);
        self.input = bytes;
        self.stalled = true;
        if self.end.is_none() {
            self.go_on();
        }
    }

    /// The server at hand dies.
    pub(super) fn kill(&mut self) {
        if self.server.is_none() || self.end.is_some() {
            return;
        }
        match self.session.on_server_lost() {
            OnServerLost::Unnoticed => {
                drop(self.session.unlink());
                self.server = None;
                assert!(!self.stalled, "nobody would wake the client that waits for replies");
            }
            OnServerLost::SendAgain(bytes) => self.send_again(bytes),
            OnServerLost::Fatal(error) => {
                drop(self.session.unlink());
                self.server = None;
                self.end = Some(End::Error(error));
            }
        }
    }

    /// The client leaves.
    pub(super) fn leave(&mut self) -> AtTheEnd {
        let mut outcome = self.step(|session, step| session.at_the_end(step));
        match &mut outcome {
            AtTheEnd::GiveBack(proof) => {
                let proof = &*proof;
                self.give_back(proof);
            }
            AtTheEnd::ResetFirst => self.reset(),
            AtTheEnd::Discard => {
                drop(self.session.unlink());
                self.server = None;
            }
            AtTheEnd::NoServer => assert!(self.server.is_none()),
        }
        outcome
    }

    fn reset(&mut self) {
        let server = self.server.as_mut().unwrap();
        let requests = std::mem::take(&mut server.requests);
        server.model.receive(&requests);
        let replies = std::mem::take(&mut server.model.output);
        let took = self.step(|session, step| session.on_server(&replies, step)).unwrap();
        assert_eq!(took.bytes, replies.len());
        let AfterReplies::Release(proof) = took.then else { panic!("{:?}", took.then) };
        self.session.was_reset();
        self.give_back(&proof);
    }
}

/// What we believe of a server is true.
fn check_state(state: &ServerState, model: &Model) {
    let value = |value: &SettingValue| match value {
        SettingValue::Plain(text) => text.clone(),
        SettingValue::Sql(text) => text.trim_matches('\'').to_owned(),
        SettingValue::Defined => String::new(),
    };
    let believed = state.settings.iter().map(|(name, set)| (name.clone(), value(set)));
    let believed: BTreeMap<String, String> = believed.filter(|(_, value)| !value.is_empty()).collect();
    let hidden = |name: &str| state.opaque_of.is_some() && name == "my.hidden";
    let set = model.gucs.session().iter().filter(|(name, value)| !value.is_empty() && !hidden(name));
    let set: BTreeMap<String, String> = set.map(|(name, value)| (name.clone(), value.clone())).collect();
    assert_eq!(believed, set, "the settings of an idle server");
    assert_eq!(**state.reported(), *model.gucs.reported(), "what an idle server reported");
    let nobodys = state.sequences == SequenceValues::Nobodys;
    assert!(!nobodys || model.currval.is_none(), "what the sequences of an idle server answered");
    assert_eq!(model.state, Default::default(), "what the session of an idle server holds");
    let names = state.statements.names();
    let has: Vec<_> = model.statement_names().into_iter().filter(|name| name != b"pgweir_refused").collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), has, "the statements of an idle server");
}
