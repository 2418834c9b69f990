//! From an admitted client to a running session: its pool, its limits, and the welcome with the servers' settings.
//!
//! Why a server is asked: the values that a client is told (ParameterStatus) are a server's, under the settings that the
//! client named. They are asked once for each set of settings and then remembered.
//! Invariant: a role or database that the servers refuse is refused here, with their words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgweir_cluster::{Access, LastServers, Refusal};
use pgweir_config::PoolMode;
use pgweir_session::{
    AfterReplies, AtTheEnd, Limits, Liveness, Reported, Session, SessionError, SessionSettings, SettingMap,
};
use pgweir_wire::{Startup, TransactionStatus, say};

use crate::Proxy;
use crate::client::{ClientEntry, Entered, NewClient};
use crate::deadlines::Patience;
use crate::handshake::Admitted;
use crate::pool::{Denied, Granted, Leased, ServerPool};
use crate::purpose::Purpose;
use crate::relay::{AskError, NewRelay, Relay, ask, fatal, with_scratch};
use crate::route;
use crate::server::Server;
use crate::stream::Stream;
use crate::tally::{Fault, Tally};

/// Why an admitted client gets no session. It is told so.
#[derive(Debug)]
pub(crate) enum NoSession {
    /// The servers or the pool refuse.
    Denied(Denied),
    /// The server went away or did not answer.
    NoAnswer,
    /// No such database here.
    NoDatabase(String),
    /// The servers refuse the settings: the body of their error.
    Settings(Vec<u8>),
    /// The start-up packet asks to be routed in a way that there is not.
    Route(String),
    /// As many clients as may be are connected.
    TooMany,
}

/// An admitted client with everything that its session needs.
pub(crate) async fn log_in(proxy: &Arc<Proxy>, admitted: Admitted) -> Option<Relay> {
    let Admitted { mut stream, startup, proved, mut unsent, early } = admitted;
    let (pool, settings) = match choose(proxy, &startup) {
        Ok(chosen) => chosen,
        Err(no) => {
            turn_away(proxy, &mut stream, unsent, &no).await;
            return None;
        }
    };
    let clients_max = proxy.config.load().listen.clients_max.get() as usize;
    let new = NewClient::new(&stream, &startup, Purpose::Statements(Arc::clone(&pool)));
    let Some(entered) = proxy.clients.enter(new, clients_max) else {
        turn_away(proxy, &mut stream, unsent, &NoSession::TooMany).await;
        return None;
    };
    pool.learn_credentials(&proved.credentials);
    Tally::add(&pool.tally.logins, 1);
    let settings = Arc::new(settings);
    let mut session = new_session(proxy, &pool, &entered.entry, Arc::clone(&settings));
    match welcome(&pool, &mut session, &settings).await {
        Ok((reported, server)) => {
            session.welcomed(&reported);
            pool.settings.load().catalog.is_used();
            write_welcome(&mut unsent, &reported, &entered);
            let new = NewRelay {
                client: stream,
                early,
                unsent,
                session,
                server,
                patience: patience(proxy, &pool),
                pool,
                entered,
                clients: Arc::clone(&proxy.clients),
                metrics: Arc::clone(&proxy.metrics),
            };
            Some(Relay::new(new))
        }
        Err(no) => {
            turn_away(proxy, &mut stream, unsent, &no).await;
            None
        }
    }
}

/// The pool of an admitted client, and the settings that its session begins with.
fn choose(proxy: &Arc<Proxy>, startup: &Startup) -> Result<(Arc<ServerPool>, SettingMap), NoSession> {
    let nowhere = || NoSession::NoDatabase(startup.database.clone());
    let pool = proxy.pool(&startup.database, &startup.user).ok_or_else(nowhere)?;
    let settings = route::with_rule(&proxy.config.load(), startup);
    match route::fault(&settings, &pool.cluster.view()) {
        Some(fault) => Err(NoSession::Route(fault)),
        None => Ok((pool, settings)),
    }
}

fn new_session(proxy: &Proxy, pool: &ServerPool, entry: &ClientEntry, startup: Arc<SettingMap>) -> Session {
    let config = proxy.config.load();
    let limits = &config.limits;
    let bytes = |count: pgweir_config::ByteCount| usize::try_from(count.bytes()).unwrap_or(usize::MAX);
    let reach = pool.cluster.reach();
    let (consistency, transaction_reads) = (reach.settings.consistency, reach.settings.transaction_reads);
    Session::new(SessionSettings {
        id: entry.id,
        process_id: entry.key.process_id,
        mode: match pool.settings.load().mode {
            PoolMode::Session => pgweir_session::PoolMode::Session,
            PoolMode::Transaction => pgweir_session::PoolMode::Transaction,
            PoolMode::Statement => pgweir_session::PoolMode::Statement,
        },
        limits: Limits {
            query_bytes_max: bytes(limits.query_bytes_max),
            segment_bytes_max: bytes(limits.segment_bytes_max),
            client_statements_max: limits.client_statements_max.get() as usize,
            server_statements_max: limits.server_statements_max.get() as usize,
            pipeline_depth_max: limits.pipeline_depth_max.get() as usize,
        },
        startup,
        namer: Arc::clone(&proxy.namer),
        proven: Arc::clone(&pool.proven),
        accepted: Arc::clone(&pool.accepted),
        catalog: Arc::clone(&pool.settings.load().catalog.slot),
        role: pool.settings.load().server_user.as_str().into(),
        reads_own_writes: consistency == pgweir_config::Consistency::Session,
        transaction_reads: match transaction_reads {
            pgweir_config::TransactionReads::Primary => pgweir_session::TransactionReads::Primary,
            pgweir_config::TransactionReads::UntilWrite => pgweir_session::TransactionReads::UntilWrite,
        },
    })
}

fn patience(proxy: &Proxy, pool: &ServerPool) -> Patience {
    let settings = proxy.config.load().pool(&pool.database, &pool.user);
    Patience {
        preparing: settings.connect_timeout,
        query: settings.query_timeout,
        idle_in_transaction: settings.idle_transaction_timeout,
        idle: settings.client_idle_timeout,
    }
}

/// What servers report under these settings; in pool mode `session` also the server, which the client keeps.
async fn welcome(
    pool: &Arc<ServerPool>,
    session: &mut Session,
    settings: &Arc<SettingMap>,
) -> Result<(Arc<Reported>, Option<Box<Server>>), NoSession> {
    if let Some(known) = pool.welcome(settings) {
        return Ok((known, None));
    }
    let access = if pool.cluster.view().primary.is_some() { Access::Primary } else { Access::Read };
    for _ in 0..TRIES {
        let granted = lease(pool, session, access).await?;
        let deadline = pool.settings.load().connect_timeout;
        let asked = tokio::time::timeout(deadline, settings_in_force(pool, session, granted)).await;
        match asked {
            Ok(Ok((reported, server))) => {
                pool.learn_welcome(Arc::clone(settings), Arc::clone(&reported));
                return Ok((reported, server));
            }
            Ok(Err(NoSession::NoAnswer)) | Err(_) => {
                // Nothing of the client's was sent: what was asked is forgotten with the server.
                let _nothing_to_send_again = session.on_server_lost();
                if session.is_linked() {
                    drop(session.unlink());
                }
            }
            Ok(Err(no)) => return Err(no),
        }
    }
    Err(NoSession::NoAnswer)
}

async fn lease(pool: &Arc<ServerPool>, session: &Session, access: Access) -> Result<Granted, NoSession> {
    match pool.lease(&session.demand(access), &LastServers::default(), Instant::now()) {
        Leased::Now(granted) => Ok(granted),
        Leased::Later(mut waiting) => {
            std::future::poll_fn(|context| waiting.poll(context)).await.map_err(NoSession::Denied)
        }
        Leased::Never(denied) => Err(NoSession::Denied(denied)),
    }
}

/// A leased server that is closed unless somebody takes it back out.
struct Borrowed<'a> {
    pool: &'a Arc<ServerPool>,
    server: Option<Box<Server>>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.pool.discard(server);
        }
    }
}

async fn settings_in_force(
    pool: &Arc<ServerPool>,
    session: &mut Session,
    granted: Granted,
) -> Result<(Arc<Reported>, Option<Box<Server>>), NoSession> {
    let Granted { mut server, role, .. } = granted;
    let state = server.state.take().expect("an idle server has its state");
    let node = server.entry.node;
    let mut borrowed = Borrowed { pool, server: Some(server) };
    let question = with_scratch(|scratch| {
        session.link(state, node, role, Liveness::Ask, &mut scratch.step(Instant::now()));
        scratch.take_to_server()
    });
    let server = borrowed.server.as_mut().expect("it was just put there");
    match ask(&mut server.stream, session, &question).await {
        Ok(AfterReplies::Prepared) => {}
        Ok(_) | Err(AskError::Gone) => return Err(NoSession::NoAnswer),
        Err(AskError::Session(SessionError::SettingsRefused)) => {
            return Err(NoSession::Settings(session.take_refused().unwrap_or_default()));
        }
        Err(AskError::Session(_)) => return Err(NoSession::NoAnswer),
    }
    let reported = Arc::clone(session.reported().ok_or(NoSession::NoAnswer)?);
    let server = borrowed.server.take();
    if pool.settings.load().mode == PoolMode::Session {
        return Ok((reported, server));
    }
    let at_the_end = with_scratch(|scratch| session.at_the_end(&mut scratch.step(Instant::now())));
    if let (AtTheEnd::GiveBack(proof), Some(server)) = (at_the_end, server) {
        let state = session.unlink();
        pool.give_back(server, state, &proof);
    }
    Ok((reported, None))
}

fn write_welcome(out: &mut Vec<u8>, reported: &Reported, entered: &Entered) {
    for (name, value) in reported {
        say::parameter_status(out, name, value);
    }
    say::backend_key_data(out, &entered.entry.key);
    say::ready_for_query(out, TransactionStatus::Idle);
}

pub(crate) async fn turn_away(proxy: &Proxy, stream: &mut Stream, mut words: Vec<u8>, no: &NoSession) {
    let (fault, sqlstate, message) = match no {
        NoSession::Denied(denied @ Denied::Refused(Refusal::QueueFull | Refusal::WaitedTooLong)) => {
            (Fault::Waited, "", crate::relay::refusal(denied).message)
        }
        NoSession::Denied(_) => (Fault::ServerRefused, "", String::new()),
        NoSession::NoAnswer => (Fault::ServerLost, "57P03", "no server answered in time".to_owned()),
        NoSession::NoDatabase(name) => {
            (Fault::NoDatabase, "3D000", format!("database \"{name}\" does not exist"))
        }
        NoSession::Settings(_) => (Fault::ServerError, "", String::new()),
        NoSession::Route(fault) => (Fault::ClientRequest, "22023", fault.clone()),
        NoSession::TooMany => (Fault::Limit, "53300", "sorry, too many clients already".to_owned()),
    };
    proxy.metrics.faults.add(fault);
    match no {
        NoSession::Settings(body) => words.extend(fatal(body.clone())),
        NoSession::Denied(Denied::Server(body)) => words.extend(fatal(body.to_vec())),
        NoSession::Denied(denied) => {
            let refusal = crate::relay::refusal(denied);
            say_fatal(&mut words, refusal.sqlstate, &refusal.message);
        }
        NoSession::NoAnswer | NoSession::NoDatabase(_) | NoSession::Route(_) | NoSession::TooMany => {
            say_fatal(&mut words, sqlstate, &message);
        }
    }
    let last = async {
        use tokio::io::AsyncWriteExt;
        stream.write_all(&words).await?;
        stream.shutdown().await
    };
    let _told = tokio::time::timeout(LAST_WORDS, last).await;
}

fn say_fatal(out: &mut Vec<u8>, sqlstate: &str, message: &str) {
    let complaint = say::Complaint { severity: say::Severity::Fatal, sqlstate, message, hint: None };
    say::error(out, &complaint);
}

/// Servers that are tried for a welcome before the client is turned away.
const TRIES: usize = 3;
/// How long a client has to take the last words.
const LAST_WORDS: Duration = Duration::from_secs(5);
