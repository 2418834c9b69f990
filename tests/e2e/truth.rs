//! Statements and what is true of them, against real servers: a read is what a standby runs with the primary's answer.
//!
//! Why: a table of verdicts repeats its author's mistakes. Here the second column is checked first: reads run on a primary
//! and on its standby and must answer alike, writes must be refused by the standby, and what is said to differ between
//! nodes must differ. Then the classifier, with the live catalog, must send nothing but reads to standbys, and all of them
//! but a few that are listed.
//!
//! A line is `sql => truth[, mark…]`, with ¶ for a newline. Truth is one of
//! - `read`: a standby may serve it,
//! - `write`: a standby refuses it,
//! - `node`: nodes answer differently,
//! - `session`, `effect`: it reads or changes what one server holds, or does something that is no answer: not run here,
//! - `unknown`: nobody can tell without running it.
//!
//! Marks: a major version from which on it exists; `libxml` if it needs a server that was built with that; `volatile` answers
//! differ each time; `kept` on the primary although a standby may serve it; `error` if it fails everywhere.

use std::fmt::Write as _;
use std::sync::Arc;

use pgweir_config::Config;
use pgweir_proxy::inspect::Primary;
use pgweir_sandbox::{Binaries, Client, Cluster, ClusterSettings, SandboxError};
use pgweir_sql::{CatalogSlot, Classifier, Explanation, Lexing, SearchPath, Settings, Target, Wish, explain};

use crate::harness::wait_for;

const OBJECTS: &str = include_str!("truth/objects.sql");
const TABLES: [(&str, &str); 5] = [
    ("applications", include_str!("truth/applications.tests")),
    ("syntax", include_str!("truth/syntax.tests")),
    ("functions", include_str!("truth/functions.tests")),
    ("objects", include_str!("truth/objects.tests")),
    ("programs", include_str!("truth/programs.tests")),
];

/// One line of a table.
struct Case {
    place: String,
    sql: String,
    truth: Truth,
    marks: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    Read,
    Write,
    Node,
    NotRun,
}

impl Case {
    fn all() -> Vec<Self> {
        let lines = TABLES.iter().flat_map(|(name, table)| {
            let lines = table.lines().enumerate();
            lines.map(move |(at, line)| (format!("{name}.tests:{}", at + 1), line))
        });
        let told = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        told.map(|(place, line)| Self::parse(place, line)).collect()
    }

    fn parse(place: String, line: &str) -> Self {
        let (sql, told) = line.rsplit_once(" => ").unwrap_or_else(|| panic!("{place} has no arrow"));
        let mut words = told.split(", ");
        let truth = match words.next().expect("a split has a first part") {
            "read" => Truth::Read,
            "write" => Truth::Write,
            "node" => Truth::Node,
            "session" | "effect" | "unknown" => Truth::NotRun,
            other => panic!("{place}: {other} is no truth"),
        };
        Self { place, sql: sql.replace('¶', "\n"), truth, marks: words.map(str::to_owned).collect() }
    }

    fn is(&self, mark: &str) -> bool {
        self.marks.iter().any(|marked| marked == mark)
    }

    fn exists_in(&self, major: u32) -> bool {
        self.marks.iter().filter_map(|mark| mark.parse::<u32>().ok()).all(|from| major >= from)
    }

    /// What is wrong with its truth, as the servers see it.
    fn untruth(&self, primary: &mut Client, standby: &mut Client) -> Option<String> {
        let lacking = self.is("libxml") && primary.query("SELECT xpath('/a', '<a/>')").is_err();
        if self.truth == Truth::NotRun || self.is("error") || lacking {
            return None;
        }
        let on_standby = told(standby.query(&self.sql));
        if self.truth == Truth::Write {
            let state = on_standby.as_ref().err().map_or("", |error| &error[..5]);
            // XX000: cannot assign OIDs, or transaction IDs, during recovery. 58P01: no file of an unlogged table.
            let refused = matches!(state, "25006" | "0A000" | "55000" | "XX000" | "58P01");
            return (!refused).then(|| format!("a standby does not refuse it: {on_standby:?}"));
        }
        let on_primary = told(primary.query(&self.sql));
        let alike = match (&on_primary, &on_standby) {
            (Ok(_), Ok(_)) if self.is("volatile") => true,
            (Ok(primary), Ok(standby)) => primary == standby,
            (Err(error), _) => return Some(format!("it fails: {error}")),
            (Ok(_), Err(_)) => false,
        };
        (alike != (self.truth == Truth::Read))
            .then(|| format!("on the primary {on_primary:?}, on a standby {on_standby:?}"))
    }

    /// What is wrong with where it goes.
    fn mistake(&self, explained: &Explanation) -> Option<String> {
        let reason = explained.reason.code();
        match (self.truth, explained.target) {
            (Truth::Read, Target::Primary) if !self.is("kept") => Some(format!("KEPT by {reason}")),
            (Truth::Read, Target::Standby) if self.is("kept") => Some("is not kept any more".to_owned()),
            (Truth::Write | Truth::Node | Truth::NotRun, Target::Standby) => {
                Some(format!("goes to a STANDBY by {reason}"))
            }
            _ => None,
        }
    }
}

/// The rows, or the error with its SQLSTATE first.
fn told(reply: Result<pgweir_sandbox::client::Reply, SandboxError>) -> Result<String, String> {
    match reply {
        Ok(reply) => Ok(format!("{:?} {:?} {}", reply.columns, reply.rows, reply.tag)),
        Err(SandboxError::Server(error)) => Err(format!("{} {}", error.sqlstate, error.message)),
        Err(error) => panic!("the connection is lost: {error}"),
    }
}

/// A primary with its standby, and what pgweir knows of the database.
struct Bench {
    cluster: Cluster,
    slot: CatalogSlot,
}

impl Bench {
    fn start(binaries: &Binaries) -> Self {
        let settings = ClusterSettings::with_standbys(1).config("wal_level", "logical");
        let cluster = Cluster::start(binaries, &settings).expect("the cluster starts");
        cluster.primary().query("postgres", OBJECTS).expect("the objects are made");
        let mut nodes = "[auth]\nmethod = \"trust\"\n".to_owned();
        for node in cluster.nodes() {
            let _ = writeln!(nodes, "[[cluster.main.node]]\naddress = \"{}\"", node.address());
        }
        let config = Config::parse(&nodes, cluster.directory()).expect("the configuration is right").config;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let catalog = runtime.expect("the system gives a runtime").block_on(async {
            let mut primary = Primary::find(&config, "postgres").await.expect("there is a primary");
            primary.catalog().await.expect("the primary shows its catalog")
        });
        let slot = CatalogSlot::new(0);
        slot.set(Some(Arc::new(catalog)));
        let bench = Self { cluster, slot };
        bench.wait_caught_up();
        bench
    }

    fn wait_caught_up(&self) {
        let [primary, standby] = [self.cluster.primary(), self.cluster.standbys()[0]];
        let flushed = primary.query("postgres", "SELECT pg_current_wal_flush_lsn()").expect("it answers");
        let question = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", flushed.value());
        wait_for("the standby has replayed", || {
            standby.query("postgres", &question).is_ok_and(|reply| reply.value() == "t")
        });
    }

    /// The role of an application, for which row-level security counts.
    fn clients(&self) -> [Client; 2] {
        [self.cluster.primary(), self.cluster.standbys()[0]].map(|node| {
            let address = pgweir_sandbox::client::Address::Tcp(node.address());
            Client::connect(&address, "app", "postgres").expect("the node answers")
        })
    }
}

#[test]
fn what_is_called_a_read_is_one_on_a_real_standby_of_every_version() {
    let cases = Case::all();
    assert!(cases.len() > 500, "the tables have shrunk");
    let mut wrong = String::new();
    for binaries in Binaries::installed() {
        let bench = Bench::start(&binaries);
        let [mut primary, mut standby] = bench.clients();
        let naming = bench.slot.naming(SearchPath::Default, "app");
        let mut classifier = Classifier::new(Settings::default(), 0);
        let (mut reads, mut kept) = (0, 0);
        for case in cases.iter().filter(|case| case.exists_in(binaries.major)) {
            let text = case.sql.as_bytes();
            let explained =
                explain(&mut classifier, text, Lexing::default(), Some(&naming), &Wish::default());
            reads += usize::from(case.truth == Truth::Read);
            kept += usize::from(case.truth == Truth::Read && case.is("kept"));
            let found = [case.mistake(&explained), case.untruth(&mut primary, &mut standby)];
            for what in found.into_iter().flatten() {
                let _ = writeln!(wrong, "{} on {}: {}\n    {what}", case.place, binaries.major, case.sql);
            }
        }
        if kept * 50 > reads {
            let _ = writeln!(wrong, "{kept} of {reads} reads are kept on the primary");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
