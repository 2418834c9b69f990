//! Clusters, their nodes, and the databases that lead to them.

use std::collections::{HashMap, HashSet};

use super::check_tls;
use crate::fault::{Fault, Refusal};
use crate::quantity::show_duration;
use crate::read::Reader;
use crate::{ClusterSettings, Config, Route};

/// Checks names, addresses and routes.
pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    if config.clusters.is_empty() && !reader.doubtful("cluster") {
        reader.mistake("cluster", no_nodes("cluster.main"));
    }
    for (name, cluster) in &config.clusters {
        check_cluster(&format!("cluster.{name}"), cluster, reader);
    }
    check_routes(config, reader);
    check_rules(config, reader);
    for name in RESERVED_DATABASES.iter().filter(|name| config.databases.contains_key(**name)) {
        let fault = Fault::ReservedName { name: (*name).to_owned() };
        reader.mistake(&format!("database.{name}"), Refusal::new(fault, "this database is the console"));
    }
    if config.users.contains_key("*") {
        let fault = Fault::ReservedName { name: "*".to_owned() };
        reader.mistake("user.*", Refusal::new(fault, "[pool] holds for all roles"));
    }
}

fn check_cluster(section: &str, cluster: &ClusterSettings, reader: &mut Reader<'_>) {
    if cluster.nodes.is_empty() && !reader.doubtful(section) {
        reader.mistake(section, no_nodes(section));
    }
    if cluster.nodes.len() > NODES_MAX {
        let fault = Fault::TooMany { what: "nodes in a cluster", most: NODES_MAX };
        reader.mistake(&format!("{section}.node.{NODES_MAX}"), fault);
    }
    check_repeats(section, cluster, reader);
    let (stale, interval) = (format!("{section}.staleness_max"), format!("{section}.monitor_interval"));
    if cluster.monitor_interval >= cluster.staleness_max
        && !reader.doubtful(&stale)
        && !reader.doubtful(&interval)
    {
        let (value, limit) = (show_duration(cluster.monitor_interval), show_duration(cluster.staleness_max));
        let advice = "a standby must be asked more often than that, or it always looks too old";
        reader.mistake(&interval, Refusal::new(Fault::NotBelow { other: stale, value, limit }, advice));
    }
    let files = [&cluster.tls_cert, &cluster.tls_key, &cluster.tls_ca];
    check_tls(section, cluster.tls_mode, files, false, reader);
}

fn no_nodes(section: &str) -> Refusal {
    Refusal::new(Fault::NoNodes, format!("add [[{section}.node]] with address = \"host:5432\""))
}

fn check_repeats(section: &str, cluster: &ClusterSettings, reader: &mut Reader<'_>) {
    let mut addresses = HashMap::new();
    let mut names = HashMap::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let at = format!("{section}.node.{index}");
        if reader.doubtful(&at) {
            continue;
        }
        if let Some(first) = addresses.insert(&node.address, at.clone()) {
            let first_line = reader.line(&format!("{first}.address"));
            reader.mistake(
                &format!("{at}.address"),
                Fault::Repeated { value: node.address.to_string(), first_line },
            );
        } else if let Some(first) = names.insert(&node.name, at.clone()) {
            let first_line = reader.line(&format!("{first}.name"));
            reader.mistake(&format!("{at}.name"), Fault::Repeated { value: node.name.clone(), first_line });
        }
    }
}

fn check_routes(config: &Config, reader: &mut Reader<'_>) {
    let several = config.clusters.len() > 1;
    if several && config.databases.is_empty() && !reader.doubtful("database") {
        let fault = Fault::UnknownCluster { name: String::new() };
        let advice = "add [database.NAME] with cluster = \"NAME\" for each database, or [database.\"*\"]";
        reader.mistake("cluster", Refusal::new(fault, advice));
        return;
    }
    let mut used = HashSet::new();
    for (name, database) in &config.databases {
        let at = format!("database.{name}.cluster");
        match &database.cluster {
            Some(cluster) if config.clusters.contains_key(cluster) => {
                used.insert(cluster);
            }
            Some(cluster) => {
                let near = crate::suggest::closest(cluster, config.clusters.keys().map(String::as_str));
                let suggestion = near.map(|near| format!("did you mean \"{near}\"?"));
                reader.mistake(
                    &at,
                    Refusal::from(Fault::UnknownCluster { name: cluster.clone() }).advise(suggestion),
                );
            }
            None if several && !reader.doubtful(&at) => {
                let names: Vec<_> = config.clusters.keys().map(String::as_str).collect();
                let advice = format!("add cluster, one of: {}", names.join(", "));
                reader.mistake(&at, Refusal::new(Fault::UnknownCluster { name: String::new() }, advice));
            }
            None => used.extend(config.clusters.keys()),
        }
    }
    let idle = |name: &&String| !config.databases.is_empty() && !used.contains(*name);
    for name in
        config.clusters.keys().filter(idle).filter(|_| !reader.doubtful("database")).collect::<Vec<_>>()
    {
        reader.warning(&format!("cluster.{name}"), Fault::UnusedCluster);
    }
}

/// A rule that names a node needs a cluster that has it: the database's own, or any.
fn check_rules(config: &Config, reader: &mut Reader<'_>) {
    let databases = config.databases.iter().map(|(name, database)| {
        let cluster = config.route(name).map(|route| route.cluster);
        (format!("database.{name}"), &database.route, cluster)
    });
    let users = config.users.iter().map(|(name, user)| (format!("user.{name}"), &user.route, None));
    let applications = config.applications.iter();
    let applications = applications.map(|(name, own)| (format!("application.{name}"), &own.route, None));
    for (section, route, of) in databases.chain(users).chain(applications).collect::<Vec<_>>() {
        let Some(Route::Node(name)) = route else { continue };
        let of_it = |(cluster, _): &(&String, _)| of.as_ref().is_none_or(|of| of == *cluster);
        let mut clusters = config.clusters.iter().filter(of_it).map(|(_, cluster)| cluster).peekable();
        let known = clusters.peek().is_some() && !reader.doubtful("cluster");
        let nodes: Vec<_> = clusters.flat_map(|cluster| &cluster.nodes).collect();
        if !known || nodes.iter().any(|node| node.name == *name) {
            continue;
        }
        let near = crate::suggest::closest(name, nodes.iter().map(|node| node.name.as_str()));
        let suggestion = near.map(|near| format!("did you mean \"node={near}\"?"));
        let fault = Fault::UnknownNode { name: name.clone() };
        reader.mistake(&format!("{section}.route"), Refusal::from(fault).advise(suggestion));
    }
}

/// Databases of the console.
const RESERVED_DATABASES: &[&str] = &["pgbouncer", "pgweir"];

/// A set of nodes fits into 64 bits.
const NODES_MAX: usize = 64;
