use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::fixtures::tcp_pair;

/// A direction between two sockets, with the peers at its ends.
async fn directed() -> (Stream, Stream, tokio::net::TcpStream, tokio::net::TcpStream) {
    let ((from, source), (to, sink)) = (tcp_pair().await, tcp_pair().await);
    (Stream::tcp(from).unwrap(), Stream::tcp(to).unwrap(), source, sink)
}

#[tokio::test]
async fn what_was_said_before_the_end_is_passed_on() {
    let (mut from, mut to, mut source, mut sink) = directed().await;
    let mut direction = Direction::with_early(&mut to, b"early ");
    source.write_all(b"and late").await.unwrap();
    drop(source);
    let mut buffer = [0; 4];
    poll_fn(|context| direction.poll(&mut from, &mut to, &mut buffer, context)).await;
    drop(to);
    let mut passed = String::new();
    sink.read_to_string(&mut passed).await.unwrap();
    assert_eq!(passed, "early and late");
}

#[tokio::test]
async fn a_reader_that_is_slow_is_waited_for() {
    const BYTES: usize = 32 << 20;
    let (mut from, mut to, mut source, mut sink) = directed().await;
    let writing = tokio::spawn(async move { source.write_all(&vec![7; BYTES]).await });
    let (mut direction, mut buffer) = (Direction::default(), vec![0; READ_BYTES]);
    let mut most = 0;
    let mut passed = vec![0; BYTES];
    let reading = async {
        // It takes nothing before as much waits as may wait.
        sink.readable().await.unwrap();
        sink.read_exact(&mut passed).await.unwrap();
    };
    let moving = poll_fn(|context| {
        let polled = direction.poll(&mut from, &mut to, &mut buffer, context);
        most = most.max(direction.backlog.unsent());
        polled
    });
    tokio::join!(reading, moving);
    writing.await.unwrap().unwrap();
    assert!(passed.iter().all(|byte| *byte == 7));
    assert!(most > 0 && most < HIGH_WATER + READ_BYTES, "{most} bytes waited");
}

#[tokio::test]
async fn nobody_is_read_for_a_peer_that_is_gone() {
    let (mut from, mut to, mut source, sink) = directed().await;
    drop(sink);
    let mut direction = Direction::default();
    let writing = tokio::spawn(async move { while source.write_all(&[7; 1000]).await.is_ok() {} });
    let mut buffer = [0; 1000];
    poll_fn(|context| direction.poll(&mut from, &mut to, &mut buffer, context)).await;
    drop(from);
    writing.await.unwrap();
}
