//! Why a text went where it went: one closed table that metrics, the console and the documents share.
//!
//! Invariant: a code, once published, keeps its meaning. Absent: anything about nodes or health; those are
//! the pool's reasons, not the text's.

use crate::Target;

macro_rules! reasons {
    ($($variant:ident $code:literal $meaning:literal $example:literal;)*) => {
        /// Why a text may or may not run on a standby.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$variant => $code,)* }
            }

            /// One line of meaning.
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$variant => $meaning,)* }
            }

            /// Where it sends a text: the family of the code tells.
            pub fn target(self) -> Target {
                match self.code().split('.').next() {
                    Some("read") => Target::Standby,
                    _ => Target::Primary,
                }
            }

            /// A text which gets this reason.
            pub fn example(self) -> &'static str {
                match self { $(Reason::$variant => $example,)* }
            }
        }
    };
}

reasons! {
    Read "read" "Every part of it is proven to only read." "SELECT * FROM t WHERE id = 1";
    ReadEmpty "read.empty" "Nothing but whitespace, comments and semicolons." "-- ping";
    ReadShow "read.show" "SHOW of a setting which is the session's, not the node's." "SHOW search_path";
    ReadTransaction "read.transaction" "A transaction block declared READ ONLY and not SERIALIZABLE." "BEGIN READ ONLY";
    CopyFile "copy.file" "COPY to a file or program of the server." "COPY t TO '/tmp/t.csv'";
    CopyIn "copy.in" "COPY FROM writes." "COPY t FROM STDIN";
    ExplainWrite "explain.write" "EXPLAIN of a statement that is not a read." "EXPLAIN DELETE FROM t";
    FunctionBody "function.body" "A call of a function whose body, arguments or helpers do more than read." "SELECT my_writer(1)";
    FunctionLock "function.lock" "A call takes or frees an advisory lock, which is known to one server only." "SELECT pg_advisory_lock(1)";
    FunctionNode "function.node" "A call answers about the node itself, so nodes answer differently." "SELECT pg_is_in_recovery()";
    FunctionSession "function.session" "A call reads or changes state of the session." "SELECT currval('s')";
    FunctionUnknown "function.unknown" "A call of a function of which nothing is known." "SELECT my_function(1)";
    FunctionVolatile "function.volatile" "A call of a volatile function with no proof that a standby may run it." "SELECT query_to_xml('SELECT 1', true, true, '')";
    FunctionWrite "function.write" "A call writes, or needs a transaction ID." "SELECT nextval('s')";
    KindBegin "kind.begin" "A transaction block that may write, or is SERIALIZABLE." "BEGIN";
    KindCall "kind.call" "CALL runs a procedure." "CALL p()";
    KindCursor "kind.cursor" "A cursor lives in one server." "DECLARE c CURSOR FOR SELECT 1";
    KindDdl "kind.ddl" "It defines, changes or drops an object or a right." "CREATE TABLE t (a int)";
    KindDo "kind.do" "DO runs code." "DO $$ BEGIN NULL; END $$";
    KindLock "kind.lock" "LOCK TABLE." "LOCK TABLE t";
    KindMaintenance "kind.maintenance" "VACUUM, ANALYZE, CHECKPOINT and the like." "VACUUM t";
    KindNotify "kind.notify" "LISTEN, UNLISTEN and NOTIFY work on the primary only." "LISTEN c";
    KindPrepared "kind.prepared" "A statement prepared in SQL lives in one server." "EXECUTE p";
    KindSet "kind.set" "It changes the session's settings or state." "SET work_mem = '1MB'";
    KindTransaction "kind.transaction" "It ends or divides a transaction block." "COMMIT";
    KindUnknown "kind.unknown" "The first word starts no statement that is known." "FROBNICATE t";
    LexingNonstandard "lexing.nonstandard" "Backslashes and quotes meet while standard_conforming_strings is off." "SELECT 'a\\b'";
    LockForKeyShare "lock.for_key_share" "Row locks need the primary." "SELECT * FROM t FOR KEY SHARE";
    LockForNoKeyUpdate "lock.for_no_key_update" "Row locks need the primary." "SELECT * FROM t FOR NO KEY UPDATE";
    LockForShare "lock.for_share" "Row locks need the primary." "SELECT * FROM t FOR SHARE";
    LockForUpdate "lock.for_update" "Row locks need the primary." "SELECT * FROM t FOR UPDATE";
    MultiOther "multi.other" "One of several statements in the string is not a proven read." "SELECT 1; DELETE FROM t";
    NameEscaped "name.escaped" "An identifier with Unicode escapes may name anything." "SELECT U&\"\\0061\" FROM t";
    OperatorUnknown "operator.unknown" "An operator that PostgreSQL does not bring along may call any function." "SELECT a <%> b FROM t";
    OperatorVolatile "operator.volatile" "An operator whose function needs the primary." "SELECT a <%%> b FROM t";
    ParseDisagree "parse.disagree" "The two analyses do not agree that it is a read." "SELECT a FROM t PIVOT (count(a) FOR b IN ('x'))";
    ParseUnknown "parse.unknown" "It was not understood well enough to prove a read." "SELECT (1";
    RelationForeign "relation.foreign" "A foreign table, directly or as a partition." "SELECT * FROM my_foreign";
    RelationNode "relation.node" "A relation whose rows describe the node or the server, not the database." "SELECT * FROM pg_stat_activity";
    RelationPolicy "relation.policy" "Row-level security of the table calls a function that needs the primary." "SELECT * FROM my_guarded";
    RelationSequence "relation.sequence" "A sequence read as a table: a standby's run ahead." "SELECT last_value FROM my_sequence";
    RelationTemporary "relation.temporary" "A relation in the session's temporary schema." "SELECT * FROM pg_temp.t";
    RelationUnlogged "relation.unlogged" "An unlogged table, directly or as a partition: standbys have nothing of it." "SELECT * FROM my_unlogged";
    RelationView "relation.view" "A view that, however deep, uses what needs the primary." "SELECT * FROM my_view";
    RouteHint "route.hint" "A read that a hint sends to the primary." "/* pgweir: primary */ SELECT 1";
    RouteSetting "route.setting" "A read that `pgweir.route` of the session, or a rule, sends to the primary." "";
    SelectInto "select.into" "SELECT INTO creates a table." "SELECT * INTO u FROM t";
    ShowNode "show.node" "SHOW of a setting in which nodes differ." "SHOW transaction_read_only";
    StandbyRefused "standby.refused" "It looks like a read, but a standby refused a text of this shape as a write." "";
    TextEncoding "text.encoding" "The text is not valid UTF-8, so its quotes cannot be trusted." "";
    TextTooLong "text.too_long" "The text is longer than what is analysed." "";
    TextUnterminated "text.unterminated" "A quote or comment is never closed." "SELECT 'a";
    TypeUnknown "type.unknown" "A cast to a type that PostgreSQL does not bring along may call any function." "SELECT '1'::my_type";
    TypeVolatile "type.volatile" "A type whose casts, operators or constraints call a function that needs the primary." "SELECT '1'::my_checked";
    WriteCte "write.cte" "A data-modifying WITH." "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d";
    WriteDelete "write.delete" "DELETE." "DELETE FROM t";
    WriteInsert "write.insert" "INSERT." "INSERT INTO t VALUES (1)";
    WriteMerge "write.merge" "MERGE." "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE";
    WriteUpdate "write.update" "UPDATE." "UPDATE t SET a = 1";
}
