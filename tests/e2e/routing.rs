//! The main job: writes reach the primary, reads the standbys, and nobody notices.

use crate::harness::Setup;

#[test]
fn a_write_reaches_the_primary_and_reads_the_standbys() {
    let site = Setup::newest().standbys(2).start();
    let mut client = site.connect();
    client.query("CREATE TABLE seen (port int DEFAULT current_setting('sandbox.port')::int)").unwrap();
    client.query("INSERT INTO seen DEFAULT VALUES").unwrap();
    assert_eq!(client.query("SELECT port FROM seen").unwrap().value(), site.primary_port());
    site.wait_caught_up();
    // A session that has written nothing may read anywhere.
    let mut client = site.connect();
    assert_ne!(client.query("SELECT current_setting('sandbox.port')").unwrap().value(), site.primary_port());
}
