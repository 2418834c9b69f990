//! From rows to a catalog: what objects, and what objects because it uses something that does.
//!
//! How: everything is taken for harmless unless its own row says otherwise, then what uses something harmful becomes
//! harmful, until nothing changes. Functions that call each other are so no worse than what they do besides.
//! Bounded: what is not settled after [`ROUNDS_MAX`] rounds is harmful.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::body::{self, Judgement};
use super::rows::{
    Body, BuiltinRow, CatalogRows, FunctionRow, Language, References, RelationKind, RelationRow, Volatility,
};
use super::table::NameTable;
use super::{ANY_NUMBER, Catalog, FunctionFact, Path, RelationFact, extensions};
use crate::classifier::{Classifier, Settings};
use crate::names::{self, Names};
use crate::{Depends, Leaves, Reason};

/// Rounds until everything must be settled. Each goes through objects in the order in which they were made, mostly that
/// in which they use each other.
const ROUNDS_MAX: usize = 64;
/// OIDs below are PostgreSQL's own. Manual: "System Catalog Initial Data", OID Assignment.
const FIRST_USER_OID: u32 = 16_384;

pub(super) fn build(rows: &CatalogRows) -> Catalog {
    let mut build = Build::new(rows);
    let settled = (0..ROUNDS_MAX).any(|_| !build.round());
    if !settled {
        build.distrust();
        build.round();
    }
    build.leave();
    build.catalog.has_volatile_types = !build.harmful_types.is_empty();
    build.catalog
}

/// A catalog in the making, with what its objects are by OID.
struct Build<'r> {
    rows: &'r CatalogRows,
    catalog: Catalog,
    classifier: Classifier,
    function_places: Vec<u32>,
    relation_places: Vec<u32>,
    type_places: Vec<u32>,
    operator_places: Vec<u32>,
    column_places: Vec<u32>,
    builtins: HashMap<u32, &'r BuiltinRow>,
    /// Functions in the order in which they were made.
    order: Vec<usize>,
    known_functions: HashSet<u32>,
    harmful_functions: HashMap<u32, Reason>,
    harmful_relations: HashMap<u32, Reason>,
    harmful_types: HashSet<u32>,
    harmful_operators: HashSet<u32>,
}

impl<'r> Build<'r> {
    fn new(rows: &'r CatalogRows) -> Self {
        let schemas: BTreeSet<&str> = schemas(rows).collect();
        let schemas: Vec<Box<str>> = schemas.into_iter().map(Box::from).collect();
        let place = |schema: &str| {
            let at = schemas.binary_search_by(|known| (**known).cmp(schema)).unwrap_or(usize::MAX);
            u16::try_from(at).unwrap_or(u16::MAX)
        };
        let functions = rows.functions.iter();
        let (functions, function_places) =
            NameTable::new(functions.map(|row| (row.name.as_str(), place(&row.schema), function_fact(row))));
        let clean = RelationFact { objection: None, leaves: Leaves::Nothing, depends: Depends::Statement };
        let relation = |row: &RelationRow| {
            let plain = row.kind == RelationKind::Table && row.policies == References::default();
            let depends = if plain { Depends::Statement } else { Depends::Transaction };
            RelationFact { depends, ..clean }
        };
        let relations = rows.relations.iter();
        let relations = relations.map(|row| (row.name.as_str(), place(&row.schema), relation(row)));
        let columns = rows.columns.iter().map(|row| (row.name.as_str(), place(&row.schema), clean));
        let (relations, mut relation_places) = NameTable::new(relations.chain(columns));
        let column_places = relation_places.split_off(rows.relations.len());
        let types = rows.types.iter().map(|row| (row.name.as_str(), place(&row.schema), None));
        let (types, type_places) = NameTable::new(types);
        let operators = rows.operators.iter().map(|row| (row.name.as_str(), place(&row.schema), None));
        let (operators, operator_places) = NameTable::new(operators);
        let mut order: Vec<usize> = (0..rows.functions.len()).collect();
        order.sort_by_key(|at| rows.functions[*at].oid);
        let (search_paths, isolations) = (rows.search_paths.clone(), rows.isolations.clone());
        let catalog = Catalog {
            schemas,
            functions,
            relations,
            types,
            operators,
            attributes: Vec::new(),
            implied: None,
            has_volatile_types: false,
            search_paths,
            isolations,
        };
        Self {
            rows,
            catalog,
            classifier: Classifier::new(Settings { cache_entries: 0, ..Settings::default() }, 0),
            function_places,
            relation_places,
            type_places,
            operator_places,
            column_places,
            builtins: rows.builtins.iter().map(|row| (row.oid, row)).collect(),
            order,
            known_functions: rows.functions.iter().map(|row| row.oid).collect(),
            harmful_functions: HashMap::new(),
            harmful_relations: HashMap::new(),
            harmful_types: HashSet::new(),
            harmful_operators: HashSet::new(),
        }
    }

    /// Finds more that is harmful; false if there is no more.
    fn round(&mut self) -> bool {
        let before = self.harmful();
        for at in self.order.clone() {
            let row = &self.rows.functions[at];
            if !self.harmful_functions.contains_key(&row.oid)
                && let Some(reason) = self.function_objection(row)
            {
                self.object_to_function(at, reason);
            }
        }
        self.operators_and_casts();
        self.types();
        self.relations();
        self.harmful() > before
    }

    fn harmful(&self) -> usize {
        self.harmful_functions.len()
            + self.harmful_relations.len()
            + self.harmful_types.len()
            + self.harmful_operators.len()
            + usize::from(self.catalog.implied.is_some())
    }

    fn object_to_function(&mut self, at: usize, reason: Reason) {
        let row = &self.rows.functions[at];
        self.harmful_functions.insert(row.oid, reason);
        self.catalog.functions.fact_mut(self.function_places[at]).objection = Some(reason);
        if row.of_row
            && let Err(place) = self.catalog.attributes.binary_search_by(|name| (**name).cmp(&row.name))
        {
            self.catalog.attributes.insert(place, row.name.as_str().into());
        }
    }

    fn function_objection(&mut self, row: &FunctionRow) -> Option<Reason> {
        let curated = row.extension.as_deref().and_then(|extension| extensions::class(extension, &row.name));
        if let Some(class) = curated {
            return class.objection();
        }
        if self.uses_harmful(&row.uses) || self.harmful_types.contains(&row.returns) {
            return Some(Reason::FunctionBody);
        }
        let declared = (row.volatility == Volatility::Volatile).then_some(Reason::FunctionVolatile);
        match (row.language, &row.body) {
            (Language::Sql, Body::Parsed) => None,
            (Language::Sql, Body::Text(text)) => {
                let names = Names::of(&self.catalog, &Path::All);
                match body::judge(&mut self.classifier, text, names) {
                    Judgement::Reads => None,
                    Judgement::Unclear => declared,
                    Judgement::Objection => Some(Reason::FunctionBody),
                }
            }
            (Language::PlPgSql | Language::Other, Body::Text(text)) if declared.is_none() => {
                body::calls_what_binds(text).then_some(Reason::FunctionBody)
            }
            (Language::Sql | Language::PlPgSql | Language::Compiled | Language::Other, _) => declared,
        }
    }

    fn uses_harmful(&self, uses: &References) -> bool {
        uses.writes
            || uses.functions.iter().any(|oid| self.is_harmful_function(*oid))
            || uses.operators.iter().any(|oid| self.harmful_operators.contains(oid))
            || uses.relations.iter().any(|oid| self.is_harmful_relation(*oid))
            || uses.types.iter().any(|oid| self.harmful_types.contains(oid))
    }

    fn is_harmful_function(&self, oid: u32) -> bool {
        if oid >= FIRST_USER_OID {
            return self.harmful_functions.contains_key(&oid) || !self.known_functions.contains(&oid);
        }
        let Some(row) = self.builtins.get(&oid) else { return true };
        match names::function(None, row.name.as_bytes()) {
            Some(class) => class.objection().is_some(),
            None => row.volatility.is_none_or(|volatility| volatility == Volatility::Volatile),
        }
    }

    fn is_harmful_relation(&self, oid: u32) -> bool {
        let builtin = self.builtins.get(&oid);
        self.harmful_relations.contains_key(&oid)
            || builtin.is_some_and(|row| names::relation_objection(row.name.as_bytes()).is_some())
    }

    /// An operator or cast that objects shows in a text, or else spoils the types on which it works: whatever has those
    /// may use it unseen.
    fn operators_and_casts(&mut self) {
        for (at, row) in self.rows.operators.iter().enumerate() {
            if !self.is_harmful_function(row.function) || !self.harmful_operators.insert(row.oid) {
                continue;
            }
            let hidden = names::is_operator(row.name.as_bytes()) && self.spoil(&row.operands);
            if !hidden {
                *self.catalog.operators.fact_mut(self.operator_places[at]) = Some(Reason::OperatorVolatile);
            }
            if !hidden && IMPLIED_OPERATORS.contains(&row.name.as_str()) {
                self.catalog.implied = Some(Reason::OperatorVolatile);
            }
        }
        for row in &self.rows.casts {
            if self.is_harmful_function(row.function) && !self.spoil(&[row.source, row.target]) {
                self.catalog.implied = Some(Reason::TypeVolatile);
            }
        }
    }

    /// Marks those of the types that are the user's; false if none is.
    fn spoil(&mut self, types: &[u32]) -> bool {
        let mut own = types.iter().filter(|oid| **oid >= FIRST_USER_OID).peekable();
        let any = own.peek().is_some();
        self.harmful_types.extend(own);
        any
    }

    fn types(&mut self) {
        for (at, row) in self.rows.types.iter().enumerate() {
            if self.uses_harmful(&row.uses) {
                self.harmful_types.insert(row.oid);
            }
            if self.harmful_types.contains(&row.oid) {
                *self.catalog.types.fact_mut(self.type_places[at]) = Some(Reason::TypeVolatile);
            }
        }
    }

    fn relations(&mut self) {
        for (at, row) in self.rows.relations.iter().enumerate() {
            if let Some(reason) = self.relation_objection(row) {
                self.object_to_relation(row.oid, self.relation_places[at], reason);
            }
        }
        for (at, row) in self.rows.columns.iter().enumerate() {
            if self.harmful_types.contains(&row.type_oid) {
                self.object_to_relation(row.relation, self.column_places[at], Reason::TypeVolatile);
            }
        }
    }

    fn object_to_relation(&mut self, oid: u32, place: u32, reason: Reason) {
        self.harmful_relations.entry(oid).or_insert(reason);
        self.catalog.relations.fact_mut(place).objection.get_or_insert(reason);
    }

    fn relation_objection(&self, row: &RelationRow) -> Option<Reason> {
        match row.kind {
            RelationKind::Foreign => return Some(Reason::RelationForeign),
            RelationKind::Sequence => return Some(Reason::RelationSequence),
            RelationKind::Table | RelationKind::View => {}
        }
        if row.unlogged {
            return Some(Reason::RelationUnlogged);
        }
        if self.uses_harmful(&row.uses) {
            return Some(Reason::RelationView);
        }
        if self.uses_harmful(&row.policies) {
            return Some(Reason::RelationPolicy);
        }
        // A partition's own policies do not count when it is reached through its parent.
        let mut children = row.children.iter().filter_map(|child| self.harmful_relations.get(child).copied());
        children.find(|reason| *reason != Reason::RelationPolicy)
    }

    /// After too many rounds: what rests on anything else is harmful.
    fn distrust(&mut self) {
        for at in self.order.clone() {
            let row = &self.rows.functions[at];
            let alone = row.language != Language::Sql && row.uses == References::default();
            if !alone && !self.harmful_functions.contains_key(&row.oid) {
                self.object_to_function(at, Reason::FunctionBody);
            }
        }
        for (at, row) in self.rows.relations.iter().enumerate() {
            if row.kind == RelationKind::View || row.policies != References::default() {
                self.object_to_relation(row.oid, self.relation_places[at], Reason::RelationView);
            }
        }
    }

    /// Finds the functions that may leave state in their session, and the relations whose use runs those.
    fn leave(&mut self) {
        let mut leaving: HashSet<u32> = HashSet::new();
        let mut names: HashSet<&[u8]> = HashSet::new();
        for _ in 0..ROUNDS_MAX {
            let before = leaving.len() + names.len();
            for at in &self.order {
                let row = &self.rows.functions[*at];
                if !leaving.contains(&row.oid) && self.may_leave(row, &leaving, &names) {
                    leaving.insert(row.oid);
                    names.insert(row.name.as_bytes());
                    self.catalog.functions.fact_mut(self.function_places[*at]).leaves = Leaves::Unknown;
                }
            }
            for (at, row) in self.rows.relations.iter().enumerate() {
                let uses = row.uses.functions.iter().chain(&row.policies.functions).chain(&row.runs);
                if uses.into_iter().any(|oid| self.use_leaves(*oid, &leaving)) {
                    names.insert(row.name.as_bytes());
                    self.catalog.relations.fact_mut(self.relation_places[at]).leaves = Leaves::Unknown;
                }
            }
            if leaving.len() + names.len() == before {
                return;
            }
        }
        for place in &self.function_places {
            self.catalog.functions.fact_mut(*place).leaves = Leaves::Unknown;
        }
    }

    fn may_leave(&self, row: &FunctionRow, leaving: &HashSet<u32>, names: &HashSet<&[u8]>) -> bool {
        let uses = row.uses.functions.iter().any(|oid| self.use_leaves(*oid, leaving));
        let own = match (row.language, &row.body) {
            (Language::Compiled, _) => row.extension.is_none() && row.uses.functions.is_empty(),
            (Language::Sql, Body::Parsed) => false,
            (Language::Sql | Language::PlPgSql, Body::Text(text)) => {
                body::leaves_state(text) || body::words(text).any(|word| names.contains(&word[..]))
            }
            (Language::Sql | Language::PlPgSql | Language::Other, _) => true,
        };
        uses || own
    }

    fn use_leaves(&self, oid: u32, leaving: &HashSet<u32>) -> bool {
        let builtin = || self.builtins.get(&oid).map(|row| row.name.as_bytes());
        leaving.contains(&oid)
            || builtin().is_some_and(|name| name == b"nextval" || names::function_binds(name).is_some())
    }
}

/// All schemas that rows name.
fn schemas(rows: &CatalogRows) -> impl Iterator<Item = &str> {
    let functions = rows.functions.iter().map(|row| row.schema.as_str());
    let relations = rows.relations.iter().map(|row| row.schema.as_str());
    let columns = rows.columns.iter().map(|row| row.schema.as_str());
    let types = rows.types.iter().map(|row| row.schema.as_str());
    let operators = rows.operators.iter().map(|row| row.schema.as_str());
    functions.chain(relations).chain(columns).chain(types).chain(operators)
}

fn function_fact(row: &FunctionRow) -> FunctionFact {
    let count = |arguments: u16| u8::try_from(arguments).unwrap_or(ANY_NUMBER);
    FunctionFact {
        arguments_min: count(row.arguments_min),
        arguments_max: row.arguments_max.map_or(ANY_NUMBER, count),
        objection: None,
        leaves: Leaves::Nothing,
        shadowed: row.shadowed,
    }
}

/// Operators that IN, LIKE, BETWEEN, DISTINCT, CASE and their like use without being written.
const IMPLIED_OPERATORS: [&str; 12] =
    ["=", "<>", "<", "<=", ">", ">=", "~", "!~", "~~", "!~~", "~~*", "!~~*"];
