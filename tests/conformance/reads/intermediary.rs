//! Stands between psql and the primary, and lets a [`Judge`] look at each statement.
//!
//! Invariant: psql gets each byte that the primary says to it, and nothing else. Absent: the extended protocol and
//! function calls, which psql uses for descriptions and large objects only: they are passed through.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use pgweir_sandbox::SandboxError;
use pgweir_sandbox::client::{Address, Message, Wire};

use super::answer::{Agreement, Answer};
use super::judge::{Judge, Judged, State};
use super::tally::Outcome;
use super::twin::{self, PATIENCE, Twin};

/// Accepts for as long as the program runs. `nodes` are the primary and the standby.
pub(super) fn serve(listener: &TcpListener, nodes: (SocketAddr, SocketAddr), judge: &Mutex<Judge>) {
    thread::scope(|sessions| {
        for stream in listener.incoming() {
            let stream = stream.expect("it listens");
            sessions.spawn(move || {
                let ended = Session::admit(stream, nodes, judge)
                    .and_then(|session| session.map_or(Ok(()), Session::serve));
                match ended {
                    Ok(()) | Err(SandboxError::ConnectionClosed) => {}
                    Err(error) => eprintln!("a session of the suite ended: {error}"),
                }
            });
        }
    });
}

/// One session of psql.
struct Session<'j> {
    psql: Wire,
    primary: Wire,
    twin: Twin,
    judge: &'j Mutex<Judge>,
    /// The transaction status that psql was told last.
    status: u8,
    /// What the session is like; `None` if something may have changed it.
    state: Option<State>,
}

impl<'j> Session<'j> {
    /// Passes the start-up through; `None` for what is no session.
    fn admit(
        stream: TcpStream,
        (primary, standby): (SocketAddr, SocketAddr),
        judge: &'j Mutex<Judge>,
    ) -> Result<Option<Self>, SandboxError> {
        let mut psql = Wire::accepted(stream)?;
        psql.set_timeout(PATIENCE)?;
        let mut server = Wire::connect(&Address::Tcp(primary))?;
        server.set_timeout(PATIENCE)?;
        loop {
            let packet = psql.recv_startup()?;
            match &packet[4..8] {
                SSL_REQUEST | GSSENC_REQUEST => psql.send(b"N")?,
                CANCEL_REQUEST => return server.send(&packet).map(|()| None),
                _ => {
                    server.send(&packet)?;
                    let twin = Twin::new(standby, packet);
                    let mut session = Self { psql, primary: server, twin, judge, status: b'I', state: None };
                    session.relay()?;
                    return Ok(Some(session));
                }
            }
        }
    }

    fn serve(mut self) -> Result<(), SandboxError> {
        loop {
            let message = self.psql.recv()?;
            match message.tag {
                b'Q' => self.query(&message)?,
                b'S' | b'F' => {
                    self.primary.send(&message.encode())?;
                    self.relay()?;
                }
                _ => self.primary.send(&message.encode())?,
            }
        }
    }

    fn query(&mut self, message: &Message) -> Result<(), SandboxError> {
        let text = message.body.strip_suffix(b"\0").unwrap_or(&message.body);
        let judged = self.judge(text)?;
        self.primary.send(&message.encode())?;
        let answer = self.relay()?;
        // Under another encoding of the client's, the judge saw other characters than the server.
        if let (Some(judged), Ok(text)) = (judged, str::from_utf8(text))
            && answer.status == b'I'
        {
            let outcome = self.outcome(text, &judged, &answer)?;
            self.lock().tally.add(text, &judged, outcome);
        }
        Ok(())
    }

    /// What pgweir would make of it; `None` if it could not go to a standby for other reasons than its text.
    fn judge(&mut self, text: &[u8]) -> Result<Option<Judged>, SandboxError> {
        let may_read = self.lock().may_read(text);
        if !may_read || self.status != b'I' {
            let leaves_session = self.lock().note(text);
            if leaves_session {
                self.state = None;
            }
            return Ok(None);
        }
        if self.state.is_none() {
            self.state = Some(State::of(&mut self.primary)?);
        }
        let state = self.state.as_ref().expect("it was just asked");
        let judged = self.judge.lock().unwrap_or_else(PoisonError::into_inner).judge(text, state);
        if !judged.is_read {
            self.lock().note(text);
            self.state = None;
        }
        Ok(judged.is_portable.then_some(judged))
    }

    fn outcome(&mut self, text: &str, judged: &Judged, first: &Answer) -> Result<Outcome, SandboxError> {
        if !judged.is_read && (first.error().is_some() || judged.acts) {
            return Ok(Outcome::Untried);
        }
        self.lock().wait_replayed();
        let answer = self.twin.ask(text, &judged.settings)?;
        let agreement = first.compare(&answer);
        if !judged.is_read {
            self.twin.forget();
            return Ok(if agreement == Agreement::Same { Outcome::Same } else { Outcome::Untried });
        }
        if agreement == Agreement::Same {
            return Ok(Outcome::Same);
        }
        let again = twin::exchange(&mut self.primary, text)?;
        Ok(match (again == *first, agreement) {
            (false, _) => Outcome::Volatile,
            (true, Agreement::OtherOrder) => Outcome::OtherOrder,
            (true, _) => Outcome::Different(first.difference(&answer)),
        })
    }

    /// Passes the primary's messages to psql up to ReadyForQuery.
    fn relay(&mut self) -> Result<Answer, SandboxError> {
        let mut answer = Answer::default();
        loop {
            let message = self.primary.recv()?;
            self.psql.send(&message.encode())?;
            if message.tag == b'G' {
                self.copy_in()?;
            }
            if answer.add(&message) {
                self.status = answer.status;
                return Ok(answer);
            }
        }
    }

    /// Passes what psql copies to the primary.
    fn copy_in(&mut self) -> Result<(), SandboxError> {
        loop {
            let message = self.psql.recv()?;
            self.primary.send(&message.encode())?;
            if matches!(message.tag, b'c' | b'f') {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'j, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Packets that come before the start-up packet. Manual: "Message Formats".
const SSL_REQUEST: &[u8] = &80_877_103_u32.to_be_bytes();
const GSSENC_REQUEST: &[u8] = &80_877_104_u32.to_be_bytes();
const CANCEL_REQUEST: &[u8] = &80_877_102_u32.to_be_bytes();
