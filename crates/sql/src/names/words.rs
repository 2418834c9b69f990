//! PostgreSQL's own vocabulary besides functions: keywords by class, types, operators, settings of the node.
//!
//! Flat and sorted, for binary search. Keywords: Appendix C of PostgreSQL 18's manual. Types and operators:
//! `pg_type` and `pg_operator` of PostgreSQL 15 and 18, with the SQL spellings of types added.

/// Keywords which never name anything unless quoted.
#[rustfmt::skip]
pub(super) static RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "both", "case", "cast",
    "check", "collate", "column", "constraint", "create", "current_catalog", "current_date", "current_role",
    "current_time", "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct", "do",
    "else", "end", "except", "false", "fetch", "for", "foreign", "from", "grant", "group", "having", "in",
    "initially", "intersect", "into", "lateral", "leading", "limit", "localtime", "localtimestamp", "not",
    "null", "offset", "on", "only", "or", "order", "placing", "primary", "references", "returning",
    "select", "session_user", "some", "symmetric", "system_user", "table", "then", "to", "trailing", "true",
    "union", "unique", "user", "using", "variadic", "when", "where", "window", "with",
];

/// Keywords which may name a function or type, but nothing else.
#[rustfmt::skip]
pub(super) static FUNCTION_OR_TYPE: &[&str] = &[
    "authorization", "binary", "collation", "concurrently", "cross", "current_schema", "freeze", "full",
    "ilike", "inner", "is", "isnull", "join", "left", "like", "natural", "notnull", "outer", "overlaps",
    "right", "similar", "tablesample", "verbose",
];

/// Keywords which may name a column, but no function or type: before a parenthesis they are syntax.
#[rustfmt::skip]
pub(super) static COLUMN_NAME: &[&str] = &[
    "between", "bigint", "bit", "boolean", "char", "character", "coalesce", "dec", "decimal", "exists",
    "extract", "float", "greatest", "grouping", "inout", "int", "integer", "interval", "json", "json_array",
    "json_arrayagg", "json_exists", "json_object", "json_objectagg", "json_query", "json_scalar",
    "json_serialize", "json_table", "json_value", "least", "merge_action", "national", "nchar", "none",
    "normalize", "nullif", "numeric", "out", "overlay", "position", "precision", "real", "row", "setof",
    "smallint", "substring", "time", "timestamp", "treat", "trim", "values", "varchar", "xmlattributes",
    "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot",
    "xmlserialize", "xmltable",
];

/// Keywords which may name anything.
#[rustfmt::skip]
pub(super) static UNRESERVED: &[&str] = &[
    "abort", "absent", "absolute", "access", "action", "add", "admin", "after", "aggregate", "also",
    "alter", "always", "asensitive", "assertion", "assignment", "at", "atomic", "attach", "attribute",
    "backward", "before", "begin", "breadth", "by", "cache", "call", "called", "cascade", "cascaded",
    "catalog", "chain", "characteristics", "checkpoint", "class", "close", "cluster", "columns", "comment",
    "comments", "commit", "committed", "compression", "conditional", "configuration", "conflict",
    "connection", "constraints", "content", "continue", "conversion", "copy", "cost", "csv", "cube",
    "current", "cursor", "cycle", "data", "database", "day", "deallocate", "declare", "defaults",
    "deferred", "definer", "delete", "delimiter", "delimiters", "depends", "depth", "detach", "dictionary",
    "disable", "discard", "document", "domain", "double", "drop", "each", "empty", "enable", "encoding",
    "encrypted", "enforced", "enum", "error", "escape", "event", "exclude", "excluding", "exclusive",
    "execute", "explain", "expression", "extension", "external", "family", "filter", "finalize", "first",
    "following", "force", "format", "forward", "function", "functions", "generated", "global", "granted",
    "groups", "handler", "header", "hold", "hour", "identity", "if", "immediate", "immutable", "implicit",
    "import", "include", "including", "increment", "indent", "index", "indexes", "inherit", "inherits",
    "inline", "input", "insensitive", "insert", "instead", "invoker", "isolation", "keep", "key", "keys",
    "label", "language", "large", "last", "leakproof", "level", "listen", "load", "local", "location",
    "lock", "locked", "logged", "mapping", "match", "matched", "materialized", "maxvalue", "merge",
    "method", "minute", "minvalue", "mode", "month", "move", "name", "names", "nested", "new", "next",
    "nfc", "nfd", "nfkc", "nfkd", "no", "normalized", "nothing", "notify", "nowait", "nulls", "object",
    "objects", "of", "off", "oids", "old", "omit", "operator", "option", "options", "ordinality", "others",
    "over", "overriding", "owned", "owner", "parallel", "parameter", "parser", "partial", "partition",
    "passing", "password", "path", "period", "plan", "plans", "policy", "preceding", "prepare", "prepared",
    "preserve", "prior", "privileges", "procedural", "procedure", "procedures", "program", "publication",
    "quote", "quotes", "range", "read", "reassign", "recursive", "ref", "referencing", "refresh", "reindex",
    "relative", "release", "rename", "repeatable", "replace", "replica", "reset", "restart", "restrict",
    "return", "returns", "revoke", "role", "rollback", "rollup", "routine", "routines", "rows", "rule",
    "savepoint", "scalar", "schema", "schemas", "scroll", "search", "second", "security", "sequence",
    "sequences", "serializable", "server", "session", "set", "sets", "share", "show", "simple", "skip",
    "snapshot", "source", "sql", "stable", "standalone", "start", "statement", "statistics", "stdin",
    "stdout", "storage", "stored", "strict", "string", "strip", "subscription", "support", "sysid",
    "system", "tables", "tablespace", "target", "temp", "template", "temporary", "text", "ties",
    "transaction", "transform", "trigger", "truncate", "trusted", "type", "types", "uescape", "unbounded",
    "uncommitted", "unconditional", "unencrypted", "unknown", "unlisten", "unlogged", "until", "update",
    "vacuum", "valid", "validate", "validator", "value", "varying", "version", "view", "views", "virtual",
    "volatile", "whitespace", "within", "without", "work", "wrapper", "write", "xml", "year", "yes", "zone",
];

/// Types, by the names of the catalog and of the grammar.
#[rustfmt::skip]
pub(super) static TYPES: &[&str] = &[
    "_aclitem", "_bit", "_bool", "_box", "_bpchar", "_bytea", "_char", "_cid", "_cidr", "_circle", "_date",
    "_datemultirange", "_daterange", "_float4", "_float8", "_inet", "_int2", "_int2vector", "_int4",
    "_int4multirange", "_int4range", "_int8", "_int8multirange", "_int8range", "_interval", "_json",
    "_jsonb", "_jsonpath", "_line", "_lseg", "_macaddr", "_macaddr8", "_money", "_name", "_numeric",
    "_nummultirange", "_numrange", "_oid", "_oidvector", "_path", "_point", "_polygon", "_refcursor",
    "_regclass", "_regcollation", "_regconfig", "_regdictionary", "_regnamespace", "_regoper",
    "_regoperator", "_regproc", "_regprocedure", "_regrole", "_regtype", "_text", "_tid", "_time",
    "_timestamp", "_timestamptz", "_timetz", "_tsmultirange", "_tsquery", "_tsrange", "_tstzmultirange",
    "_tstzrange", "_tsvector", "_txid_snapshot", "_uuid", "_varbit", "_varchar", "_xid", "_xid8", "_xml",
    "aclitem", "bigint", "bit", "bool", "boolean", "box", "bpchar", "bytea", "char", "character", "cid",
    "cidr", "circle", "date", "datemultirange", "daterange", "dec", "decimal", "double", "float", "float4",
    "float8", "inet", "int", "int2", "int2vector", "int4", "int4multirange", "int4range", "int8",
    "int8multirange", "int8range", "integer", "interval", "json", "jsonb", "jsonpath", "line", "lseg",
    "macaddr", "macaddr8", "money", "name", "national", "nchar", "numeric", "nummultirange", "numrange",
    "oid", "oidvector", "path", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary", "pg_dependencies",
    "pg_lsn", "pg_mcv_list", "pg_ndistinct", "pg_snapshot", "point", "polygon", "real", "record",
    "refcursor", "regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper",
    "regoperator", "regproc", "regprocedure", "regrole", "regtype", "smallint", "text", "tid", "time",
    "timestamp", "timestamptz", "timetz", "tsmultirange", "tsquery", "tsrange", "tstzmultirange",
    "tstzrange", "tsvector", "txid_snapshot", "uuid", "varbit", "varchar", "xid", "xid8", "xml",
];

/// Operators, and the punctuation that looks like them.
#[rustfmt::skip]
pub(super) static OPERATORS: &[&str] = &[
    "!!", "!=", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>", "%", "&", "&&", "&<", "&<|", "&>",
    "*", "*<", "*<=", "*<>", "*=", "*>", "*>=", "+", "-", "->", "->>", "-|-", "/", ":", "::", ":=", "<",
    "<->", "<<", "<<=", "<<|", "<=", "<>", "<@", "<^", "=", "=>", ">", ">=", ">>", ">>=", ">^", "?", "?#",
    "?&", "?-", "?-|", "?|", "?||", "@", "@-@", "@>", "@?", "@@", "@@@", "^", "^@", "|", "|&>", "|/", "|>>",
    "||", "||/", "~", "~*", "~<=~", "~<~", "~=", "~>=~", "~>~", "~~", "~~*",
];

/// Settings that no session can set: their values are the node's. Left out are those which cannot differ
/// between a primary and its standbys, such as `server_encoding`.
#[rustfmt::skip]
pub(super) static NODE_SETTINGS: &[&str] = &[
    "all", "allow_alter_system", "archive_cleanup_command", "archive_command", "archive_library",
    "archive_mode", "archive_timeout", "authentication_timeout", "autovacuum",
    "autovacuum_analyze_scale_factor", "autovacuum_analyze_threshold", "autovacuum_freeze_max_age",
    "autovacuum_max_workers", "autovacuum_multixact_freeze_max_age", "autovacuum_naptime",
    "autovacuum_vacuum_cost_delay", "autovacuum_vacuum_cost_limit", "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_vacuum_insert_threshold", "autovacuum_vacuum_max_threshold",
    "autovacuum_vacuum_scale_factor", "autovacuum_vacuum_threshold", "autovacuum_work_mem",
    "autovacuum_worker_slots", "bgwriter_delay", "bgwriter_flush_after", "bgwriter_lru_maxpages",
    "bgwriter_lru_multiplier", "bonjour", "bonjour_name", "checkpoint_completion_target",
    "checkpoint_flush_after", "checkpoint_timeout", "checkpoint_warning", "cluster_name",
    "commit_timestamp_buffers", "config_file", "data_checksums", "data_directory", "data_directory_mode",
    "data_sync_retry", "db_user_namespace", "debug_assertions", "debug_io_direct",
    "dynamic_shared_memory_type", "event_source", "external_pid_file", "file_extend_method", "fsync",
    "full_page_writes", "gss_accept_delegation", "hba_file", "hot_standby", "hot_standby_feedback",
    "huge_page_size", "huge_pages", "huge_pages_status", "ident_file", "idle_replication_slot_timeout",
    "ignore_invalid_pages", "in_hot_standby", "io_max_combine_limit", "io_max_concurrency", "io_method",
    "io_workers", "jit_provider", "krb_caseins_users", "krb_server_keyfile", "listen_addresses",
    "log_autovacuum_min_duration", "log_checkpoints", "log_destination", "log_directory", "log_file_mode",
    "log_filename", "log_hostname", "log_line_prefix", "log_recovery_conflict_waits", "log_rotation_age",
    "log_rotation_size", "log_startup_progress_interval", "log_timezone", "log_truncate_on_rotation",
    "logging_collector", "max_active_replication_origins", "max_connections", "max_files_per_process",
    "max_locks_per_transaction", "max_logical_replication_workers", "max_notify_queue_pages",
    "max_parallel_apply_workers_per_subscription", "max_pred_locks_per_page", "max_pred_locks_per_relation",
    "max_pred_locks_per_transaction", "max_prepared_transactions", "max_replication_slots",
    "max_slot_wal_keep_size", "max_standby_archive_delay", "max_standby_streaming_delay",
    "max_sync_workers_per_subscription", "max_wal_senders", "max_wal_size", "max_worker_processes",
    "min_dynamic_shared_memory", "min_wal_size", "multixact_member_buffers", "multixact_offset_buffers",
    "notify_buffers", "num_os_semaphores", "oauth_validator_libraries", "old_snapshot_threshold",
    "pre_auth_delay", "primary_conninfo", "primary_slot_name", "promote_trigger_file",
    "recovery_end_command", "recovery_init_sync_method", "recovery_min_apply_delay", "recovery_prefetch",
    "recovery_target", "recovery_target_action", "recovery_target_inclusive", "recovery_target_lsn",
    "recovery_target_name", "recovery_target_time", "recovery_target_timeline", "recovery_target_xid",
    "remove_temp_files_after_crash", "reserved_connections", "restart_after_crash", "restore_command",
    "send_abort_for_crash", "send_abort_for_kill", "serializable_buffers", "shared_buffers",
    "shared_memory_size", "shared_memory_size_in_huge_pages", "shared_memory_type",
    "shared_preload_libraries", "ssl", "ssl_ca_file", "ssl_cert_file", "ssl_ciphers", "ssl_crl_dir",
    "ssl_crl_file", "ssl_dh_params_file", "ssl_ecdh_curve", "ssl_groups", "ssl_key_file", "ssl_library",
    "ssl_max_protocol_version", "ssl_min_protocol_version", "ssl_passphrase_command",
    "ssl_passphrase_command_supports_reload", "ssl_prefer_server_ciphers", "ssl_tls13_ciphers",
    "subtransaction_buffers", "summarize_wal", "superuser_reserved_connections", "sync_replication_slots",
    "synchronized_standby_slots", "synchronous_standby_names", "syslog_facility", "syslog_ident",
    "syslog_sequence_numbers", "syslog_split_messages", "trace_connection_negotiation",
    "trace_recovery_messages", "track_activity_query_size", "track_commit_timestamp", "transaction_buffers",
    "transaction_read_only", "unix_socket_directories", "unix_socket_group", "unix_socket_permissions",
    "vacuum_defer_cleanup_age", "wal_buffers", "wal_decode_buffer_size", "wal_keep_size", "wal_level",
    "wal_log_hints", "wal_receiver_create_temp_slot", "wal_receiver_status_interval",
    "wal_receiver_timeout", "wal_retrieve_retry_interval", "wal_segment_size", "wal_summary_keep_time",
    "wal_sync_method", "wal_writer_delay", "wal_writer_flush_after",
];
