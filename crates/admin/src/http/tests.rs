use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;
use crate::fake::Fake;

/// A server on a free port, until its guard is dropped.
async fn start(fake: Fake, limits: Limits) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let report: Arc<dyn Report> = Arc::new(fake);
    let pages = Arc::new(Pages { metrics: Metrics::new(Arc::clone(&report)), report });
    let mut server = JoinSet::new();
    server.spawn(accept(listener, pages, limits));
    (address, server)
}

/// Sends `request` and reads until the server closes.
async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    read.await.expect("the server closes").unwrap();
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn pages_answer() {
    let (address, _server) = start(Fake::default(), LIMITS).await;
    let health = get(address, "/healthz").await;
    assert!(health.starts_with("HTTP/1.1 200 ") && health.ends_with("\r\n\r\nok\n"), "{health}");
    assert!(get(address, "/readyz?verbose").await.starts_with("HTTP/1.1 200 "));
    let metrics = get(address, "/metrics").await;
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("\npgweir_ready 1\n"), "{metrics}");
    assert!(get(address, "/").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn not_ready_says_why() {
    let readiness = Readiness::NotReady("no node of cluster main answers".to_owned());
    let (address, _server) = start(Fake { readiness, ..Fake::default() }, LIMITS).await;
    let answer = get(address, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nno node of cluster main answers\n"), "{answer}");
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "), "the process is alive all the same");
    assert!(get(address, "/metrics").await.contains("\npgweir_ready 0\n"));
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let (address, _server) = start(Fake::default(), LIMITS).await;
    let answer = exchange(address, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    let head = exchange(address, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn nonsense_and_endless_heads_are_refused() {
    let (address, _server) = start(Fake::default(), LIMITS).await;
    assert!(exchange(address, b"\x00\x03\x00\x00 hello\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
    assert!(exchange(address, endless.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
}

/// Peers that take every place and then say nothing more do not keep a good one out.
async fn drops_silent_peers(limits: Limits) {
    let (address, _server) = start(Fake::default(), limits).await;
    let mut silent = Vec::new();
    for _ in 0..limits.connections {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /heal").await.unwrap();
        silent.push(stream);
    }
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "), "served when they are gone");
    for mut stream in silent {
        let mut rest = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut rest));
        // Closed politely or reset, but closed.
        drop(read.await.expect("the server closes"));
    }
}

const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_head_must_come_in_time() {
    let head_timeout = Duration::from_millis(100);
    drops_silent_peers(Limits { connections: 2, head_timeout, connection_timeout: NEVER }).await;
}

#[tokio::test]
async fn a_connection_must_be_over_in_time() {
    let connection_timeout = Duration::from_secs(1);
    drops_silent_peers(Limits { connections: 2, head_timeout: NEVER, connection_timeout }).await;
}

#[tokio::test]
async fn shutdown_ends_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server =
        tokio::spawn(serve_http(listener, Arc::new(Fake::default()), async move { drop(stopped.await) }));
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
    stop.send(()).unwrap();
    timeout(Duration::from_secs(20), server).await.expect("the server ends").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
