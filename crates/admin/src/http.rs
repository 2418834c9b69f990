//! The HTTP side: `/metrics`, `/healthz`, `/readyz`.
//!
//! Why hyper and no framework: there are three pages, and each is one text.
//!
//! Invariants: connections are counted, and each lives only as long as one request may take, so slow or silent
//! peers cost a bounded amount; beyond the limit new ones wait in the kernel's queue.
//! Absent: keep-alive, TLS and authentication: the address is for a private network.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pgweir_proxy::report::{Readiness, Report};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::metrics::{self, Metrics};

/// Serves HTTP on `listener` until `shutdown` comes; requests under way are dropped then.
pub async fn serve_http(listener: TcpListener, report: Arc<dyn Report>, shutdown: impl Future<Output = ()>) {
    let pages = Arc::new(Pages { metrics: Metrics::new(Arc::clone(&report)), report });
    tokio::select! {
        () = accept(listener, pages, LIMITS) => {}
        () = shutdown => {}
    }
}

/// What peers may take.
#[derive(Clone, Copy)]
struct Limits {
    connections: usize,
    /// For the whole of one connection, which carries one request.
    connection_timeout: Duration,
    /// For the head of the request.
    head_timeout: Duration,
}

const LIMITS: Limits = Limits {
    connections: 64,
    connection_timeout: Duration::from_secs(10),
    head_timeout: Duration::from_secs(5),
};

async fn accept(listener: TcpListener, pages: Arc<Pages>, limits: Limits) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                let pages = Arc::clone(&pages);
                connections.spawn(async move {
                    converse(stream, peer, pages, limits).await;
                    drop(place);
                });
            }
            // Too many open files, say: it passes, and trying again at once would only burn time.
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, pages: Arc<Pages>, limits: Limits) {
    let answer = service_fn(move |request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(&request)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    match timeout(limits.connection_timeout, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%peer, %error, "an HTTP connection failed"),
        Err(_) => tracing::debug!(%peer, "an HTTP connection took too long"),
    }
}

struct Pages {
    report: Arc<dyn Report>,
    metrics: Metrics,
}

impl Pages {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let page: fn(&Self) -> Response<Full<Bytes>> = match request.uri().path() {
            "/healthz" => |_| text(StatusCode::OK, "ok\n".to_owned()),
            "/metrics" => |pages| page(StatusCode::OK, metrics::CONTENT_TYPE, pages.metrics.render()),
            "/readyz" => Self::readiness,
            _ => {
                return text(
                    StatusCode::NOT_FOUND,
                    "not found: try /metrics, /healthz or /readyz\n".to_owned(),
                );
            }
        };
        match *request.method() {
            Method::GET | Method::HEAD => page(self),
            _ => not_allowed(),
        }
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        match self.report.readiness() {
            Readiness::Ready => text(StatusCode::OK, "ready\n".to_owned()),
            Readiness::NotReady(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    }
}

fn not_allowed() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", text)
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

const HEAD_BYTES_MAX: usize = 16 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
