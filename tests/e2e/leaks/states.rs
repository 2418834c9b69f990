//! What a client may leave behind in its session.

use crate::harness::{bind, execute, message, parse, query, sync};

/// One kind of session state, and how a client comes to it.
pub(super) struct State {
    pub(super) name: String,
    /// The client's messages.
    pub(super) said: Vec<u8>,
    /// What shows that the server has got there.
    pub(super) heard: Heard,
    pub(super) leaves: Leaves,
}

impl State {
    pub(super) fn prepares_transaction(&self) -> bool {
        self.name.contains("PREPARE TRANSACTION")
    }
}

/// What a client waits for.
#[derive(Clone, Copy)]
pub(super) enum Heard {
    /// So many ReadyForQuery.
    Ready(usize),
    /// A message of this type, or an error.
    Message(u8),
    Nothing,
}

/// In which condition the conversation is left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// In no transaction, unless one was open before.
    Rest,
    /// In a transaction block.
    Block,
    /// In the middle of something: no query can follow.
    Middle,
}

/// All that is known.
pub(super) fn all() -> Vec<State> {
    let texts = AT_REST.iter().map(|sql| simple(sql, Leaves::Rest));
    let blocks = IN_BLOCK.iter().map(|sql| simple(sql, Leaves::Block));
    texts.chain(blocks).chain(extended()).chain(middles()).collect()
}

fn simple(sql: &str, leaves: Leaves) -> State {
    let texts: Vec<&str> = sql.split("\n").collect();
    let said: Vec<u8> = texts.iter().flat_map(|sql| query(sql)).collect();
    State { name: sql.to_owned(), said, heard: Heard::Ready(texts.len()), leaves }
}

fn extended() -> Vec<State> {
    let run = |sql: &str| [parse("", sql), bind("", &[]), execute()].concat();
    let state = |name: &str, said: Vec<u8>, ready| State {
        name: name.to_owned(),
        said,
        heard: Heard::Ready(ready),
        leaves: Leaves::Rest,
    };
    vec![
        state("a named statement", [parse("left", "SELECT 1"), sync()].concat(), 1),
        state("an unnamed statement", [parse("", "SELECT 1"), sync()].concat(), 1),
        state("an extended SET", [run("SET search_path TO left_behind"), sync()].concat(), 1),
        state("an extended LISTEN", [run("LISTEN left_channel"), sync()].concat(), 1),
        state("a function call of set_config", call(2078, &[b"left.custom", b"x", b"\0"]), 1),
        state("a function call of pg_advisory_lock", call(2880, &[&7_i64.to_be_bytes()]), 1),
        state("an extended PREPARE", [run("PREPARE left_statement AS SELECT 1"), sync()].concat(), 1),
        state(
            "a SET in a pipeline that fails",
            [run("SET work_mem TO '3MB'"), run("SELECT 1/0"), run("SET work_mem TO '5MB'"), sync()].concat(),
            1,
        ),
        state(
            "a SET and a temporary table in one segment",
            [run("SET work_mem TO '3MB'"), run("CREATE TEMP TABLE left_table (n int)"), sync()].concat(),
            1,
        ),
    ]
}

/// What breaks off in the middle. All but the first line of it needs a server that waits.
fn middles() -> Vec<State> {
    let run = |sql: &str, rows: u32| {
        [parse("", sql), bind("", &[]), message(b'E', &[&b"\0"[..], &rows.to_be_bytes()].concat())].concat()
    };
    let flushed = |said: Vec<u8>| [said, message(b'H', b"")].concat();
    let state =
        |name: &str, said, heard| State { name: name.to_owned(), said, heard, leaves: Leaves::Middle };
    let copy_in = || query("COPY numbers FROM STDIN");
    let many = "SELECT repeat('x', 1000) FROM generate_series(1, 3000)";
    vec![
        state("half a message", query("SET work_mem TO '3MB'")[..9].to_vec(), Heard::Nothing),
        state("a header", query("SET work_mem TO '3MB'")[..5].to_vec(), Heard::Nothing),
        state("a COPY without data", copy_in(), Heard::Message(b'G')),
        state("a COPY with data", [copy_in(), message(b'd', b"1\n")].concat(), Heard::Message(b'G')),
        state(
            "a COPY with data nobody waited for",
            [copy_in(), message(b'd', b"1\n")].concat(),
            Heard::Nothing,
        ),
        state(
            "half a piece of COPY data",
            [copy_in(), message(b'd', b"1\n")[..6].to_vec()].concat(),
            Heard::Nothing,
        ),
        state("an extended COPY", flushed(run("COPY numbers FROM STDIN", 0)), Heard::Message(b'G')),
        state("a COPY out under way", query(&format!("COPY ({many}) TO STDOUT")), Heard::Message(b'H')),
        state("a big result under way", query(many), Heard::Message(b'D')),
        state("a suspended portal", flushed(run(many, 1)), Heard::Message(b's')),
        state("a flushed SET", flushed(run("SET work_mem TO '3MB'", 0)), Heard::Message(b'C')),
        state("a flushed lock", flushed(run("SELECT pg_advisory_lock(7)", 0)), Heard::Message(b'C')),
        state("a flushed Parse", flushed(parse("left", "SELECT 1")), Heard::Message(b'1')),
        state("a Parse without end", parse("left", "SELECT 1"), Heard::Nothing),
        state("a flushed error", flushed(run("SELECT 1/0", 0)), Heard::Message(b'E')),
        state("a query nobody waited for", query("SET work_mem TO '3MB'"), Heard::Nothing),
        state("a sleep", query("SELECT pg_sleep(0.2)"), Heard::Nothing),
        state(
            "a sleep in a block",
            [query("BEGIN"), query("SELECT pg_sleep(0.2) FOR UPDATE")].concat(),
            Heard::Message(b'Z'),
        ),
    ]
}

/// A FunctionCall with binary arguments that wants a binary result.
fn call(function: u32, arguments: &[&[u8]]) -> Vec<u8> {
    let count = u16::try_from(arguments.len()).unwrap().to_be_bytes();
    let mut body = [&function.to_be_bytes()[..], &[0, 1, 0, 1], &count].concat();
    for argument in arguments {
        body.extend_from_slice(&u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend_from_slice(argument);
    }
    body.extend_from_slice(&[0, 1]);
    message(b'F', &body)
}

/// Texts that end in no transaction; lines are queries of their own.
const AT_REST: &[&str] = &[
    "SELECT 1",
    "INSERT INTO numbers VALUES (1)",
    "SET datestyle TO 'German, DMY'",
    "SET timezone TO 'Asia/Tokyo'",
    "SET client_encoding TO 'LATIN1'",
    "SET application_name TO 'left'",
    "SET intervalstyle TO 'iso_8601'",
    "SET standard_conforming_strings TO off",
    "SET work_mem TO '3MB'",
    "SET statement_timeout TO '1h'",
    "SET enable_seqscan TO off",
    "SET client_min_messages TO debug5",
    "SET session_replication_role TO replica",
    "SET row_security TO off",
    "SET default_transaction_read_only TO on",
    "SET default_transaction_isolation TO serializable",
    "SET transaction_read_only TO on",
    "SET LOCAL work_mem TO '3MB'",
    "SET \"left\".custom TO 'x'",
    "SET search_path TO left_behind",
    "SET ROLE somebody",
    "SET SESSION AUTHORIZATION somebody",
    "SET SESSION AUTHORIZATION somebody\nSET ROLE NONE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET work_mem TO '3MB'; SET datestyle TO 'SQL'",
    "SET work_mem TO '3MB'; SELECT 1/0",
    "SET work_mem TO '3MB'\nRESET work_mem",
    "SET work_mem TO '3MB'\nRESET ALL",
    "BEGIN\nSET work_mem TO '3MB'\nCOMMIT",
    "BEGIN\nSET work_mem TO '3MB'\nROLLBACK",
    "BEGIN\nSET work_mem TO '3MB'\nSAVEPOINT a\nSET work_mem TO '5MB'\nROLLBACK TO a\nCOMMIT",
    "BEGIN\nSET datestyle TO 'SQL'\nSELECT 1/0\nROLLBACK",
    "BEGIN; SET work_mem TO '3MB'; COMMIT; SET datestyle TO 'SQL'",
    "SELECT set_config('search_path', 'left_behind', false)",
    "SELECT set_config('left.custom', 'x', false)",
    "SELECT set_config('work_mem', '3MB', true)",
    "LISTEN left_channel",
    "BEGIN\nLISTEN left_channel\nCOMMIT",
    "LISTEN left_channel\nUNLISTEN left_channel",
    "NOTIFY left_channel, 'left'",
    "CREATE TEMPORARY TABLE left_table (n int)",
    "CREATE TABLE pg_temp.left_table (n int)",
    "CREATE TEMPORARY VIEW left_table AS SELECT 1 AS n",
    "CREATE TEMPORARY SEQUENCE left_table",
    "CREATE TYPE pg_temp.left_type AS (n int)",
    "CREATE FUNCTION pg_temp.left_function() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT 1 AS n INTO TEMPORARY left_table",
    "CREATE TEMP TABLE left_table AS SELECT 1 AS n",
    "CREATE TEMP TABLE left_table (n int) ON COMMIT DELETE ROWS\nDROP TABLE left_table",
    "DO $$ BEGIN PERFORM set_config('left.custom', 'x', false); END $$",
    "BEGIN\nDECLARE left_cursor CURSOR WITH HOLD FOR SELECT generate_series(1, 10)\nCOMMIT",
    "DECLARE left_cursor CURSOR WITH HOLD FOR SELECT generate_series(1, 10)",
    "SELECT pg_advisory_lock(7)",
    "SELECT pg_advisory_lock_shared(7)",
    "SELECT pg_try_advisory_lock(7, 7)",
    "SELECT pg_advisory_lock(7)\nSELECT pg_advisory_unlock(7)",
    "BEGIN\nSELECT pg_advisory_lock(7)\nROLLBACK",
    "SELECT pg_advisory_xact_lock(7)",
    "DO $$ BEGIN CREATE TEMPORARY TABLE left_table (n int); END $$",
    "DO $$ BEGIN EXECUTE 'CREATE TE' || 'MP TABLE left_table (n int)'; END $$",
    "DO $$ BEGIN PERFORM pg_advisory_lock(7); END $$",
    "SELECT makes_temporary()",
    "SELECT sets_something()",
    "SELECT locks_something()",
    "SELECT listens()",
    "CALL makes_temporary_too()",
    "SELECT nextval('counted')",
    "SELECT nextval('counted')\nSELECT currval('counted')",
    "SELECT setval('counted', 10)",
    "INSERT INTO numbered DEFAULT VALUES\nSELECT lastval()",
    "PREPARE left_statement AS SELECT 1",
    "PREPARE left_statement AS SELECT 1\nDEALLOCATE left_statement",
    "PREPARE left_statement AS SELECT 1; EXECUTE left_statement",
    "LOAD 'auto_explain'",
    "SELECT setseed(0.25)",
    "SELECT setseed(0.25)\nDISCARD ALL",
    "SELECT random()",
    "SELECT lo_create(0)",
    "DISCARD PLANS",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
    "RESET ALL",
    "DEALLOCATE ALL",
    "UNLISTEN *",
    "CLOSE ALL",
    "SELECT 1/0",
    "COPY numbers TO STDOUT",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "ANALYZE numbers",
    "BEGIN\nINSERT INTO numbers VALUES (2)\nPREPARE TRANSACTION 'left'",
    "BEGIN\nSET work_mem TO '3MB'\nPREPARE TRANSACTION 'left'",
];

/// Texts that leave a transaction block open.
const IN_BLOCK: &[&str] = &[
    "BEGIN",
    "BEGIN READ ONLY\nSELECT 1",
    "BEGIN ISOLATION LEVEL SERIALIZABLE\nSELECT count(*) FROM numbers",
    "BEGIN\nINSERT INTO numbers VALUES (3)",
    "BEGIN\nSET LOCAL work_mem TO '3MB'",
    "BEGIN\nSET work_mem TO '3MB'\nSET datestyle TO 'SQL'",
    "BEGIN\nSELECT 1/0",
    "BEGIN\nSAVEPOINT a\nINSERT INTO numbers VALUES (3)\nSAVEPOINT b",
    "BEGIN\nSAVEPOINT a\nSELECT 1/0\nROLLBACK TO a",
    "BEGIN\nDECLARE left_cursor CURSOR FOR SELECT generate_series(1, 10)\nFETCH 1 FROM left_cursor",
    "BEGIN\nSELECT makes_temporary()",
    "BEGIN\nSELECT pg_advisory_xact_lock(7)",
    "BEGIN\nLOCK numbers",
    "BEGIN\nSELECT lo_open(lo_create(0), 131072)",
    "BEGIN\nSET LOCAL ROLE somebody",
    "BEGIN\nLISTEN left_channel",
    "BEGIN\nCREATE TEMP TABLE left_table (n int) ON COMMIT DROP",
    "BEGIN; SET work_mem TO '3MB'",
    "COMMIT AND CHAIN",
];
