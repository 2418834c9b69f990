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
    AccessExpr, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Function, FunctionArguments, Ident,
    JsonTableColumn, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor,
    XmlTableColumnOption,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::Reason;
use crate::names::{self, Call, Keyword, Names};

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
pub(crate) fn examine(sql: &str, names: Names<'_>) -> Tree {
    catch_unwind(AssertUnwindSafe(|| parse_and_visit(sql, names))).unwrap_or(Tree::Unparsed)
}

fn parse_and_visit(sql: &str, names: Names<'_>) -> Tree {
    let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, sql) else { return Tree::Unparsed };
    let [statement @ Statement::Query(_)] = &statements[..] else {
        return Tree::Objection(Reason::ParseDisagree);
    };
    match statement.visit(&mut Examiner { names }) {
        ControlFlow::Continue(()) => Tree::Read,
        ControlFlow::Break(reason) => Tree::Objection(reason),
    }
}

/// Visits a tree up to the first objection.
struct Examiner<'a> {
    names: Names<'a>,
}

impl Visitor for Examiner<'_> {
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
        objects(self.relation_objection(relation))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Reason> {
        let objection = match factor {
            TableFactor::Table { name, args: Some(args), .. } => {
                self.call_objection(name, Some(args.args.len()))
            }
            TableFactor::Function { name, args, .. } => self.call_objection(name, Some(args.len())),
            TableFactor::Table { name, .. } => self.relation_objection(name),
            TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::XmlTable { .. } => None,
            _ => Some(Reason::ParseDisagree),
        };
        objects(objection.or_else(|| self.columns_objection(factor)))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Reason> {
        objects(match expr {
            Expr::Function(function) => self.function_objection(function),
            Expr::Cast { data_type, .. } => self.type_objection(data_type),
            Expr::Convert { .. } => Some(Reason::ParseDisagree),
            Expr::TypedString(typed) => self.type_objection(&typed.data_type),
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(parts), .. } => {
                self.operator_objection(parts)
            }
            Expr::BinaryOp { op: BinaryOperator::Custom(op), .. } => {
                self.names.operator_objection(None, op.as_bytes())
            }
            Expr::CompoundIdentifier(parts) => self.attributes_objection(parts.get(1..)),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                access_chain.iter().find_map(|access| match access {
                    AccessExpr::Dot(Expr::Identifier(name)) => {
                        self.attributes_objection(Some(std::slice::from_ref(name)))
                    }
                    AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
                })
            }
            _ => None,
        })
    }
}

fn objects(objection: Option<Reason>) -> ControlFlow<Reason> {
    objection.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

impl Examiner<'_> {
    fn relation_objection(&self, relation: &ObjectName) -> Option<Reason> {
        let Some(parts) = parts(relation) else { return Some(Reason::ParseDisagree) };
        let builtin = parts.iter().find_map(|part| names::relation_objection(part.as_bytes()));
        builtin.or_else(|| match &parts[..] {
            [.., schema, name] => self.names.relation_objection(Some(schema.as_bytes()), name.as_bytes()),
            [name] => self.names.relation_objection(None, name.as_bytes()),
            [] => None,
        })
    }

    fn function_objection(&self, function: &Function) -> Option<Reason> {
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
        let arguments = match &function.args {
            FunctionArguments::List(list) if list.clauses.is_empty() => Some(list.args.len()),
            FunctionArguments::List(_) | FunctionArguments::None | FunctionArguments::Subquery(_) => None,
        };
        self.call_objection(&function.name, arguments)
    }

    fn call_objection(&self, name: &ObjectName, arguments: Option<usize>) -> Option<Reason> {
        let meaning = match parts(name).as_deref() {
            Some([name]) => self.names.call(None, name.as_bytes(), || arguments),
            Some([schema, name]) => self.names.call(Some(schema.as_bytes()), name.as_bytes(), || arguments),
            _ => Call::Unknown,
        };
        match meaning {
            // The walk looks at the setting's name, and at the argument that gives rows their type.
            Call::Harmless | Call::Rows | Call::Setting => None,
            Call::Objection(reason) => Some(reason),
            Call::Unknown => Some(Reason::FunctionUnknown),
        }
    }

    fn type_objection(&self, data_type: &DataType) -> Option<Reason> {
        match data_type {
            DataType::Array(
                ArrayElemTypeDef::SquareBracket(inner, _)
                | ArrayElemTypeDef::AngleBracket(inner)
                | ArrayElemTypeDef::Parenthesis(inner),
            ) => self.type_objection(inner),
            DataType::Custom(name, _) => match parts(name).as_deref() {
                Some([name]) => self.names.type_objection(None, name.as_bytes()),
                Some([schema, name]) => self.names.type_objection(Some(schema.as_bytes()), name.as_bytes()),
                _ => Some(Reason::TypeUnknown),
            },
            _ => None,
        }
    }

    /// The types of columns that a query defines for what it reads.
    fn columns_objection(&self, factor: &TableFactor) -> Option<Reason> {
        let alias = match factor {
            TableFactor::JsonTable { columns, .. } => {
                return columns.iter().find_map(|column| self.json_column_objection(column));
            }
            TableFactor::XmlTable { columns, .. } => {
                return columns.iter().find_map(|column| match &column.option {
                    XmlTableColumnOption::NamedInfo { r#type, .. } => self.type_objection(r#type),
                    XmlTableColumnOption::ForOrdinality => None,
                });
            }
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::Derived { alias, .. } => alias,
            _ => return None,
        };
        let mut types = alias.iter().flat_map(|alias| &alias.columns).filter_map(|it| it.data_type.as_ref());
        types.find_map(|data_type| self.type_objection(data_type))
    }

    fn json_column_objection(&self, column: &JsonTableColumn) -> Option<Reason> {
        match column {
            JsonTableColumn::Named(column) => self.type_objection(&column.r#type),
            JsonTableColumn::ForOrdinality(_) => None,
            JsonTableColumn::Nested(nested) => {
                nested.columns.iter().find_map(|column| self.json_column_objection(column))
            }
        }
    }

    /// `OPERATOR(pg_catalog.+)`, as its dotted parts.
    fn operator_objection(&self, parts: &[String]) -> Option<Reason> {
        match parts {
            [operator] => self.names.operator_objection(None, operator.as_bytes()),
            [schema, operator] => self.names.operator_objection(Some(schema.as_bytes()), operator.as_bytes()),
            _ => Some(Reason::OperatorUnknown),
        }
    }

    /// Names behind dots.
    fn attributes_objection(&self, names: Option<&[Ident]>) -> Option<Reason> {
        names?.iter().find_map(|name| self.names.attribute_objection(folded(name).as_bytes()))
    }
}

/// The parts of a dotted name, as PostgreSQL stores them.
fn parts(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(folded)).collect()
}

fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        None => ident.value.to_ascii_lowercase(),
        Some(_) => ident.value.clone(),
    }
}
