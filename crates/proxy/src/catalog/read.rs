//! Reads one database's catalog, all in one snapshot.
//!
//! Invariant: no name in a question means anything but PostgreSQL's own, whatever the role's `search_path` is.

use std::collections::BTreeSet;

use pgweir_sql::{
    Body, BuiltinRow, CastRow, CatalogRows, ColumnRow, FunctionRow, IsolationRow, Language, OperatorRow,
    References, RelationKind, RelationRow, SearchPathRow, TypeRow, Volatility,
};
use tokio_postgres::{Client, Error, IsolationLevel, Row, Statement, Transaction};

use super::{Line, questions};

/// What our own transactions are, whatever the role's are.
const OWN_ISOLATION: &str = "'read committed'";

/// Makes a new connection ready, and the question that is asked again and again.
pub(crate) async fn prepare(client: &Client) -> Result<Statement, Error> {
    let settings =
        format!("SET search_path TO pg_catalog; SET default_transaction_isolation TO {OWN_ISOLATION}");
    client.batch_execute(&settings).await?;
    client.prepare(questions::FINGERPRINT).await
}

/// What changes with the catalog.
pub(super) async fn fingerprint(line: &Line) -> Result<String, Error> {
    line.client.query_one(&line.fingerprint, &[]).await?.try_get(0)
}

/// The catalog and its fingerprint.
pub(crate) async fn rows(
    client: &mut Client,
    fingerprint: &Statement,
) -> Result<(String, CatalogRows), Error> {
    let transaction = client.build_transaction();
    let transaction =
        transaction.isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    let search_paths = defaults(&transaction, "search_path", "pg_catalog").await?;
    let isolations = defaults(&transaction, "default_transaction_isolation", OWN_ISOLATION).await?;
    let fingerprint = transaction.query_one(fingerprint, &[]).await?.try_get(0)?;
    let search_paths = search_paths.into_iter().map(|(role, value)| SearchPathRow { role, value }).collect();
    let isolations = isolations.into_iter().map(|(role, value)| IsolationRow { role, value }).collect();
    let mut rows = CatalogRows { search_paths, isolations, ..CatalogRows::default() };
    let parsed_bodies = server_version(&transaction).await? >= 140_000;
    let functions = if parsed_bodies { questions::FUNCTIONS } else { questions::FUNCTIONS_UNPARSED };
    rows.functions = all(&transaction, functions, function).await?;
    rows.relations = all(&transaction, questions::RELATIONS, relation).await?;
    rows.types = all(&transaction, questions::TYPES, type_row).await?;
    rows.operators = all(&transaction, questions::OPERATORS, operator).await?;
    rows.casts = all(&transaction, questions::CASTS, cast).await?;
    rows.columns = all(&transaction, questions::COLUMNS, column).await?;
    rows.builtins = builtins(&transaction, &rows).await?;
    transaction.commit().await?;
    Ok((fingerprint, rows))
}

/// The values of a setting that sessions begin with, each with the role that has it; ours is `own`.
async fn defaults(
    transaction: &Transaction<'_>,
    setting: &str,
    own: &str,
) -> Result<Vec<(Option<String>, String)>, Error> {
    transaction.batch_execute(&format!("SET LOCAL {setting} TO DEFAULT")).await?;
    let common = transaction.query_opt(questions::OWN_VALUE, &[&setting]).await?;
    transaction.batch_execute(&format!("SET LOCAL {setting} TO {own}")).await?;
    let rows = transaction.query(questions::VALUES, &[&setting]).await?;
    let mut values = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<Vec<(Option<String>, String)>, Error>>()?;
    if let Some(row) = common {
        values.push((None, row.try_get(0)?));
    }
    Ok(values)
}

async fn server_version(transaction: &Transaction<'_>) -> Result<i32, Error> {
    transaction.query_one("SELECT current_setting('server_version_num')::int4", &[]).await?.try_get(0)
}

async fn all<T>(
    transaction: &Transaction<'_>,
    question: &str,
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    transaction.query(question, &[]).await?.iter().map(read).collect()
}

fn function(row: &Row) -> Result<FunctionRow, Error> {
    let (arguments, defaults): (i16, i16) = (row.try_get(5)?, row.try_get(6)?);
    let count = |number: i16| u16::try_from(number).unwrap_or(0);
    let is_variadic: bool = row.try_get(7)?;
    let mut uses = References { functions: row.try_get(14)?, ..References::default() };
    add(&mut uses, row, 15)?;
    add(&mut uses, row, 17)?;
    uses.types.extend(row.try_get::<_, Vec<u32>>(19)?);
    let text: Option<String> = row.try_get(13)?;
    let is_parsed: bool = row.try_get(12)?;
    Ok(FunctionRow {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        volatility: volatility(row.try_get(3)?),
        language: match row.try_get(4)? {
            "sql" => Language::Sql,
            "plpgsql" => Language::PlPgSql,
            "c" | "internal" => Language::Compiled,
            _ => Language::Other,
        },
        // Of a variadic one, the last may be left out: it is an array of any length.
        arguments_min: count(arguments - defaults - i16::from(is_variadic)),
        arguments_max: (!is_variadic).then(|| count(arguments)),
        returns: row.try_get(8)?,
        of_row: row.try_get(9)?,
        shadowed: row.try_get(10)?,
        extension: row.try_get(11)?,
        body: match text {
            Some(text) => Body::Text(text),
            None if is_parsed => Body::Parsed,
            None => Body::Unseen,
        },
        uses,
    })
}

fn volatility(mark: &str) -> Volatility {
    match mark {
        "i" => Volatility::Immutable,
        "s" => Volatility::Stable,
        _ => Volatility::Volatile,
    }
}

fn relation(row: &Row) -> Result<RelationRow, Error> {
    Ok(RelationRow {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind: match row.try_get(3)? {
            "v" => RelationKind::View,
            "f" => RelationKind::Foreign,
            "S" => RelationKind::Sequence,
            _ => RelationKind::Table,
        },
        unlogged: row.try_get(4)?,
        uses: references(row, 5)?,
        policies: references(row, 7)?,
        children: row.try_get(9)?,
        runs: row.try_get(10)?,
    })
}

fn type_row(row: &Row) -> Result<TypeRow, Error> {
    let mut uses = references(row, 5)?;
    uses.functions.extend(row.try_get::<_, Vec<u32>>(3)?);
    uses.types.extend(row.try_get::<_, Vec<u32>>(4)?);
    Ok(TypeRow { oid: row.try_get(0)?, schema: row.try_get(1)?, name: row.try_get(2)?, uses })
}

fn operator(row: &Row) -> Result<OperatorRow, Error> {
    Ok(OperatorRow {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        function: row.try_get(3)?,
        operands: row.try_get(4)?,
    })
}

fn cast(row: &Row) -> Result<CastRow, Error> {
    Ok(CastRow { source: row.try_get(0)?, target: row.try_get(1)?, function: row.try_get(2)? })
}

fn column(row: &Row) -> Result<ColumnRow, Error> {
    Ok(ColumnRow {
        relation: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        type_oid: row.try_get(3)?,
    })
}

/// PostgreSQL's own objects that rows refer to.
async fn builtins(transaction: &Transaction<'_>, rows: &CatalogRows) -> Result<Vec<BuiltinRow>, Error> {
    let of_functions = rows.functions.iter().map(|row| &row.uses);
    let of_relations = rows.relations.iter().flat_map(|row| [&row.uses, &row.policies]);
    let uses: Vec<&References> =
        of_functions.chain(of_relations).chain(rows.types.iter().map(|row| &row.uses)).collect();
    let others =
        rows.operators.iter().map(|row| row.function).chain(rows.casts.iter().map(|row| row.function));
    let functions = uses.iter().flat_map(|uses| &uses.functions).copied();
    let functions =
        own(functions.chain(others).chain(rows.relations.iter().flat_map(|row| row.runs.clone())));
    let relations = own(uses.iter().flat_map(|uses| &uses.relations).copied());
    let mut builtins = Vec::with_capacity(functions.len() + relations.len());
    for row in transaction.query(questions::BUILTIN_FUNCTIONS, &[&functions]).await? {
        let promise = Some(volatility(row.try_get(2)?));
        builtins.push(BuiltinRow { oid: row.try_get(0)?, name: row.try_get(1)?, volatility: promise });
    }
    for row in transaction.query(questions::BUILTIN_RELATIONS, &[&relations]).await? {
        builtins.push(BuiltinRow { oid: row.try_get(0)?, name: row.try_get(1)?, volatility: None });
    }
    Ok(builtins)
}

fn own(oids: impl Iterator<Item = u32>) -> Vec<u32> {
    oids.filter(|oid| *oid < 16_384).collect::<BTreeSet<u32>>().into_iter().collect()
}

fn references(row: &Row, at: usize) -> Result<References, Error> {
    let mut references = References::default();
    add(&mut references, row, at)?;
    Ok(references)
}

/// Adds what `questions::references!` answers in the columns from `at` on.
fn add(references: &mut References, row: &Row, at: usize) -> Result<(), Error> {
    let fields: Option<Vec<String>> = row.try_get(at)?;
    references.writes |= row.try_get::<_, bool>(at + 1)?;
    for field in fields.unwrap_or_default() {
        let mut words = field.split_whitespace();
        let kept = match words.next() {
            Some("relid") => &mut references.relations,
            Some("coltypes" | "funccoltypes" | "funcresulttype" | "resulttype" | "typid") => {
                &mut references.types
            }
            Some("eqop" | "opno" | "sortop") => &mut references.operators,
            _ => &mut references.functions,
        };
        kept.extend(words.filter_map(|oid| oid.parse::<u32>().ok()));
    }
    Ok(())
}
