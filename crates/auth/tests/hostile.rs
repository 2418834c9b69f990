//! Peers that send anything: every step of both machines, fed with noise and with broken copies of real messages.
//!
//! A run is repeated exactly by its seed. Nothing may panic, and nobody may get in.

use pgweir_auth::{
    AuthError, Begun, Blame, ChannelBinding, ClientLogin, Entropy, KeyCache, Method, MockKey, Password,
    ServerCredentials, ServerLogin, ServerStep, Step, StoredSecret, Users,
};

const ROUNDS: u64 = 4_000;

/// xorshift64*: small, seeded, and good enough to make noise.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        const LIKELY: &[u8] = b"\0\0,,==nyprscvime\xff\x7f\x80";
        match self.below(3) {
            0 => LIKELY[self.below(LIKELY.len())],
            _ => self.next().to_le_bytes()[7],
        }
    }

    fn bytes(&mut self, end: usize) -> Vec<u8> {
        (0..self.below(end)).map(|_| self.byte()).collect()
    }

    /// A copy of `message` that differs in at least one place.
    fn broken(&mut self, message: &[u8]) -> Vec<u8> {
        let mut copy = message.to_vec();
        while copy == message {
            for _ in 0..=self.below(3) {
                let at = self.below(copy.len() + 1);
                match self.below(4) {
                    0 if at < copy.len() => copy[at] = self.byte(),
                    1 => copy.insert(at, self.byte()),
                    2 => copy.truncate(at),
                    _ if at < copy.len() => drop(copy.remove(at)),
                    _ => copy.extend(self.bytes(16)),
                }
            }
        }
        copy
    }

    fn entropy(&mut self) -> Entropy {
        let (nonce, salt) = (self.next().to_le_bytes()[0], self.next().to_le_bytes()[0]);
        Entropy { nonce: [nonce; 18], salt: [salt; 16] }
    }
}

fn password() -> Password {
    Password::new("correct horse")
}

fn client_login(method: Method, noise: &mut Noise) -> (ClientLogin, Vec<u8>) {
    let secret = StoredSecret::Plain(password());
    let mock = MockKey::new([3; 32]);
    let begun =
        ClientLogin::begin(method, "alice", Some(&secret), noise.entropy(), &mock, ChannelBinding::None);
    let Begun::Ask(login, request) = begun else { panic!("{begun:?}") };
    let mut frame = Vec::new();
    request.encode(&mut frame);
    (login, frame.split_off(5))
}

/// Plays an honest client for some steps, then sends noise.
#[test]
fn noise_from_a_client_never_gets_in() {
    let cache = KeyCache::new(4);
    let honest = ServerCredentials::Plain(password());
    for seed in 0..ROUNDS {
        let noise = &mut Noise::new(seed);
        let method = [Method::Password, Method::Md5, Method::ScramSha256][noise.below(3)];
        let honest_steps = noise.below(2);
        let (mut login, mut request) = client_login(method, noise);
        let mut client = ServerLogin::new("alice", &honest, noise.entropy());
        for step in 0.. {
            let Ok(ServerStep::Send(next, frame)) = client.on_authentication(&request, &cache) else {
                break;
            };
            client = next;
            let hostile = step >= honest_steps;
            let body = match (hostile, noise.below(2)) {
                (false, _) => frame[5..].to_vec(),
                (true, 0) => noise.bytes(200),
                (true, _) => noise.broken(&frame[5..]),
            };
            match login.on_password_message(&body, &cache) {
                Ok(Step::Ask(next, asked)) => {
                    login = next;
                    let mut frame = Vec::new();
                    asked.encode(&mut frame);
                    request = frame.split_off(5);
                }
                Ok(Step::Admitted { .. }) => {
                    assert!(!hostile, "seed {seed}: {}", body.escape_ascii());
                    break;
                }
                Err(error) => {
                    assert!(hostile, "seed {seed}: {error}");
                    assert_eq!(error.blame(), Blame::Client, "seed {seed}: {error}");
                    break;
                }
            }
        }
    }
}

/// Plays an honest server for some steps, then sends noise. A server that began SASL must finish it to say yes.
#[test]
fn noise_from_a_server_is_never_believed() {
    let cache = KeyCache::new(4);
    let credentials = ServerCredentials::Plain(password());
    for seed in 0..ROUNDS {
        let noise = &mut Noise::new(seed);
        let (mut server, mut request) = client_login(Method::ScramSha256, noise);
        let mut login = ServerLogin::new("alice", &credentials, noise.entropy());
        let honest_steps = noise.below(3);
        let mut sasl_begun = false;
        for step in 0..4 {
            let hostile = step >= honest_steps;
            let body = match (hostile, noise.below(2)) {
                (false, _) => request.clone(),
                (true, 0) => noise.bytes(200),
                (true, _) => noise.broken(&request),
            };
            let frame = match login.on_authentication(&body, &cache) {
                Ok(ServerStep::Send(next, frame)) => {
                    login = next;
                    sasl_begun |= frame[5..].starts_with(b"SCRAM");
                    frame
                }
                Ok(ServerStep::Wait(_)) => panic!("seed {seed}: believed {}", body.escape_ascii()),
                Ok(ServerStep::Done) => {
                    assert!(body == [0; 4] && !sasl_begun, "seed {seed}: {}", body.escape_ascii());
                    break;
                }
                Err(error) => {
                    assert!(hostile, "seed {seed}: {error}");
                    assert_eq!(error.blame(), Blame::Server, "seed {seed}: {error}");
                    break;
                }
            };
            let Ok(Step::Ask(next, asked)) = server.on_password_message(&frame[5..], &cache) else { break };
            server = next;
            let mut frame = Vec::new();
            asked.encode(&mut frame);
            request = frame.split_off(5);
        }
    }
}

#[test]
fn noise_in_files_is_read_or_refused() {
    for seed in 0..ROUNDS {
        let noise = &mut Noise::new(seed);
        let copy =
            noise.broken(b"\"a\" \"SCRAM-SHA-256$1:c2FsdA==$AAAA:AAAA\" \"x\"\n;c\n\"b\"\"\" \"md5\"\n");
        let text = String::from_utf8_lossy(&copy);
        match Users::parse(&text) {
            Ok(users) => assert!(users.len() <= text.lines().count()),
            Err(error) => assert!((1..=text.lines().count()).contains(&error.line), "seed {seed}: {error}"),
        }
        let _form = StoredSecret::parse(&text);
    }
}

/// The limit is on work, too: no server makes us hash for long, whatever it writes.
#[test]
fn a_server_cannot_ask_for_endless_hashing() {
    let cache = KeyCache::new(4);
    let credentials = ServerCredentials::Plain(password());
    for iterations in [100_001_u64, 1 << 31, u64::from(u32::MAX), 1 << 40] {
        let login = ServerLogin::new("alice", &credentials, Entropy { nonce: [0; 18], salt: [0; 16] });
        let step = login.on_authentication(b"\0\0\0\x0aSCRAM-SHA-256\0\0", &cache).unwrap();
        let ServerStep::Send(login, _) = step else { panic!("{step:?}") };
        let nonce = "A".repeat(24);
        let body = format!("\0\0\0\x0br={nonce}more,s=c2FsdA==,i={iterations}");
        let error = login.on_authentication(body.as_bytes(), &cache).unwrap_err();
        assert!(
            matches!(error, AuthError::IterationsExcessive(_) | AuthError::ServerMalformed(_)),
            "{error:?}"
        );
    }
}
