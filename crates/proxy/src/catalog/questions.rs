//! The questions about a database's own objects, to PostgreSQL 11 and later. Manual: "System Catalogs".
//!
//! How: what expressions refer to is taken from their trees as PostgreSQL stores them (`:funcid 16385`), whose fields have had
//! these names for decades; so views, policies, defaults and parsed bodies need no parser. Objects with OIDs below 16384 are
//! PostgreSQL's own.

/// Changes with everything that [`super::read::rows`] reads, and costs an index range of each catalog. A TRUNCATE or VACUUM
/// does not count: of tables, what matters is compared, and not their versions.
pub(super) const FINGERPRINT: &str = "
SELECT concat_ws(' ',
  (SELECT concat(count(*), ':', sum(p.xmin::text::int8)) FROM pg_proc p WHERE p.oid >= 16384),
  (SELECT concat(count(*), ':', sum(hashtextextended(concat_ws(' ', c.oid, c.relname, c.relkind, c.relpersistence,
      c.relnamespace, c.relhassubclass, c.relrowsecurity, c.relhastriggers, c.relnatts), 0)::numeric))
     FROM pg_class c
    WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')),
  (SELECT concat(count(*), ':', sum(r.xmin::text::int8)) FROM pg_rewrite r WHERE r.oid >= 16384),
  (SELECT concat(count(*), ':', sum(p.xmin::text::int8)) FROM pg_policy p),
  (SELECT concat(count(*), ':', sum(t.xmin::text::int8)) FROM pg_trigger t WHERE NOT t.tgisinternal),
  (SELECT concat(count(*), ':', sum(d.xmin::text::int8)) FROM pg_attrdef d
     JOIN pg_class c ON c.oid = d.adrelid AND c.relpersistence <> 't'),
  (SELECT concat(count(*), ':', sum(i.xmin::text::int8)) FROM pg_inherits i
     JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p', 'f')),
  (SELECT concat(count(*), ':', sum(o.xmin::text::int8)) FROM pg_operator o WHERE o.oid >= 16384),
  (SELECT concat(count(*), ':', sum(c.xmin::text::int8)) FROM pg_cast c WHERE c.oid >= 16384),
  (SELECT concat(count(*), ':', sum(t.xmin::text::int8)) FROM pg_type t
    WHERE t.oid >= 16384 AND t.typtype IN ('b', 'd', 'e', 'r', 'm') AND t.typcategory <> 'A'),
  (SELECT concat(count(*), ':', sum(s.xmin::text::int8)) FROM pg_amproc s WHERE s.oid >= 16384),
  (SELECT concat(count(*), ':', sum(hashtextextended(concat_ws(' ', d.objid, d.objsubid, d.refobjid), 0)::numeric))
     FROM pg_depend d
    WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid >= 16384 AND d.classid = 'pg_class'::regclass
      AND d.objsubid > 0),
  (SELECT concat(count(*), ':', sum(c.xmin::text::int8)) FROM pg_constraint c WHERE c.contypid >= 16384),
  (SELECT concat(count(*), ':', sum(n.xmin::text::int8)) FROM pg_namespace n WHERE n.nspname !~ '^pg_(toast_)?temp_'),
  (SELECT concat(count(*), ':', sum(e.xmin::text::int8)) FROM pg_extension e),
  (SELECT concat(count(*), ':', sum(s.xmin::text::int8)) FROM pg_db_role_setting s),
  pg_conf_load_time()
)";

/// The value of a setting in a session that sets none, before it is set here: no role has it to itself.
pub(super) const OWN_VALUE: &str = "
SELECT s.setting FROM pg_catalog.pg_settings s
 WHERE s.name OPERATOR(pg_catalog.=) $1::text
   AND s.source OPERATOR(pg_catalog.<>) ALL (ARRAY['user', 'database user', 'client', 'session'])";

/// Values of a setting that roles and databases have, the more special first.
pub(super) const VALUES: &str = "
SELECT r.rolname::text, substr(entry, length($1::text) + 2)
  FROM pg_db_role_setting s
 CROSS JOIN unnest(s.setconfig) entry
  LEFT JOIN pg_roles r ON r.oid = s.setrole
 WHERE split_part(entry, '=', 1) = $1::text
   AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
   AND (s.setrole = 0 OR r.rolname IS NOT NULL)
 ORDER BY s.setdatabase <> 0 DESC";

/// What the tree of an expression refers to, as an array of `field oid…`, and whether a statement in it does more than read.
/// Of columns that a query defines itself, the tree has lists of types.
macro_rules! references {
    ($tree:literal) => {
        concat!(
            "(SELECT array_agg(DISTINCT m[1] || ' ' || m[2]) FROM regexp_matches(",
            $tree,
            ", ':(aggfnoid|coltypes|eqop|funccoltypes|funcid|funcresulttype|opfuncid|opno|relid|resulttype|sortop|",
            "tsmhandler|typid|winfnoid) (?:\\(o )?([1-9][0-9 ]*)', 'g') m),",
            " coalesce(",
            $tree,
            " ~ ':(commandType [02-9]|hasForUpdate true|hasModifyingCTE true)', false)"
        )
    };
}

macro_rules! functions {
    ($body:literal) => {
        concat!(
            "
SELECT p.oid, n.nspname::text, p.proname::text, p.provolatile::text, l.lanname::text, p.pronargs, p.pronargdefaults,
       p.provariadic <> 0, p.prorettype,
       p.pronargs = 1 AND EXISTS (SELECT FROM pg_type t WHERE t.oid = p.proargtypes[0]
                                     AND (t.typtype = 'c' OR t.oid = 'record'::regtype)),
       EXISTS (SELECT FROM pg_proc b WHERE b.proname = p.proname AND b.proargtypes = p.proargtypes
                  AND b.pronamespace = 'pg_catalog'::regnamespace AND b.oid <> p.oid),
       (SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
         WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' LIMIT 1),
       ",
            $body,
            " IS NOT NULL,
       CASE WHEN l.lanname NOT IN ('c', 'internal') AND ",
            $body,
            " IS NULL AND octet_length(p.prosrc) <= 32768
            THEN p.prosrc END,
       ARRAY(SELECT f FROM unnest(ARRAY[a.aggtransfn::oid, a.aggfinalfn::oid, a.aggcombinefn::oid, a.aggserialfn::oid,
             a.aggdeserialfn::oid, a.aggmtransfn::oid, a.aggminvtransfn::oid, a.aggmfinalfn::oid]) f WHERE f <> 0),
       ",
            references!($body),
            ", ",
            references!("p.proargdefaults::text"),
            ",
       ARRAY(SELECT t FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) t WHERE t >= 16384)
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
 WHERE p.oid >= 16384 AND p.prokind <> 'p' AND n.nspname !~ '^pg_temp_'"
        )
    };
}

/// Functions of servers that store parsed bodies (14 and later).
pub(super) const FUNCTIONS: &str = functions!("p.prosqlbody::text");
/// Functions of older servers.
pub(super) const FUNCTIONS_UNPARSED: &str = functions!("NULL::text");

/// Relations that are more than plain tables.
pub(super) const RELATIONS: &str = concat!(
    "
SELECT * FROM (
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence = 'u' AS unlogged,
       ",
    references!("v.tree"),
    ", ",
    references!("p.tree"),
    ",
       ARRAY(SELECT i.inhrelid FROM pg_inherits i WHERE c.relhassubclass AND i.inhparent = c.oid) AS children,
       ARRAY(SELECT t.tgfoid FROM pg_trigger t WHERE c.relhastriggers AND t.tgrelid = c.oid AND NOT t.tgisinternal
              UNION SELECT m[1]::oid FROM pg_attrdef d, regexp_matches(d.adbin::text, ':funcid ([1-9][0-9]{4,})', 'g') m
              WHERE d.adrelid = c.oid) AS runs,
       p.tree IS NOT NULL AS guarded
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (SELECT (SELECT r.ev_action::text FROM pg_rewrite r
                              WHERE c.relkind = 'v' AND r.ev_class = c.oid AND r.ev_type = '1' LIMIT 1) AS tree) v
 CROSS JOIN LATERAL (SELECT (SELECT string_agg(o.polqual::text, ' ') FROM pg_policy o
                              WHERE c.relrowsecurity AND o.polrelid = c.oid AND o.polcmd IN ('r', '*')) AS tree) p
 WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
) r
 WHERE r.relkind IN ('v', 'f', 'S') OR r.unlogged OR r.guarded OR r.children <> '{}' OR r.runs <> '{}'"
);

/// Types. Those of partitions are nobody's to name, and arrays of a table's rows are known by the row's type. What a type is
/// made of are its base, its element, what it ranges over, and the types of its columns.
pub(super) const TYPES: &str = concat!(
    "
WITH ordering AS (
  SELECT x AS type, array_agg(DISTINCT s.amproc::oid) AS functions
    FROM pg_amproc s, unnest(ARRAY[s.amproclefttype, s.amprocrighttype]) x WHERE s.amproc >= 16384 GROUP BY x
), parts AS (
  SELECT d.classid, d.objid, array_agg(DISTINCT CASE y.typcategory WHEN 'A' THEN y.typelem ELSE y.oid END) AS types
    FROM pg_depend d JOIN pg_type y ON y.oid = d.refobjid
   WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid >= 16384
     AND (d.classid = 'pg_type'::regclass OR d.classid = 'pg_class'::regclass AND d.objsubid > 0)
   GROUP BY d.classid, d.objid
)
SELECT t.oid, n.nspname::text, t.typname::text,
       ARRAY(SELECT f FROM unnest(ARRAY[t.typinput::oid, t.typoutput::oid]) f WHERE f >= 16384) || o.functions,
       ARRAY[t.typbasetype, t.typelem] || own.types || columns.types,
       ",
    references!("d.tree"),
    "
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
  LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
  LEFT JOIN ordering o ON o.type = t.oid
  LEFT JOIN parts own ON own.classid = 'pg_type'::regclass AND own.objid = t.oid
  LEFT JOIN parts columns ON columns.classid = 'pg_class'::regclass AND columns.objid = t.typrelid
 CROSS JOIN LATERAL (SELECT (SELECT string_agg(k.conbin::text, ' ') FROM pg_constraint k
                              WHERE t.typtype = 'd' AND k.contypid = t.oid) AS tree) d
 WHERE t.oid >= 16384 AND t.typisdefined
   AND (e.oid IS NULL OR e.typrelid = 0 OR EXISTS (SELECT FROM pg_class r WHERE r.oid = e.typrelid AND r.relkind = 'c'))
   AND (c.oid IS NULL OR (c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't' AND NOT c.relispartition))"
);

/// Operators.
pub(super) const OPERATORS: &str = "
SELECT o.oid, n.nspname::text, o.oprname::text, o.oprcode::oid,
       ARRAY(SELECT t FROM unnest(ARRAY[o.oprleft, o.oprright]) t WHERE t <> 0)
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
 WHERE o.oid >= 16384";

/// Casts by function.
pub(super) const CASTS: &str =
    "SELECT c.castsource, c.casttarget, c.castfunc FROM pg_cast c WHERE c.oid >= 16384 AND c.castfunc <> 0";

/// Columns whose type a volatile function works on as an operator or cast, or to order values.
pub(super) const COLUMNS: &str = "
WITH suspect AS (
  SELECT unnest(ARRAY[c.castsource, c.casttarget]) AS type
    FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc WHERE c.oid >= 16384 AND p.provolatile = 'v'
  UNION
  SELECT unnest(ARRAY[o.oprleft, o.oprright])
    FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE o.oid >= 16384 AND p.provolatile = 'v'
  UNION
  SELECT unnest(ARRAY[s.amproclefttype, s.amprocrighttype])
    FROM pg_amproc s JOIN pg_proc p ON p.oid = s.amproc WHERE s.amproc >= 16384 AND p.provolatile = 'v'
)
SELECT DISTINCT c.oid, n.nspname::text, c.relname::text, t.oid
  FROM suspect s
  JOIN pg_type t ON t.oid = s.type AND t.oid >= 16384
  JOIN pg_attribute a ON a.atttypid IN (t.oid, t.typarray) AND a.atttypid <> 0 AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
  JOIN pg_namespace n ON n.oid = c.relnamespace";

/// PostgreSQL's own functions of these OIDs.
pub(super) const BUILTIN_FUNCTIONS: &str =
    "SELECT p.oid, p.proname::text, p.provolatile::text FROM pg_proc p WHERE p.oid = ANY ($1)";

/// PostgreSQL's own relations of these OIDs.
pub(super) const BUILTIN_RELATIONS: &str =
    "SELECT c.oid, c.relname::text FROM pg_class c WHERE c.oid = ANY ($1)";
