//! Judges statements as a session of pgweir would, with the live catalog, and knows when the standby has caught up.

use std::sync::Arc;
use std::time::Duration;

use pgweir_config::Config;
use pgweir_proxy::inspect::Primary;
use pgweir_sandbox::client::Wire;
use pgweir_sandbox::{Client, Cluster, SandboxError, wait_until};
use pgweir_sql::{
    CatalogSlot, Classifier, CopyDirection, Kind, Leaves, Lexing, SearchPath, Settings, Target, Wish, explain,
};
use tokio::runtime::Runtime;

use super::tally::Tally;
use super::twin;
use crate::site;

/// What all sessions share.
pub(super) struct Judge {
    pub(super) tally: Tally,
    classifier: Classifier,
    slot: CatalogSlot,
    config: Config,
    runtime: Runtime,
    /// Connected when the first statement comes, since the suite's database is not there before.
    asked: Option<Asked>,
    primary: pgweir_sandbox::client::Address,
    standby: pgweir_sandbox::client::Address,
    catalog_may_differ: bool,
    standby_may_lag: bool,
}

/// Connections of the judge's own.
struct Asked {
    catalog: Primary,
    primary: Client,
    standby: Client,
}

/// What a session on the primary is like.
pub(super) struct State {
    /// SQL that makes another session like it.
    settings: String,
    search_path: String,
    lexing: Lexing,
    /// It has temporary objects, or a standby refuses its transactions: pgweir would keep it on the primary.
    needs_primary: bool,
}

/// What came of judging a statement.
pub(super) struct Judged {
    pub(super) is_read: bool,
    pub(super) reason: &'static str,
    /// SQL that makes another session like the one that asked.
    pub(super) settings: String,
    /// Nothing but the text keeps it from a standby.
    pub(super) is_portable: bool,
    /// It does something to the node that runs it, so nobody tries.
    pub(super) acts: bool,
}

impl Judge {
    pub(super) fn new(cluster: &Cluster) -> Self {
        let settings = format!("[auth]\nmethod = \"trust\"\n{}", site::nodes(cluster));
        let config =
            Config::parse(&settings, cluster.directory()).expect("the configuration is right").config;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let address = |node: &pgweir_sandbox::Node| pgweir_sandbox::client::Address::Tcp(node.address());
        Self {
            tally: Tally::default(),
            classifier: Classifier::new(Settings::default(), 0),
            slot: CatalogSlot::new(0),
            config,
            runtime: runtime.expect("the system gives a runtime"),
            asked: None,
            primary: address(cluster.primary()),
            standby: address(cluster.standbys()[0]),
            catalog_may_differ: true,
            standby_may_lag: true,
        }
    }

    /// Whether the text is of a kind that may be a read.
    pub(super) fn may_read(&mut self, text: &[u8]) -> bool {
        let kind = self.classifier.classify(text, Lexing::default(), None).kind;
        matches!(
            kind,
            Kind::Query | Kind::Show | Kind::Explain | Kind::Copy(CopyDirection::Out) | Kind::Multi
        )
    }

    /// The text runs on the primary alone; whether it may change its session.
    pub(super) fn note(&mut self, text: &[u8]) -> bool {
        let verdict = self.classifier.classify(text, Lexing::default(), None);
        self.standby_may_lag = true;
        let harmless = matches!(
            verdict.kind,
            Kind::Modify | Kind::Copy(_) | Kind::Fetch | Kind::Declare | Kind::ClosePortal | Kind::Vacuum
        );
        if harmless && verdict.leaves == Leaves::Nothing && verdict.binds.is_none() {
            return false;
        }
        let session_only = matches!(
            verdict.kind,
            Kind::Set | Kind::Reset | Kind::Begin(_) | Kind::Commit | Kind::Prepare | Kind::Savepoint
        ) || verdict.kind == Kind::Query && verdict.leaves == Leaves::Nothing;
        self.catalog_may_differ |= !session_only;
        true
    }

    /// What pgweir makes of a text in a session of this state.
    pub(super) fn judge(&mut self, text: &[u8], state: &State) -> Judged {
        self.look();
        let naming = self.slot.naming(SearchPath::List(&state.search_path), "postgres");
        let explained = explain(&mut self.classifier, text, state.lexing, Some(&naming), &Wish::default());
        let acts = ACTS.iter().any(|name| String::from_utf8_lossy(text).contains(name));
        Judged {
            is_read: explained.target == Target::Standby,
            reason: explained.reason.code(),
            settings: state.settings.clone(),
            is_portable: !state.needs_primary,
            acts: acts || explained.reason.code() == "copy.file",
        }
    }

    /// Waits until the standby has all that the primary has committed.
    pub(super) fn wait_replayed(&mut self) {
        if !std::mem::replace(&mut self.standby_may_lag, false) {
            return;
        }
        let asked = self.asked();
        let flushed =
            asked.primary.query("SELECT pg_current_wal_flush_lsn()").expect("the primary says where it is");
        let question = format!("SELECT pg_last_wal_replay_lsn() >= '{}'", flushed.value());
        let replayed =
            || asked.standby.query(&question).expect("the standby says where it is").value() == "t";
        wait_until(REPLAY_WITHIN, "the standby replays", replayed).expect("the standby follows");
    }

    /// Reads the catalog if it may have changed.
    fn look(&mut self) {
        if !std::mem::replace(&mut self.catalog_may_differ, false) {
            return;
        }
        self.asked();
        let asked = self.asked.as_mut().expect("it was just connected");
        let catalog = self.runtime.block_on(asked.catalog.catalog()).expect("the primary shows its catalog");
        self.slot.set(Some(Arc::new(catalog)));
    }

    fn asked(&mut self) -> &mut Asked {
        let connect = |address| Client::connect(address, "postgres", "regression").expect("the node answers");
        let find = || self.runtime.block_on(Primary::find(&self.config, "regression"));
        self.asked.get_or_insert_with(|| Asked {
            catalog: find().expect("the primary is found"),
            primary: connect(&self.primary),
            standby: connect(&self.standby),
        })
    }
}

impl State {
    /// Asks the session itself.
    pub(super) fn of(session: &mut Wire) -> Result<Self, SandboxError> {
        let answer = twin::exchange(session, STATE)?;
        let [settings, search_path, conforming, needs_primary] =
            answer.row().try_into().expect("four columns");
        Ok(Self {
            settings,
            search_path,
            lexing: Lexing { standard_conforming_strings: conforming == "on" },
            needs_primary: needs_primary == "t",
        })
    }
}

/// What a session has that its start-up packet did not give it.
const STATE: &str = "
SELECT 'RESET SESSION AUTHORIZATION; RESET ALL; '
       || coalesce((SELECT pg_catalog.string_agg(
              pg_catalog.format('SELECT pg_catalog.set_config(%L, %L, false); ', s.name, s.setting), '' ORDER BY s.name)
            FROM pg_catalog.pg_settings s
           WHERE s.source = 'session'
             AND s.name NOT IN ('session_authorization', 'role', 'transaction_isolation', 'transaction_read_only',
                                'transaction_deferrable', 'seed')), '')
       || pg_catalog.format('SET SESSION AUTHORIZATION %I; ', session_user)
       || CASE pg_catalog.current_setting('role') WHEN 'none' THEN ''
               ELSE pg_catalog.format('SET ROLE %I', pg_catalog.current_setting('role')) END,
       pg_catalog.current_setting('search_path'),
       pg_catalog.current_setting('standard_conforming_strings'),
       pg_catalog.current_setting('default_transaction_isolation') = 'serializable'
       OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = pg_catalog.pg_my_temp_schema())
       OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = pg_catalog.pg_my_temp_schema())
       OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = pg_catalog.pg_my_temp_schema())";

/// Names of functions that do something to the node which runs them.
const ACTS: [&str; 12] = [
    "pg_promote",
    "pg_wal_replay",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_log_backend_memory_contexts",
    "replication_slot",
    "lo_export",
    "pg_stat_reset",
    "pg_advisory",
    "pg_sleep",
];
const REPLAY_WITHIN: Duration = Duration::from_secs(60);
