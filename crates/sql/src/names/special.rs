//! The curated table: built-in functions (and a few of contrib's) whose volatility mark does not tell where
//! they may run, each with the reason.
//!
//! Invariant: sorted by name. A volatile built-in that is not here is [`Class::Unproven`] by being unknown.

use super::Class::{self, Lock, Node, Safe, Session, Setting, Unproven, Write};
use crate::PinCause::{
    self, AdvisoryLock, Backup, Dblink, RandomSeed, Replication, SequenceValue, SetConfig,
};

/// What is known of a function beyond its volatility mark.
pub(crate) struct Special {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// Session state that a call leaves behind.
    pub(crate) binds: Option<PinCause>,
    /// Why the class is what it is.
    #[allow(dead_code, reason = "for the reader of this table, and of what is generated from it")]
    pub(crate) why: &'static str,
}

macro_rules! special {
    ($($name:literal $class:ident $($pin:ident)? $why:literal;)*) => {
        &[$(Special { name: $name, class: $class, binds: special!(@pin $($pin)?), why: $why },)*]
    };
    (@pin $pin:ident) => { Some($pin) };
    (@pin) => { None };
}

pub(super) static SPECIAL: &[Special] = special! {
    "array_sample" Safe "volatile for its randomness only";
    "array_shuffle" Safe "volatile for its randomness only";
    "bernoulli" Safe "a sampling method: reads only";
    "brin_desummarize_range" Write "changes an index";
    "brin_summarize_new_values" Write "changes an index";
    "brin_summarize_range" Write "changes an index";
    "clock_timestamp" Safe "volatile for the clock only";
    "current_query" Safe "the text of the statement";
    "current_setting" Setting "depends on which setting";
    "currtid2" Unproven "follows update chains by name";
    "currval" Session SequenceValue "the server that ran nextval knows it";
    "cursor_to_xml" Session "reads an open cursor";
    "cursor_to_xmlschema" Session "reads an open cursor";
    "database_to_xml" Unproven "reads every relation, and runs what views do";
    "database_to_xml_and_xmlschema" Unproven "reads every relation, and runs what views do";
    "dblink" Unproven "runs any text elsewhere";
    "dblink_close" Session Dblink "uses a connection kept by the session";
    "dblink_connect" Session Dblink "keeps a connection in the session";
    "dblink_connect_u" Session Dblink "keeps a connection in the session";
    "dblink_disconnect" Session "drops a connection kept by the session";
    "dblink_exec" Write "runs any text elsewhere";
    "dblink_fetch" Session Dblink "uses a connection kept by the session";
    "dblink_get_result" Session Dblink "uses a connection kept by the session";
    "dblink_open" Session Dblink "uses a connection kept by the session";
    "dblink_send_query" Session Dblink "uses a connection kept by the session";
    "gen_random_uuid" Safe "volatile for its randomness only";
    "gin_clean_pending_list" Write "changes an index";
    "icu_unicode_version" Node "the node's libraries";
    "inet_client_addr" Safe "says which server connection answers, on any node";
    "inet_client_port" Safe "says which server connection answers, on any node";
    "inet_server_addr" Safe "asks which node answers: any may";
    "inet_server_port" Safe "asks which node answers: any may";
    "lastval" Session SequenceValue "the server that ran nextval knows it";
    "lo_close" Session "a descriptor of the transaction";
    "lo_creat" Write "makes a large object";
    "lo_create" Write "makes a large object";
    "lo_export" Write "writes a file of the server";
    "lo_from_bytea" Write "makes a large object";
    "lo_get" Safe "reads a large object as rows are read";
    "lo_import" Write "makes a large object";
    "lo_lseek" Session "a descriptor of the transaction";
    "lo_lseek64" Session "a descriptor of the transaction";
    "lo_open" Session "a descriptor of the transaction";
    "lo_put" Write "changes a large object";
    "lo_tell" Session "a descriptor of the transaction";
    "lo_tell64" Session "a descriptor of the transaction";
    "lo_truncate" Write "changes a large object";
    "lo_truncate64" Write "changes a large object";
    "lo_unlink" Write "removes a large object";
    "loread" Session "a descriptor of the transaction";
    "lowrite" Write "changes a large object";
    "nextval" Write "advances a sequence";
    "pg_advisory_lock" Lock AdvisoryLock "held by the session on one server";
    "pg_advisory_lock_shared" Lock AdvisoryLock "held by the session on one server";
    "pg_advisory_unlock" Lock "frees what the session holds on one server";
    "pg_advisory_unlock_all" Lock "frees what the session holds on one server";
    "pg_advisory_unlock_shared" Lock "frees what the session holds on one server";
    "pg_advisory_xact_lock" Lock "held by the transaction on one server";
    "pg_advisory_xact_lock_shared" Lock "held by the transaction on one server";
    "pg_available_extension_versions" Node "files of the node";
    "pg_available_extensions" Node "files of the node";
    "pg_available_wal_summaries" Node "files of the node";
    "pg_backend_pid" Session "the server's process";
    "pg_backup_start" Node Backup "a backup that belongs to the session";
    "pg_backup_start_time" Node "state of the node";
    "pg_backup_stop" Node Backup "a backup that belongs to the session";
    "pg_blocking_pids" Node "locks of the node";
    "pg_cancel_backend" Node "processes of the node";
    "pg_clear_attribute_stats" Write "changes statistics";
    "pg_clear_relation_stats" Write "changes statistics";
    "pg_collation_actual_version" Node "the node's libraries";
    "pg_conf_load_time" Node "state of the node";
    "pg_config" Node "the node's build";
    "pg_control_checkpoint" Node "state of the node";
    "pg_control_init" Node "state of the node";
    "pg_control_recovery" Node "state of the node";
    "pg_control_system" Node "state of the node";
    "pg_copy_logical_replication_slot" Node Replication "slots of the node; a temporary one binds the session";
    "pg_copy_physical_replication_slot" Node Replication "slots of the node; a temporary one binds the session";
    "pg_create_logical_replication_slot" Node Replication "slots of the node; a temporary one binds the session";
    "pg_create_physical_replication_slot" Node Replication "slots of the node; a temporary one binds the session";
    "pg_create_restore_point" Write "writes WAL";
    "pg_current_logfile" Node "files of the node";
    "pg_current_snapshot" Node "nodes see transactions end at different times";
    "pg_current_wal_flush_lsn" Node "refused during recovery";
    "pg_current_wal_insert_lsn" Node "refused during recovery";
    "pg_current_wal_lsn" Node "refused during recovery";
    "pg_current_xact_id" Write "takes a transaction ID";
    "pg_cursor" Session "cursors of the session";
    "pg_database_collation_actual_version" Node "the node's libraries";
    "pg_database_size" Safe "volatile since files grow; a standby has the same ones";
    "pg_drop_replication_slot" Node "slots of the node";
    "pg_export_snapshot" Session "lives as long as the transaction";
    "pg_extension_config_dump" Write "changes the catalog";
    "pg_get_aios" Node "state of the node";
    "pg_get_backend_memory_contexts" Node "the server's process";
    "pg_get_loaded_modules" Node "the server's process";
    "pg_get_multixact_members" Unproven "multixacts may be gone";
    "pg_get_replication_slots" Node "slots of the node";
    "pg_get_sequence_data" Node "a standby's sequences run ahead";
    "pg_get_shmem_allocations" Node "state of the node";
    "pg_get_shmem_allocations_numa" Node "state of the node";
    "pg_get_wait_events" Node "the node's build";
    "pg_get_wal_replay_pause_state" Node "state of the node";
    "pg_get_wal_resource_managers" Node "the node's build";
    "pg_get_wal_summarizer_state" Node "state of the node";
    "pg_hba_file_rules" Node "files of the node";
    "pg_ident_file_mappings" Node "files of the node";
    "pg_import_system_collations" Write "changes the catalog";
    "pg_indexes_size" Safe "volatile since files grow; a standby has the same ones";
    "pg_is_in_backup" Node "state of the node";
    "pg_is_in_recovery" Node "the question is which node it is";
    "pg_is_other_temp_schema" Session "temporary schema of the session";
    "pg_is_wal_replay_paused" Node "state of the node";
    "pg_isolation_test_session_is_blocked" Node "locks of the node";
    "pg_jit_available" Node "the node's libraries";
    "pg_last_committed_xact" Node "state of the node";
    "pg_last_wal_receive_lsn" Node "state of the node";
    "pg_last_wal_replay_lsn" Node "state of the node";
    "pg_last_xact_replay_timestamp" Node "state of the node";
    "pg_listening_channels" Session "channels of the session";
    "pg_lock_status" Node "locks of the node";
    "pg_log_backend_memory_contexts" Node "processes of the node";
    "pg_log_standby_snapshot" Write "writes WAL";
    "pg_logical_emit_message" Write "writes WAL";
    "pg_logical_slot_get_binary_changes" Node "slots of the node";
    "pg_logical_slot_get_changes" Node "slots of the node";
    "pg_logical_slot_peek_binary_changes" Node "slots of the node";
    "pg_logical_slot_peek_changes" Node "slots of the node";
    "pg_ls_archive_statusdir" Node "files of the node";
    "pg_ls_dir" Node "files of the node";
    "pg_ls_logdir" Node "files of the node";
    "pg_ls_logicalmapdir" Node "files of the node";
    "pg_ls_logicalsnapdir" Node "files of the node";
    "pg_ls_replslotdir" Node "files of the node";
    "pg_ls_summariesdir" Node "files of the node";
    "pg_ls_tmpdir" Node "files of the node";
    "pg_ls_waldir" Node "files of the node";
    "pg_my_temp_schema" Session "temporary schema of the session";
    "pg_nextoid" Write "takes an OID";
    "pg_notification_queue_usage" Node "state of the node";
    "pg_notify" Write "sends a notification";
    "pg_numa_available" Node "the node's hardware";
    "pg_partition_ancestors" Safe "reads the catalog";
    "pg_partition_tree" Safe "reads the catalog";
    "pg_postmaster_start_time" Node "state of the node";
    "pg_prepared_statement" Session "prepared statements of the session";
    "pg_prepared_xact" Node "prepared transactions end at different times";
    "pg_promote" Node "acts on the node";
    "pg_read_binary_file" Node "files of the node";
    "pg_read_file" Node "files of the node";
    "pg_read_file_old" Node "files of the node";
    "pg_relation_size" Safe "volatile since files grow; a standby has the same ones";
    "pg_reload_conf" Node "acts on the node";
    "pg_replication_origin_advance" Write "changes an origin";
    "pg_replication_origin_create" Write "makes an origin";
    "pg_replication_origin_drop" Write "removes an origin";
    "pg_replication_origin_oid" Node "refused during recovery";
    "pg_replication_origin_progress" Node "state of the node";
    "pg_replication_origin_session_is_setup" Session "the session's origin";
    "pg_replication_origin_session_progress" Session "the session's origin";
    "pg_replication_origin_session_reset" Session Replication "the session's origin";
    "pg_replication_origin_session_setup" Session Replication "the session's origin";
    "pg_replication_origin_xact_reset" Session "the transaction's origin";
    "pg_replication_origin_xact_setup" Session "the transaction's origin";
    "pg_replication_slot_advance" Node "slots of the node";
    "pg_restore_attribute_stats" Write "changes statistics";
    "pg_restore_relation_stats" Write "changes statistics";
    "pg_rotate_logfile" Node "acts on the node";
    "pg_rotate_logfile_old" Node "acts on the node";
    "pg_safe_snapshot_blocking_pids" Node "locks of the node";
    "pg_sequence_last_value" Node "a standby's sequences run ahead";
    "pg_show_all_file_settings" Node "files of the node";
    "pg_show_all_settings" Node "settings of the node";
    "pg_show_replication_origin_status" Node "state of the node";
    "pg_sleep" Safe "volatile for the clock only";
    "pg_sleep_for" Safe "volatile for the clock only";
    "pg_sleep_until" Safe "volatile for the clock only";
    "pg_start_backup" Node Backup "a backup that belongs to the session (before 15)";
    "pg_stat_file" Node "files of the node";
    "pg_stop_backup" Node Backup "a backup that belongs to the session (before 15)";
    "pg_stop_making_pinned_objects" Write "changes the catalog";
    "pg_switch_wal" Write "writes WAL";
    "pg_sync_replication_slots" Node "slots of the node";
    "pg_table_size" Safe "volatile since files grow; a standby has the same ones";
    "pg_tablespace_location" Node "files of the node";
    "pg_tablespace_size" Safe "volatile since files grow; a standby has the same ones";
    "pg_terminate_backend" Node "processes of the node";
    "pg_total_relation_size" Safe "volatile since files grow; a standby has the same ones";
    "pg_try_advisory_lock" Lock AdvisoryLock "held by the session on one server";
    "pg_try_advisory_lock_shared" Lock AdvisoryLock "held by the session on one server";
    "pg_try_advisory_xact_lock" Lock "held by the transaction on one server";
    "pg_try_advisory_xact_lock_shared" Lock "held by the transaction on one server";
    "pg_wal_replay_pause" Node "acts on the node";
    "pg_wal_replay_resume" Node "acts on the node";
    "pg_wal_summary_contents" Node "files of the node";
    "pg_walfile_name" Node "refused during recovery";
    "pg_walfile_name_offset" Node "refused during recovery";
    "pg_xact_commit_timestamp" Unproven "may be switched off on one node only";
    "pg_xact_commit_timestamp_origin" Unproven "may be switched off on one node only";
    "pg_xact_status" Node "nodes see transactions end at different times";
    "query_to_xml" Unproven "runs any text";
    "query_to_xml_and_xmlschema" Unproven "runs any text";
    "query_to_xmlschema" Unproven "runs any text";
    "random" Safe "volatile for its randomness only";
    "random_normal" Safe "volatile for its randomness only";
    "schema_to_xml" Unproven "reads every relation, and runs what views do";
    "schema_to_xml_and_xmlschema" Unproven "reads every relation, and runs what views do";
    "set_config" Session SetConfig "changes a setting of the session";
    "setseed" Session RandomSeed "chooses the session's random numbers";
    "setval" Write "sets a sequence";
    "system" Safe "a sampling method: reads only";
    "table_to_xml" Unproven "reads a relation that the text need not name";
    "table_to_xml_and_xmlschema" Unproven "reads a relation that the text need not name";
    "timeofday" Safe "volatile for the clock only";
    "ts_rewrite" Unproven "one form runs any text";
    "ts_stat" Unproven "runs any text";
    "txid_current" Write "takes a transaction ID";
    "txid_current_snapshot" Node "nodes see transactions end at different times";
    "txid_status" Node "nodes see transactions end at different times";
    "uuidv4" Safe "volatile for its randomness only";
    "uuidv7" Safe "volatile for the clock and its randomness only";
};
