//! What a session is made of and told: plain words without behaviour.

use std::sync::Arc;

use pgweir_sql::CatalogSlot;

use crate::accepted::AcceptedSettings;
use crate::proven::ProvenStatements;
use crate::settings::SettingMap;
use crate::statements::StatementNamer;

/// When a server goes back to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// When the client leaves.
    Session,
    /// When the transaction ends.
    Transaction,
    /// When the statement ends; transaction blocks are refused.
    Statement,
}

/// Where the reads of a block go that may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionReads {
    /// To the primary.
    Primary,
    /// To a standby until the first statement that is anything else, where that shows no difference.
    UntilWrite,
}

/// How much one session may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest segment that is held for classification, in bytes; a longer one goes to the primary as it comes.
    pub query_bytes_max: usize,
    /// The most bytes of unanswered reads that are kept to be sent again.
    pub segment_bytes_max: usize,
    /// The most prepared statements of one client; beyond it 53400.
    pub client_statements_max: usize,
    /// The most prepared statements kept on one server; beyond it the least used is closed.
    pub server_statements_max: usize,
    /// The most replies that may be outstanding; beyond it the client is not read.
    pub pipeline_depth_max: usize,
}

/// What a session is made of.
#[derive(Debug)]
pub struct SessionSettings {
    /// A number no other session has.
    pub id: u64,
    /// The process number that the client was given (BackendKeyData).
    pub process_id: u32,
    /// When servers go back.
    pub mode: PoolMode,
    /// Bounds.
    pub limits: Limits,
    /// The settings of the start-up packet.
    pub startup: Arc<SettingMap>,
    /// Names of prepared statements on servers.
    pub namer: Arc<StatementNamer>,
    /// Statements that servers of the pool have parsed.
    pub proven: Arc<ProvenStatements>,
    /// Settings that servers of the pool have taken.
    pub accepted: Arc<AcceptedSettings>,
    /// The catalog of the session's database.
    pub catalog: Arc<CatalogSlot>,
    /// The role with which servers are logged in to.
    pub role: Arc<str>,
    /// Whether reads must see the session's own writes.
    pub reads_own_writes: bool,
    /// Where the reads of a block go that may write.
    pub transaction_reads: TransactionReads,
}

/// Whether a server may be given writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It takes anything.
    Primary,
    /// It takes proven reads.
    Standby,
}

/// Whether a server must prove that it lives before it is given anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It must.
    Ask,
    /// It was in use a moment ago.
    Known,
}

/// Why a demand was not met; the client gets it as an error and the session goes on.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The five-character code.
    pub sqlstate: &'static str,
    /// The text for the client.
    pub message: String,
}
