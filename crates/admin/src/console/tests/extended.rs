use super::*;
use crate::commands::COMMANDS;

/// Builds what a driver would send.
#[derive(Default)]
struct Pipeline(Vec<u8>);

impl Pipeline {
    fn parse(mut self, name: &str, text: &str) -> Self {
        say::frame(&mut self.0, b'P', &[name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"]);
        self
    }

    fn bind(mut self, portal: &str, statement: &str, formats: &[i16]) -> Self {
        let count = u16::try_from(formats.len()).unwrap().to_be_bytes();
        let formats: Vec<u8> = formats.iter().flat_map(|format| format.to_be_bytes()).collect();
        let names = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
        say::frame(&mut self.0, b'B', &[&names, b"\0\0\0\0", &count, &formats]);
        self
    }

    fn describe(self, kind: u8, name: &str) -> Self {
        self.target(b'D', kind, name)
    }

    fn close(self, kind: u8, name: &str) -> Self {
        self.target(b'C', kind, name)
    }

    fn target(mut self, tag: u8, kind: u8, name: &str) -> Self {
        say::frame(&mut self.0, tag, &[&[kind], name.as_bytes(), b"\0"]);
        self
    }

    fn execute(mut self, portal: &str, rows: i32) -> Self {
        say::frame(&mut self.0, b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()]);
        self
    }

    fn query(mut self, text: &str) -> Self {
        say::query(&mut self.0, text.as_bytes());
        self
    }

    fn sync(mut self) -> Self {
        self.0.extend_from_slice(say::SYNC);
        self
    }

    fn answer(&self) -> Vec<Message> {
        let (out, ended) = feed(&mut console(Privilege::Admin), &self.0);
        assert_eq!(ended, None);
        messages(&out)
    }

    fn check(&self, expected: &str) {
        assert_eq!(tags(&self.answer()), expected);
    }

    /// The session answers `expected` and the first error is of `sqlstate`.
    fn fails(&self, expected: &str, sqlstate: &str) {
        let answer = self.answer();
        assert_eq!((tags(&answer).as_str(), said(&answer).0.as_str()), (expected, sqlstate));
    }
}

fn line() -> Pipeline {
    Pipeline::default()
}

#[test]
fn a_prepared_show_is_described_and_run() {
    let show = line().parse("s", "SHOW NODES").describe(b'S', "s").bind("", "s", &[]);
    show.describe(b'P', "").execute("", 0).sync().check("1tT2TDDDCZ");
}

#[test]
fn every_command_can_be_run_and_its_rows_fit_their_columns() {
    for command in COMMANDS {
        for format in [0, 1] {
            let words = if command.name == "EXPLAIN ROUTE" { " SELECT 1" } else { "" };
            let text = &format!("{}{words}", command.name);
            let run = line().parse("", text).describe(b'S', "").bind("", "", &[]).execute("", 0);
            let simple = run.sync().query(text).answer();
            let formatted = line().parse("", text).bind("", "", &[format]).execute("", 0).sync().answer();
            assert!(tags(&simple).ends_with("CZ") && tags(&formatted).ends_with("CZ"), "{}", command.name);
        }
    }
}

#[test]
fn binary_is_sent_where_it_is_asked_for() {
    let answer =
        line().parse("", "SHOW LISTS").bind("", "", &[0, 1]).describe(b'P', "").execute("", 1).sync();
    let answer = answer.answer();
    assert_eq!(tags(&answer), "12TDsZ");
    assert!(answer[2].1.ends_with(&[0, 1]), "the second column is announced as binary");
    assert_eq!(answer[3].1, b"\0\x02\0\0\0\x09databases\0\0\0\x04\0\0\0\x01");
}

#[test]
fn a_row_limit_suspends_the_portal() {
    let show = line().parse("", "SHOW NODES").bind("p", "", &[]);
    show.execute("p", 2).execute("p", 2).execute("p", 2).sync().check("12DDsDCCZ");
    line().parse("", "SHOW NODES").bind("", "", &[]).execute("", 3).sync().check("12DDDCZ");
}

#[test]
fn what_returns_no_rows_says_so() {
    line().parse("", "RELOAD").describe(b'S', "").bind("", "", &[]).execute("", 0).sync().check("1tn2NCZ");
    line().parse("", "").describe(b'S', "").bind("", "", &[]).execute("", 0).sync().check("1tn2IZ");
    line().parse("", "BEGIN").bind("", "", &[]).execute("", 0).sync().check("12CZ");
}

#[test]
fn an_error_silences_the_session_up_to_the_next_sync() {
    let failed = line().parse("", "SHOW NOTHING").bind("", "", &[]).execute("", 0).query("SHOW VERSION");
    failed.sync().query("SHOW VERSION").fails("EZTDCZ", "42601");
    let mut denied = console(Privilege::Stats);
    let run = line().parse("", "SHUTDOWN").bind("", "", &[]).execute("", 0).sync();
    let (out, _) = feed(&mut denied, &run.0);
    assert_eq!(said(&messages(&out)).0, "42501");
    assert_eq!(tags(&messages(&out)), "EZ");
}

#[test]
fn statements_outlive_a_sync_and_portals_do_not() {
    let show = line().parse("s", "SHOW VERSION").bind("p", "s", &[]).sync();
    show.bind("", "s", &[]).execute("", 0).execute("p", 0).sync().fails("12Z2DCEZ", "34000");
    let unnamed = line().parse("", "SHOW VERSION").query("SHOW VERSION").bind("", "", &[]).sync();
    unnamed.fails("1TDCZEZ", "26000");
}

#[test]
fn names_are_taken_once_and_freed_by_close() {
    let twice = line().parse("s", "SHOW VERSION").parse("s", "SHOW LISTS").sync();
    twice.fails("1EZ", "42P05");
    line().parse("", "SHOW VERSION").parse("", "SHOW LISTS").sync().check("11Z");
    line().parse("s", "SHOW VERSION").close(b'S', "s").parse("s", "SHOW LISTS").sync().check("131Z");
    line().close(b'S', "none").close(b'P', "none").sync().check("33Z");
    line().parse("", "SHOW VERSION").bind("p", "", &[]).bind("p", "", &[]).sync().fails("12EZ", "42P03");
    line().parse("", "SHOW VERSION").bind("", "", &[]).bind("", "", &[]).sync().check("122Z");
}

#[test]
fn what_does_not_exist_is_named() {
    line().bind("", "gone", &[]).sync().fails("EZ", "26000");
    line().describe(b'S', "gone").sync().fails("EZ", "26000");
    line().describe(b'P', "gone").sync().fails("EZ", "34000");
    line().execute("gone", 0).sync().fails("EZ", "34000");
}

#[test]
fn bind_is_held_to_what_the_command_has() {
    line().parse("", "SHOW LISTS").bind("", "", &[0, 0, 0]).sync().fails("1EZ", "08P01");
    line().parse("", "SHOW LISTS").bind("", "", &[7]).sync().fails("1EZ", "22023");
    let mut parameter = line().parse("", "SHOW LISTS");
    say::frame(&mut parameter.0, b'B', &[b"\0\0", b"\0\0", b"\0\x01", b"\0\0\0\x01x", b"\0\0"]);
    parameter.sync().fails("1EZ", "08P01");
}

#[test]
fn a_session_keeps_a_bounded_number_of_statements_and_portals() {
    let many = (0..300).fold(line(), |line, at| line.parse(&format!("s{at}"), "SHOW VERSION"));
    many.sync().fails(&format!("{}EZ", "1".repeat(256)), "54000");
    let many = (0..70).fold(line().parse("", "SHOW LISTS"), |line, at| line.bind(&format!("p{at}"), "", &[]));
    many.sync().fails(&format!("1{}EZ", "2".repeat(64)), "54000");
}

#[test]
fn messages_that_do_not_add_up_are_errors_and_not_the_end() {
    for (tag, body) in [
        (b'P', &b"s\0SHOW VERSION\0\0"[..]),
        (b'B', b"\0\0\0\x01"),
        (b'B', b"\0\0\0\0\xFF\xFF\0\0"),
        (b'B', b"\0\0\0\0\0\x01\0\0\0\x09x\0\0"),
        (b'B', b"\0\0\0\0\0\0\0\x02\0\0"),
        (b'D', b"Xs\0"),
        (b'C', b""),
        (b'E', b"\0\0\0"),
    ] {
        let mut broken = line();
        say::frame(&mut broken.0, tag, &[body]);
        broken.sync().query("SELECT 1").fails("EZTDCZ", "08P01");
    }
    let mut broken = line();
    say::frame(&mut broken.0, b'Q', &[b"SHOW VERSION"]);
    broken.query("SELECT 1").fails("EZTDCZ", "08P01");
}
