//! Whom a notification names as its sender: clients compare that with the process number of their own login.

use pgweir_sandbox::client::Message;
use pgweir_sandbox::{Binaries, Client};

use crate::harness::{Setup, bind, execute, parse, sync};

/// Ways to notify.
const WAYS: &[&str] = &[
    "NOTIFY c, 'x'",
    "SELECT pg_notify('c', 'x')",
    "SELECT tells()",
    "INSERT INTO watched VALUES (1)",
    "DO $$ BEGIN NOTIFY c, 'x'; END $$",
    "BEGIN; NOTIFY c, 'x'; COMMIT",
];

const OBJECTS: &[&str] = &[
    "CREATE FUNCTION tells() RETURNS void LANGUAGE sql AS 'SELECT pg_notify(''c'', ''x'')'",
    "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY c, 'x'; RETURN NULL; END $$",
    "CREATE TABLE watched (n int)",
    "CREATE TRIGGER t AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION told()",
];

#[test]
fn a_notification_names_the_client_that_sent_it() {
    for binaries in Binaries::installed() {
        // The listener holds one server, and the others take turns with the other.
        let site = Setup::on(&binaries).set("pool", "size", "2").start();
        let mut clients = [site.connect(), site.connect()];
        for object in OBJECTS {
            clients[0].query(object).unwrap_or_else(|error| panic!("{object}: {error}"));
        }
        let mut listener = site.connect();
        listener.query("LISTEN c").expect("it listens");
        for way in WAYS {
            for client in &mut clients {
                client.query(way).unwrap_or_else(|error| panic!("{way}: {error}"));
                assert_eq!(heard(&mut listener), (pid(client), "x".to_owned()), "{way}");
            }
            listener.wire().send(&Message::with_text(b'Q', way).encode()).expect("it is sent");
            assert_eq!(heard(&mut listener), (pid(&listener), "x".to_owned()), "{way} of its own");
        }
        clients[1]
            .wire()
            .send(&[parse("", WAYS[0]), bind("", &[]), execute(), sync()].concat())
            .expect("sent");
        clients[1].reply().expect("an answer");
        assert_eq!(heard(&mut listener), (pid(&clients[1]), "x".to_owned()), "extended");
        let mut beside = site.cluster.primary().connect("postgres").expect("the primary lets us in");
        beside.query(WAYS[0]).expect("it notifies");
        assert_eq!(heard(&mut listener), (pid(&beside), "x".to_owned()), "beside pgweir");
    }
}

/// The process number that a client was given.
fn pid(client: &Client) -> u32 {
    u32::from_be_bytes(*client.backend_key_data().first_chunk().expect("a process number"))
}

/// The sender and the payload of the next notification.
fn heard(listener: &mut Client) -> (u32, String) {
    loop {
        let message = listener.wire().recv().expect("a message");
        if message.tag == b'A' {
            let (sender, rest) = message.body.split_first_chunk().expect("a process number");
            let payload = rest.split(|byte| *byte == 0).nth(1).expect("a payload");
            return (u32::from_be_bytes(*sender), String::from_utf8_lossy(payload).into_owned());
        }
    }
}
