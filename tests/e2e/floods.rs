//! More than fits: results that nobody reads, copies that nobody takes, pipelines without end. Memory stays flat.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgweir_sandbox::{Client, SandboxError};

use crate::harness::{
    Clients, Setup, Site, bind, execute, message, parse, query, sync, wait_for, with_traffic,
};

#[test]
fn a_slow_reader_of_a_big_result_holds_no_memory_and_nobody_up() {
    let site = Setup::newest().standbys(1).start();
    let seen = with_traffic(&site, Clients { readers: 1, writers: 1 }, |traffic| {
        let mut client = site.connect();
        client.query("SELECT repeat('x', 100)").unwrap();
        let before = site.pgweir.resident_bytes();
        // Six fields of 50 MB, then half a million rows of 400 bytes.
        let big = "SELECT repeat('x', 50000000) FROM generate_series(1, 6)";
        let many = "SELECT repeat('y', 400) FROM generate_series(1, 250000)";
        for (sql, messages) in [(big, 6), (many, 250_000)] {
            client.wire().send(&query(sql)).unwrap();
            wait_until_blocked(&site, "ClientWrite");
            traffic.wait_reads(100);
            traffic.wait_writes(10);
            assert_flat(&site, before);
            assert_eq!(rows_of(&mut client).unwrap(), messages);
        }
        assert_flat(&site, before);
    });
    assert_eq!((&seen.read_errors[..], &seen.write_errors[..]), (&[][..], &[][..]));
}

#[test]
fn a_big_copy_into_a_slow_server_holds_no_memory() {
    const PIECES: u64 = 3000;
    let site = Setup::newest().standbys(1).start();
    site.connect().query("CREATE UNLOGGED TABLE filled (line text)").unwrap();
    let mut piece = vec![b'x'; 100_000];
    piece.push(b'\n');
    let piece = message(b'd', &piece);
    let mut locker = site.cluster.primary().connect("postgres").unwrap();
    let before = site.pgweir.resident_bytes();
    locker.query("BEGIN; LOCK filled").unwrap();
    let sent = AtomicU64::new(0);
    thread::scope(|scope| {
        let copy = scope.spawn(|| {
            let mut client = site.connect();
            client.wire().send(&query("COPY filled FROM STDIN")).unwrap();
            for _ in 0..PIECES {
                client.wire().send(&piece).unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
            client.wire().send(&message(b'c', b"")).unwrap();
            client.reply().unwrap().tag
        });
        wait_until_blocked(&site, "relation");
        wait_until_unchanged("the client can send no more", || sent.load(Ordering::Relaxed));
        assert!(sent.load(Ordering::Relaxed) < PIECES, "somebody holds 300 MB");
        assert_flat(&site, before);
        locker.query("COMMIT").unwrap();
        assert_eq!(copy.join().unwrap(), format!("COPY {PIECES}"));
    });
    assert_flat(&site, before);
    assert_eq!(site.connect().query("SELECT sum(length(line)) FROM filled").unwrap().value(), "300000000");
}

/// A field of 100 MB goes up as a parameter and comes down as a result, to a client that takes it and to one that waits.
#[test]
fn fields_of_a_hundred_megabytes_go_both_ways_through_little_memory() {
    const BYTES: usize = 100_000_000;
    let site = Setup::newest().standbys(1).start();
    let mut client = site.connect();
    client.query("SELECT repeat('x', 100)").unwrap();
    let before = site.pgweir.resident_bytes();
    let field = "x".repeat(BYTES);
    for (sql, wanted) in [("SELECT length($1)", BYTES.to_string()), ("SELECT $1::text", field.clone())] {
        let said = [parse("", sql), bind("", &[&field]), execute(), sync()].concat();
        client.wire().send(&said).unwrap();
        assert!(client.reply().unwrap().value() == wanted, "{sql}");
        assert_flat(&site, before);
    }
}

#[test]
fn a_bind_may_have_as_many_parameters_as_its_count_can_say() {
    let site = Setup::newest().standbys(2).start();
    let mut client = site.connect();
    let before = site.pgweir.resident_bytes();
    let list: Vec<String> = (1..=usize::from(u16::MAX)).map(|number| format!("${number}::int")).collect();
    let sums = format!("SELECT sum(n) FROM unnest(ARRAY[{}]) AS n", list.join(","));
    let values: Vec<String> = (1..=usize::from(u16::MAX)).map(|number| number.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let wanted = (65_535_u64 * 65_536 / 2).to_string();
    for name in ["", "named"] {
        client.wire().send(&[parse(name, &sums), sync()].concat()).unwrap();
        client.reply().unwrap();
        // Again in a pipeline, and after others have had the server.
        client.wire().send(&[bind(name, &values), execute(), sync()].concat().repeat(12)).unwrap();
        assert!((0..12).all(|_| client.reply().unwrap().value() == wanted), "{name:?}");
        site.connect().query("SELECT 1").unwrap();
        client.wire().send(&[bind(name, &values), execute(), sync()].concat()).unwrap();
        assert_eq!(client.reply().unwrap().value(), wanted);
    }
    // The text of 700 kB is kept, for servers that have not parsed it, and while an error may put it back; of the 15 MB of
    // parameters nothing is.
    assert_flat(&site, before);
}

#[test]
fn pipelines_of_ten_thousand_statements_are_answered_in_order_with_errors_among_them() {
    let site = Setup::newest().standbys(2).start();
    site.connect().query("CREATE TABLE numbers (n int)").unwrap();
    let mut client = site.connect();
    let mut pipeline = Vec::new();
    for number in 0..10_000 {
        let text = number.to_string();
        pipeline.extend(match number % 100 {
            7 => {
                [parse("", "SELECT 1 / ($1::int - $1::int)"), bind("", &[&text]), execute(), sync()].concat()
            }
            8 => query(&format!("SELECT {number} / 0")),
            9 => query(&format!("SELECT {number}")),
            10 => query(&format!("INSERT INTO numbers VALUES ({number}) RETURNING n")),
            _ => [parse("", "SELECT $1"), bind("", &[&text]), execute(), sync()].concat(),
        });
    }
    // All of it before anything is read.
    client.wire().send(&pipeline).unwrap();
    for number in 0..10_000 {
        match (number % 100, client.reply()) {
            (7 | 8, Err(error)) => assert_eq!(error.sqlstate(), Some("22012"), "{number}: {error}"),
            (_, reply) => assert_eq!(reply.unwrap().value(), number.to_string()),
        }
    }
    assert_eq!(
        site.cluster.primary().query("postgres", "SELECT count(*) FROM numbers").unwrap().value(),
        "100"
    );
}

/// In one segment everything behind an error is skipped up to the Sync, however long it is.
#[test]
fn an_error_skips_the_rest_of_a_long_segment_and_nothing_more() {
    let site = Setup::newest().standbys(1).start();
    let mut client = site.connect();
    for failing in ["SELECT 1 / $1::int", "INSERT INTO nowhere VALUES ($1)"] {
        let good = [parse("", "SELECT $1"), bind("", &["0"]), execute()].concat();
        let bad = [parse("", failing), bind("", &["0"]), execute()].concat();
        let segment = [good.repeat(2000), bad, good.repeat(8000), sync(), query("SELECT 'after'")].concat();
        client.wire().send(&segment).unwrap();
        let error = client.reply().unwrap_err();
        assert!(matches!(error.sqlstate(), Some("22012" | "42P01")), "{error}");
        assert_eq!(client.reply().unwrap().value(), "after");
    }
}

/// Counts rows and looks at none.
fn rows_of(client: &mut Client) -> Result<u64, SandboxError> {
    let mut rows = 0;
    loop {
        match client.wire().recv()?.tag {
            b'D' => rows += 1,
            b'Z' => return Ok(rows),
            _ => {}
        }
    }
}

/// Waits until some server of a client of pgweir waits for this.
fn wait_until_blocked(site: &Site, event: &str) {
    let blocked = format!("SELECT count(*) FROM pg_stat_activity WHERE wait_event = '{event}'");
    site.wait_for(&format!("a server waits for {event}"), || {
        site.cluster.nodes().iter().any(|node| node.query("postgres", &blocked).unwrap().value() != "0")
    });
}

/// Waits until a count has stood still for a while.
fn wait_until_unchanged(what: &str, count: impl Fn() -> u64) {
    const WHILE: Duration = Duration::from_millis(500);
    let (mut last, mut since) = (count(), Instant::now());
    wait_for(what, || {
        let now = count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        now > 0 && since.elapsed() > WHILE
    });
}

#[track_caller]
fn assert_flat(site: &Site, before: u64) {
    let grown = site.pgweir.resident_peak_bytes().saturating_sub(before);
    assert!(grown < MEMORY_MAX, "pgweir grew by {grown} bytes");
}

/// Far below anything that is sent, and well above what buffers and the allocator need.
const MEMORY_MAX: u64 = 10 << 20;
