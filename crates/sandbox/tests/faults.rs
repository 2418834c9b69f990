//! The fault proxy before a real server: each fault as a client notices it.
#![allow(clippy::unwrap_used, reason = "a test may panic, also in what its tests share")]

mod support;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use pgweir_sandbox::client::{Address, Client};
use pgweir_sandbox::{
    Binaries, Cluster, ClusterSettings, Direction, Fault, FaultProxy, SandboxError, wait_until,
};
use support::SOON;

/// One cluster with a fault proxy before its primary.
fn behind_a_proxy(test: impl FnOnce(&Cluster, &FaultProxy)) {
    let cluster = Cluster::start(&Binaries::newest().unwrap(), &ClusterSettings::with_standbys(1)).unwrap();
    let proxy = FaultProxy::start(cluster.primary().address()).unwrap();
    test(&cluster, &proxy);
}

fn connect(proxy: &FaultProxy) -> Result<Client, SandboxError> {
    Client::connect(&Address::Tcp(proxy.address()), "postgres", "postgres")
}

#[test]
fn pass_delay_and_single_bytes_change_nothing_but_time() {
    behind_a_proxy(|_, proxy| {
        let mut client = connect(proxy).unwrap();
        assert_eq!(client.query("SELECT repeat('x', 100000)").unwrap().value().len(), 100_000);
        assert!(proxy.counters().bytes_to_client > 100_000);

        proxy.set(Fault::OneByte).unwrap();
        assert_eq!(client.query("SELECT repeat('x', 1000)").unwrap().value().len(), 1000);

        proxy.set(Fault::Delay(Duration::from_millis(100))).unwrap();
        let asked = Instant::now();
        assert_eq!(client.query("SELECT 1").unwrap().value(), "1");
        assert!(asked.elapsed() >= Duration::from_millis(200), "there and back");

        let counters = proxy.counters();
        assert_eq!((counters.connections, counters.open), (1, 1));
        drop(client);
        wait_until(SOON, "the connection is closed", || proxy.counters().open == 0).unwrap();
    });
}

#[test]
fn a_cut_ends_the_connection_after_exactly_so_many_bytes() {
    behind_a_proxy(|_, proxy| {
        for (direction, expected) in [(Direction::ToServer, 0), (Direction::ToClient, 7)] {
            let mut client = connect(proxy).unwrap();
            let before = proxy.counters();
            proxy.set(Fault::CutAfter { direction, bytes: 7 }).unwrap();
            client.wire().send(b"Q\0\0\0\x0dSELECT 1\0").unwrap();
            assert_eq!(client.wire().recv_to_end().unwrap().len(), expected, "{direction:?}");
            let after = proxy.counters();
            let passed = match direction {
                Direction::ToServer => after.bytes_to_server - before.bytes_to_server,
                Direction::ToClient => after.bytes_to_client - before.bytes_to_client,
            };
            assert_eq!(passed, 7, "{direction:?}");
            proxy.set(Fault::Pass).unwrap();
        }
    });
}

#[test]
fn a_black_hole_swallows_until_it_is_healed() {
    behind_a_proxy(|_, proxy| {
        let mut client = connect(proxy).unwrap();
        client.set_timeout(Duration::from_millis(200)).unwrap();
        proxy.set(Fault::BlackHole).unwrap();
        assert!(client.query("SELECT 1").is_err());
        let mut fresh = TcpStream::connect(proxy.address()).unwrap();
        fresh.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        std::io::Write::write_all(&mut fresh, b"\0\0\0\x08\x04\xd2\x16\x2f").unwrap();
        assert!(std::io::Read::read(&mut fresh, &mut [0]).is_err(), "an SSLRequest without an answer");
        proxy.set(Fault::Pass).unwrap();
        client.set_timeout(SOON).unwrap();
        assert_eq!(client.reply().unwrap().value(), "1");
    });
}

#[test]
fn a_reset_is_a_reset_also_in_a_black_hole() {
    behind_a_proxy(|_, proxy| {
        for fault in [Fault::Pass, Fault::BlackHole] {
            let mut client = connect(proxy).unwrap();
            proxy.set(fault).unwrap();
            client.wire().send(b"Q\0\0\0\x17SELECT pg_sleep(9)\0").unwrap();
            proxy.reset_all();
            let error = client.wire().recv().unwrap_err();
            assert!(matches!(error, SandboxError::ConnectionClosed), "{fault:?}: {error}");
            wait_until(SOON, "the connection is closed", || proxy.counters().open == 0).unwrap();
            proxy.set(Fault::Pass).unwrap();
        }
    });
}

#[test]
fn a_refusing_proxy_refuses_and_returns_on_the_same_port() {
    behind_a_proxy(|_, proxy| {
        let mut old = connect(proxy).unwrap();
        proxy.set(Fault::Refuse).unwrap();
        let refused = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(old.query("SELECT 1").unwrap().value(), "1");
        proxy.set(Fault::Pass).unwrap();
        assert_eq!(connect(proxy).unwrap().query("SELECT 2").unwrap().value(), "2");
    });
}

#[test]
fn replication_through_a_black_hole_lags() {
    behind_a_proxy(|cluster, proxy| {
        cluster.node(1).stream_from(proxy.port()).unwrap();
        wait_until(SOON, "the standby streams through the proxy", || proxy.counters().open > 0).unwrap();
        cluster.wait_streaming(SOON).unwrap();
        proxy.set(Fault::BlackHole).unwrap();
        cluster.primary().query("postgres", "CREATE TABLE t ()").unwrap();
        assert!(cluster.wait_caught_up(Duration::from_millis(500)).is_err());
        proxy.set(Fault::Pass).unwrap();
        cluster.wait_caught_up(SOON).unwrap();
    });
}
