use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::time::timeout;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::*;
use crate::fake::Fake;

/// The authentication that precedes a console session: reads the start-up message, answers nothing yet.
async fn read_startup(stream: &mut DuplexStream) {
    let length = stream.read_u32().await.unwrap();
    stream.read_exact(&mut vec![0; length as usize - 4]).await.unwrap();
}

fn authentication_ok() -> Vec<u8> {
    let mut bytes = Vec::new();
    pgweir_wire::say::authentication_ok(&mut bytes);
    bytes
}

/// A driver that is logged in; `capacity` bytes fit into the socket.
async fn driver(fake: Fake, capacity: usize) -> tokio_postgres::Client {
    let (client, mut server) = duplex(capacity);
    tokio::spawn(async move {
        read_startup(&mut server).await;
        serve(server, authentication_ok(), Vec::new(), Privilege::Admin, Arc::new(fake)).await
    });
    let mut config = tokio_postgres::Config::new();
    let (client, connection) = config.user("ann").dbname("pgweir").connect_raw(client, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn a_driver_reads_rows_by_the_extended_protocol() {
    let client = driver(Fake::default(), 4_096).await;
    let rows = client.query("SHOW NODES", &[]).await.unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.get("name")).collect();
    assert_eq!(names, ["n1", "n2", "n3"]);
    assert_eq!(rows[0].get::<_, Option<i64>>("staleness_ms"), Some(150));
    assert_eq!(rows[2].get::<_, Option<i64>>("staleness_ms"), None);
    let pools = client.query("SHOW POOLS", &[]).await.unwrap();
    assert_eq!(pools[0].get::<_, i32>("sv_idle"), 6);
    let prepared = client.prepare("SHOW STATS").await.unwrap();
    assert_eq!(prepared.columns()[1].type_(), &tokio_postgres::types::Type::NUMERIC);
    assert_eq!(client.execute("RELOAD", &[]).await.unwrap(), 0);
    let error = client.query("SHOW NOTHING", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::SYNTAX_ERROR));
    assert_eq!(client.query("SELECT 1", &[]).await.unwrap()[0].get::<_, i32>(0), 1);
}

#[tokio::test]
async fn a_driver_reads_rows_by_the_simple_protocol() {
    let client = driver(Fake::default(), 4_096).await;
    let messages = client.simple_query("SHOW STATS_TOTALS").await.unwrap();
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    assert_eq!(row.unwrap().get("bytes_sent"), Some("18446744073709551615"));
}

#[tokio::test]
async fn a_large_answer_passes_through_a_small_socket() {
    let client = driver(Fake { clients: 5_000, ..Fake::default() }, 512).await;
    let rows = client.query("SHOW CLIENTS", &[]).await.unwrap();
    assert_eq!(rows.len(), 5_000);
    assert_eq!(rows[4_999].get::<_, i32>("id"), 5_000);
}

/// Everything the console says until it closes.
async fn says(early: &[u8], then: &[u8]) -> Vec<u8> {
    let (mut client, server) = duplex(64 * 1_024);
    let report = Arc::new(Fake::default());
    let session = tokio::spawn(serve(server, authentication_ok(), early.to_vec(), Privilege::Stats, report));
    client.write_all(then).await.unwrap();
    let mut heard = Vec::new();
    timeout(Duration::from_secs(10), client.read_to_end(&mut heard))
        .await
        .expect("the session ends")
        .unwrap();
    session.await.unwrap().unwrap();
    heard
}

#[tokio::test]
async fn what_came_early_is_answered_after_the_welcome() {
    let heard = says(b"Q\0\0\0\x11SHOW VERSION\0Q\0\0\0", b"\x0Dselect 1\0X\0\0\0\x04").await;
    assert!(heard.starts_with(b"R\0\0\0\x08\0\0\0\0S"));
    let tail = b"D\0\0\0\x16\0\x01\0\0\0\x0Cpgweir 9.8.7C\0\0\0\x09SHOW\0Z\0\0\0\x05IT";
    assert!(heard.windows(tail.len()).any(|window| window == tail));
    assert!(heard.ends_with(b"D\0\0\0\x0B\0\x01\0\0\0\x011C\0\0\0\x0DSELECT 1\0Z\0\0\0\x05I"));
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_told_and_left() {
    let heard = says(b"", b"GET / HTTP/1.1\r\n\r\n").await;
    let text = String::from_utf8_lossy(&heard);
    assert!(text.contains("FATAL") && text.contains("invalid frontend message type 71"), "{text}");
}
