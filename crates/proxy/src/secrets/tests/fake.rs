//! A primary that knows how to answer one query, and counts.

use std::collections::HashMap;

use parking_lot::Mutex;
use pgweir_wire::{FirstPacket, Startup, TransactionStatus, say};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

#[derive(Clone)]
pub(super) enum Reply {
    Rows(Vec<(String, Option<String>)>),
    Error(&'static str),
}

impl Reply {
    pub(super) fn row(name: &str, secret: Option<&str>) -> Self {
        Self::Rows(vec![(name.to_owned(), secret.map(str::to_owned))])
    }
}

#[derive(Clone)]
pub(super) struct FakePrimary {
    state: Arc<Mutex<State>>,
}

struct State {
    /// Where whoever asks for the primary is sent; `None`: there is none.
    whereabouts: Option<NodeAddress>,
    address: NodeAddress,
    replies: HashMap<String, Reply>,
    lacking: Vec<String>,
    startups: Vec<Startup>,
    questions: usize,
    connections: JoinSet<()>,
}

impl FakePrimary {
    pub(super) async fn start() -> Self {
        let (listener, address) = fixtures::listen().await;
        let state = State {
            whereabouts: Some(address.clone()),
            address,
            replies: HashMap::new(),
            lacking: Vec::new(),
            startups: Vec::new(),
            questions: 0,
            connections: JoinSet::new(),
        };
        let fake = Self { state: Arc::new(Mutex::new(state)) };
        tokio::spawn(fake.clone().serve(listener));
        fake
    }

    pub(super) fn whereabouts(&self) -> Option<Primary> {
        let address = self.state.lock().whereabouts.clone()?;
        Some(Primary { address, tls: Arc::new(TlsClient::disabled()) })
    }

    pub(super) fn knows(&self, user: &str, reply: Reply) {
        self.state.lock().replies.insert(user.to_owned(), reply);
    }

    pub(super) fn lacks(&self, database: &str) {
        self.state.lock().lacking.push(database.to_owned());
    }

    /// Nobody knows where the primary is.
    pub(super) fn lose(&self) {
        self.state.lock().whereabouts = None;
    }

    /// The primary is known again.
    pub(super) fn find(&self) {
        let mut state = self.state.lock();
        state.whereabouts = Some(state.address.clone());
    }

    pub(super) fn move_to(&self, other: &Self) {
        let address = other.state.lock().address.clone();
        self.state.lock().whereabouts = Some(address);
    }

    /// Closes all connections.
    pub(super) async fn hang_up(&self) {
        let mut connections = std::mem::take(&mut self.state.lock().connections);
        connections.shutdown().await;
    }

    pub(super) fn questions(&self) -> usize {
        self.state.lock().questions
    }

    pub(super) fn startups(&self) -> Vec<Startup> {
        self.state.lock().startups.clone()
    }

    async fn serve(self, listener: TcpListener) {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let fake = self.clone();
            self.state.lock().connections.spawn(async move {
                // Ends when the other side leaves.
                let _gone = fake.converse(socket).await;
            });
        }
    }

    async fn converse(self, mut socket: TcpStream) -> std::io::Result<()> {
        let length = socket.read_u32().await?;
        let mut packet = vec![0; length as usize - 4];
        socket.read_exact(&mut packet).await?;
        let Ok(FirstPacket::Startup(startup)) = FirstPacket::read(&packet) else { panic!("no start-up") };
        let database = startup.database.clone();
        self.state.lock().startups.push(startup);
        if self.state.lock().lacking.contains(&database) {
            return socket.write_all(&fixtures::fatal("3D000", "no such database")).await;
        }
        let mut out = Vec::new();
        say::authentication_ok(&mut out);
        say::ready_for_query(&mut out, TransactionStatus::Idle);
        socket.write_all(&out).await?;
        out.clear();
        loop {
            let tag = socket.read_u8().await?;
            let length = socket.read_u32().await?;
            let mut body = vec![0; length as usize - 4];
            socket.read_exact(&mut body).await?;
            self.answer(tag, &body, &mut out);
            if tag == b'S' {
                socket.write_all(&out).await?;
                out.clear();
            }
        }
    }

    fn answer(&self, tag: u8, body: &[u8], out: &mut Vec<u8>) {
        match tag {
            b'P' => out.extend_from_slice(say::PARSE_COMPLETE),
            b'D' => {
                // One parameter of type name; two columns of type text.
                say::frame(out, b't', &[b"\0\x01\0\0\0\x13"]);
                let column = b"\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
                say::frame(out, b'T', &[b"\0\x02a", column, b"b", column]);
            }
            b'B' => {
                say::frame(out, b'2', &[]);
                self.reply(body, out);
            }
            b'C' => out.extend_from_slice(say::CLOSE_COMPLETE),
            b'S' => say::ready_for_query(out, TransactionStatus::Idle),
            _ => {}
        }
    }

    /// Answers a Bind as if it were an Execute too: the client sends both together.
    fn reply(&self, bind: &[u8], out: &mut Vec<u8>) {
        let mut state = self.state.lock();
        state.questions += 1;
        let asked = |user: &str| {
            let mut parameter = u32::try_from(user.len()).unwrap().to_be_bytes().to_vec();
            parameter.extend_from_slice(user.as_bytes());
            bind.windows(parameter.len()).any(|window| window == parameter)
        };
        let known = state.replies.iter().find(|(user, _)| asked(user));
        match known.map_or(Reply::Rows(Vec::new()), |(_, reply)| reply.clone()) {
            Reply::Error(code) => {
                let severity = say::Severity::Error;
                say::error(out, &say::Complaint { severity, sqlstate: code, message: "no", hint: None });
            }
            Reply::Rows(rows) => {
                for (name, secret) in rows {
                    let row = [Some(name), secret].map(|value| match value {
                        Some(text) => {
                            let length = i32::try_from(text.len()).unwrap().to_be_bytes();
                            [&length[..], text.as_bytes()].concat()
                        }
                        None => (-1_i32).to_be_bytes().to_vec(),
                    });
                    say::frame(out, b'D', &[b"\0\x02", &row[0], &row[1]]);
                }
                say::command_complete(out, "SELECT");
            }
        }
    }
}
