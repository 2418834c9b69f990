//! EXPLAIN ROUTE: what a session would do with a text, and the nodes that may serve it now.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use pgweir_cluster::{Access, Demand, View};
use pgweir_sql::{Classifier, Explanation, Lexing, SearchPath, Settings, Target, Wish, explain};

use crate::Proxy;
use crate::report::{ExplainedRow, Whose};
use crate::route;

impl Proxy {
    /// Explains a text as such a client's session would send it.
    pub(super) fn explained(&self, whose: &Whose<'_>, text: &str) -> Result<Vec<ExplainedRow>, String> {
        let database = match whose.database {
            Some(database) => database.to_owned(),
            None => self.only_database()?,
        };
        let config = self.config.load();
        let leads = config.route(&database).ok_or_else(|| format!("there is no database \"{database}\""))?;
        let cluster = self.all_clusters().into_iter().find(|cluster| cluster.name == leads.cluster);
        let cluster = cluster.ok_or_else(|| format!("there is no cluster \"{}\"", leads.cluster))?;
        let slot = Arc::clone(&self.catalogs.of(&cluster, &leads.server_database).slot);
        let user = whose.user.map_or_else(|| self.some_user(&database), str::to_owned);
        let wish = config.reads(&database, &user, whose.application).map_or_else(Wish::default, route::wish);
        let role = leads.user.unwrap_or(user);
        let naming = slot.naming(SearchPath::Default, &role);
        let mut classifier = Classifier::new(Settings { cache_entries: 0, ..Settings::default() }, 0);
        let explanation = explain(&mut classifier, text.as_bytes(), Lexing::default(), Some(&naming), &wish);
        let mut rows: Vec<ExplainedRow> = explanation.rows().into_iter().map(row).collect();
        if slot.catalog().is_none() {
            let unread =
                "It is not read yet: only PostgreSQL's own functions, types and operators are known.";
            rows.push(row(("catalog", unread.to_owned())));
        }
        rows.push(row(("database", database)));
        rows.push(row(("nodes", nodes(&explanation, &cluster.view()))));
        Ok(rows)
    }

    /// A role that uses the database: a rule may hold for it, and its schema may be in the search path.
    fn some_user(&self, database: &str) -> String {
        let pools = self.all_pools();
        let pool = pools.iter().find(|pool| pool.database == database);
        pool.map_or_else(String::new, |pool| pool.user.clone())
    }

    /// The only database that clients use or the configuration names.
    fn only_database(&self) -> Result<String, String> {
        let config = self.config.load();
        let named = config.databases.keys().filter(|name| *name != ANY_DATABASE).cloned();
        let pools = self.all_pools();
        let known: BTreeSet<String> = named.chain(pools.iter().map(|pool| pool.database.clone())).collect();
        match known.len() {
            1 => Ok(known.into_iter().next().expect("there is one")),
            _ => Err("say which database: EXPLAIN ROUTE FOR database statement".to_owned()),
        }
    }
}

/// The nodes that would be chosen from now.
fn nodes(explanation: &Explanation, view: &View) -> String {
    let access = if explanation.target == Target::Standby { Access::Read } else { Access::Primary };
    let mut demand = Demand::new(access);
    if let Some(name) = &explanation.node {
        match view.named(name) {
            Some(node) => demand.only = Some(node),
            None => return format!("there is no node \"{name}\""),
        }
    }
    demand.staleness_max = explanation.staleness_max;
    demand.spares_primary = explanation.spares_primary;
    let fit = view.candidates(&demand, Instant::now());
    let names: Vec<&str> = fit.iter().filter_map(|node| Some(&*view.node(node)?.name)).collect();
    if names.is_empty() { "none is fit now".to_owned() } else { names.join(", ") }
}

fn row((name, value): (&'static str, String)) -> ExplainedRow {
    ExplainedRow { name, value }
}

/// The section that holds for all databases without one.
const ANY_DATABASE: &str = "*";
