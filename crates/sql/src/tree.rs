//! The second analysis: what a general SQL parser makes of a query.
//!
//! Why: it understands structure that the token walk only guesses at, and knows nothing of how the walk
//! guesses. It parses a third less than PostgreSQL does; what it cannot parse, the walk must prove alone.
//! Invariant: a syntax tree lives and dies in one call, and is never cloned (its `clone` and `drop` recurse as
//! deep as the text is nested, past any stack); callers bound the text.
//! Absent: its opinion about anything that is not a query.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, Ident, ObjectName, Query, Select, SetExpr,
    Statement, TableFactor, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::Reason;
use crate::names::{self, Keyword};

/// What the parser's tree says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// It is a query, and nothing in it objects.
    Read,
    /// Something in it objects, or it is no query.
    Objection(Reason),
    /// The parser does not understand it.
    Unparsed,
}

/// Parses one statement, a normal form.
pub(crate) fn examine(sql: &str) -> Tree {
    catch_unwind(AssertUnwindSafe(|| parse_and_visit(sql))).unwrap_or(Tree::Unparsed)
}

fn parse_and_visit(sql: &str) -> Tree {
    let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, sql) else { return Tree::Unparsed };
    let [statement @ Statement::Query(_)] = &statements[..] else {
        return Tree::Objection(Reason::ParseDisagree);
    };
    match statement.visit(&mut Examiner) {
        ControlFlow::Continue(()) => Tree::Read,
        ControlFlow::Break(reason) => Tree::Objection(reason),
    }
}

/// Visits a tree up to the first objection.
struct Examiner;

impl Visitor for Examiner {
    type Break = Reason;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Reason> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(Reason::WriteCte),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Reason> {
        if !query.locks.is_empty() {
            return ControlFlow::Break(Reason::LockForUpdate);
        }
        let foreign =
            query.for_clause.is_some() || query.settings.is_some() || !query.pipe_operators.is_empty();
        match &*query.body {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                ControlFlow::Break(Reason::WriteCte)
            }
            _ => objects(foreign.then_some(Reason::ParseDisagree)),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Reason> {
        objects(select.into.as_ref().map(|_| Reason::SelectInto))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Reason> {
        objects(relation_objection(relation))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Reason> {
        let objection = match factor {
            TableFactor::Table { name, args, .. } if args.is_some() => call_objection(name),
            TableFactor::Function { name, .. } => call_objection(name),
            TableFactor::Table { name, .. } => relation_objection(name),
            TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::XmlTable { .. } => None,
            _ => Some(Reason::ParseDisagree),
        };
        objects(objection)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Reason> {
        objects(match expr {
            Expr::Function(function) => function_objection(function),
            Expr::Cast { data_type, .. } => type_objection(data_type),
            Expr::Convert { .. } => Some(Reason::ParseDisagree),
            Expr::TypedString(typed) => type_objection(&typed.data_type),
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(parts), .. } => {
                operator_objection(parts)
            }
            Expr::BinaryOp { op: BinaryOperator::Custom(_), .. } => Some(Reason::OperatorUnknown),
            _ => None,
        })
    }
}

fn objects(objection: Option<Reason>) -> ControlFlow<Reason> {
    objection.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

fn relation_objection(relation: &ObjectName) -> Option<Reason> {
    relation.0.iter().find_map(|part| match part.as_ident() {
        Some(ident) => names::relation_objection(folded(ident).as_bytes()),
        None => Some(Reason::ParseDisagree),
    })
}

fn function_objection(function: &Function) -> Option<Reason> {
    if function.uses_odbc_syntax {
        return Some(Reason::ParseDisagree);
    }
    // COALESCE, CURRENT_TIMESTAMP and other syntax come as functions.
    if let [part] = &function.name.0[..]
        && let Some(Ident { value, quote_style: None, .. }) = part.as_ident()
    {
        let keyword = names::keyword(value.to_ascii_lowercase().as_bytes());
        if matches!(keyword, Some(Keyword::Reserved | Keyword::ColumnName)) {
            return None;
        }
    }
    call_objection(&function.name)
}

fn call_objection(name: &ObjectName) -> Option<Reason> {
    let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(folded)).collect();
    let class = match parts.as_deref() {
        Some([name]) => names::function(None, name.as_bytes()),
        Some([schema, name]) => names::function(Some(schema.as_bytes()), name.as_bytes()),
        _ => None,
    };
    match class {
        Some(class) => class.objection(),
        None => Some(Reason::FunctionUnknown),
    }
}

fn type_objection(data_type: &DataType) -> Option<Reason> {
    match data_type {
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(inner, _)
            | ArrayElemTypeDef::AngleBracket(inner)
            | ArrayElemTypeDef::Parenthesis(inner),
        ) => type_objection(inner),
        DataType::Custom(name, _) => {
            let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(folded)).collect();
            let known = match parts.as_deref() {
                Some([name]) => names::is_type(None, name.as_bytes()),
                Some([schema, name]) => names::is_type(Some(schema.as_bytes()), name.as_bytes()),
                _ => false,
            };
            (!known).then_some(Reason::TypeUnknown)
        }
        _ => None,
    }
}

/// `OPERATOR(pg_catalog.+)`, as its dotted parts.
fn operator_objection(parts: &[String]) -> Option<Reason> {
    let known = match parts {
        [operator] => names::is_operator(operator.as_bytes()),
        [schema, operator] => schema == "pg_catalog" && names::is_operator(operator.as_bytes()),
        _ => false,
    };
    (!known).then_some(Reason::OperatorUnknown)
}

fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        None => ident.value.to_ascii_lowercase(),
        Some(_) => ident.value.clone(),
    }
}
