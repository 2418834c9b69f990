//! A bad network between pgweir and its nodes: slow, cut, reset, silent, and one byte at a time.

use std::time::Duration;

use pgweir_sandbox::client::Message;
use pgweir_sandbox::{Client, Direction, Fault, FaultProxy};

use crate::harness::{Clients, Setup, Site, query, with_traffic};

/// A site whose first standby is behind a network that a test can break.
fn behind_a_bad_network(setup: &Setup) -> (Site, FaultProxy) {
    let cluster = setup.cluster();
    let network = FaultProxy::start(cluster.node(1).address()).unwrap();
    let site = setup.before_unready(cluster, |mut nodes| {
        nodes[1].address = network.address().to_string();
        nodes
    });
    site.wait_serving(&site.cluster.standbys());
    (site, network)
}

#[test]
fn reads_survive_whatever_the_network_does_to_a_standby() {
    let setup = Setup::newest().standbys(2).set("cluster.main", "monitor_timeout", "\"300ms\"");
    let (site, network) = behind_a_bad_network(&setup);
    let (cut_off, other) = (site.cluster.node(1), site.cluster.node(2));
    let seen = with_traffic(&site, Clients { readers: 4, writers: 1 }, |traffic| {
        traffic.wait_reads_of(cut_off);
        for _ in 0..3 {
            network.reset_all();
            traffic.wait_reads(50);
        }
        site.wait_serving(&[cut_off, other]);
        network.set(Fault::BlackHole).unwrap();
        site.wait_serving(&[other]);
        site.wait_for("nobody waits for the node behind the black hole", || {
            site.pgweir.metric("pgweir_node_in_flight", &[("node", cut_off.name())]) == Some(0.0)
        });
        traffic.wait_reads(100);
        network.set(Fault::Refuse).unwrap();
        network.reset_all();
        traffic.wait_reads(100);
        network.set(Fault::Pass).unwrap();
        site.wait_serving(&[cut_off, other]);
        traffic.wait_reads_of(cut_off);
        network.set(Fault::OneByte).unwrap();
        traffic.wait_reads_of(cut_off);
        network.set(Fault::Delay(Duration::from_millis(20))).unwrap();
        traffic.wait_reads_of(cut_off);
    });
    assert_eq!((&seen.read_errors[..], &seen.write_errors[..]), (&[][..], &[][..]));
}

/// What was shown cannot be taken back: then the client is told. What was not shown is read elsewhere.
#[test]
fn a_result_that_breaks_off_is_told_and_one_that_was_not_shown_is_read_elsewhere() {
    let (site, network) = behind_a_bad_network(&Setup::newest().standbys(1));
    let mut client = site.connect();
    let rows = "SELECT current_setting('sandbox.port'), repeat('x', 1000) FROM generate_series(1, 10000)";
    client.query("SELECT 1").unwrap();

    network.set(Fault::CutAfter { direction: Direction::ToClient, bytes: 3_000_000 }).unwrap();
    client.wire().send(&query(rows)).unwrap();
    let (whole, end) = rows_up_to_the_end(&mut client);
    assert!((1000..10_000).contains(&whole), "{whole} rows");
    // In the middle of a message nothing can be said.
    assert!(matches!(end.as_deref(), None | Some("08006")), "{end:?}");
    network.set(Fault::Pass).unwrap();
    site.wait_serving(&site.cluster.standbys());

    let mut client = site.connect();
    client.query("SELECT 1").unwrap();
    network.set(Fault::CutAfter { direction: Direction::ToServer, bytes: 10 }).unwrap();
    client.wire().send(&query(rows)).unwrap();
    let reply = client.reply().unwrap();
    assert_eq!((reply.rows.len(), reply.value()), (10_000, &site.primary_port()[..]));
}

/// Counts rows, each of which must be as the server sent it, and answers the SQLSTATE that ends them, if any.
fn rows_up_to_the_end(client: &mut Client) -> (usize, Option<String>) {
    let mut rows = 0;
    loop {
        match client.wire().recv() {
            Ok(Message { tag: b'T', .. }) => {}
            Ok(Message { tag: b'D', body }) => {
                assert!(body.ends_with(&[b'x'; 1000]), "{:?}", String::from_utf8_lossy(&body));
                rows += 1;
            }
            Ok(message) => {
                assert_eq!(message.tag, b'E', "{message:?}");
                let code = message.body.split(|&byte| byte == 0).find(|field| field.first() == Some(&b'C'));
                return (rows, code.map(|code| String::from_utf8_lossy(&code[1..]).into_owned()));
            }
            Err(_) => return (rows, None),
        }
    }
}
