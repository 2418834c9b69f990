//! What a good file means: routes, pools, passwords from files, and how settings and changes are shown.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use pgweir_config::{Change, Config, NodeAddress, PoolMode, Route, TlsMode};

const FILE: &str = r#"
[listen]
address = ["127.0.0.1:6432", "[::1]:6432"]

[auth]
users_file = "users.txt"

[pool]
size = 10
min_size = 4
lifetime = "90m"

[limits]
query_bytes_max = 2048
segment_bytes_max = "128kB"

[cluster.main]
monitor_password_file = "password.txt"
lag_bytes_max = "16MB"

[[cluster.main.node]]
address = "db1:5432"
[[cluster.main.node]]
address = "/run/postgresql:5433"
name = "local"
weight = 3
[[cluster.main.node]]
address = "[fe80::1]:5432"

[[cluster.archive.node]]
address = "db9:5432"

[database."*"]
cluster = "main"

[database.history]
cluster = "archive"
server_database = "history_2026"
user = "reader"
password = "hidden"
pool_mode = "session"
pool_size = 3
connections_max = 0

[user.batch]
pool_size = 2
pool_mode = "statement"
query_timeout = "10s"
"#;

fn parse(text: &str) -> Config {
    let files = Path::new("tests/mistakes/files");
    Config::parse(text, files).unwrap_or_else(|errors| panic!("{errors}")).config
}

#[test]
fn addresses_have_their_parts() {
    let config = parse(FILE);
    let shown: Vec<_> = config.listen.address.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["127.0.0.1:6432", "[::1]:6432"]);
    let nodes = &config.clusters["main"].nodes;
    assert_eq!(nodes[0].address, NodeAddress::Tcp { host: "db1".to_owned(), port: 5432 });
    assert_eq!(nodes[0].name, "db1:5432", "a node without a name is called by its address");
    assert_eq!(nodes[1].address.socket_path().unwrap(), Path::new("/run/postgresql/.s.PGSQL.5433"));
    assert_eq!((nodes[1].name.as_str(), nodes[1].weight), ("local", 3));
    assert_eq!(nodes[2].address, NodeAddress::Tcp { host: "fe80::1".to_owned(), port: 5432 });
    assert_eq!(nodes[2].address.to_string(), "[fe80::1]:5432");
}

#[test]
fn quantities_are_binary_and_exact() {
    let config = parse(FILE);
    assert_eq!(config.limits.query_bytes_max.bytes(), 2048);
    assert_eq!(config.limits.segment_bytes_max.bytes(), 128 * 1024);
    assert_eq!(config.clusters["main"].lag_bytes_max.unwrap().bytes(), 16 << 20);
    assert_eq!(config.pool.lifetime, Some(Duration::from_secs(5400)));
    for (text, micros) in
        [("7us", 7), ("7ms", 7_000), ("7s", 7_000_000), ("2m", 120_000_000), ("1d", 86_400_000_000)]
    {
        let config = parse(&FILE.replace("\"90m\"", &format!("\"{text}\"")));
        assert_eq!(config.pool.lifetime, Some(Duration::from_micros(micros)), "{text}");
        let shown = config.describe().into_iter().find(|setting| setting.key == "pool.lifetime").unwrap();
        assert_eq!(shown.value, text);
    }
    assert_eq!(parse(&FILE.replace("\"90m\"", "\"0s\"")).pool.lifetime, None);
}

#[test]
fn databases_lead_where_the_file_says() {
    let config = parse(FILE);
    let shop = config.route("shop").unwrap();
    assert_eq!((shop.cluster.as_str(), shop.server_database.as_str(), shop.user), ("main", "shop", None));
    let history = config.route("history").unwrap();
    assert_eq!((history.cluster.as_str(), history.server_database.as_str()), ("archive", "history_2026"));
    assert_eq!(history.user.as_deref(), Some("reader"));
    assert_eq!(history.password.unwrap().reveal(), "hidden");
    let listed = parse(&FILE.replace("[database.\"*\"]", "[database.shop]"));
    assert!(listed.route("shop").is_some());
    assert_eq!(listed.route("other"), None, "without `*` only what is listed exists");
}

#[test]
fn one_cluster_without_databases_takes_them_all() {
    let config = parse("[auth]\nmethod = \"trust\"\n[[cluster.only.node]]\naddress = \"db:5432\"\n");
    let any = config.route("anything").unwrap();
    assert_eq!(
        (any.name.as_str(), any.cluster.as_str(), any.server_database.as_str()),
        ("anything", "only", "anything")
    );
}

#[test]
fn physical_replication_needs_no_database() {
    let parse = |text: &str| {
        let text = format!("[auth]\nmethod = \"trust\"\n{text}");
        Config::parse(&text, Path::new("")).unwrap_or_else(|errors| panic!("{errors}")).config
    };
    let node = |cluster: &str| format!("[[cluster.{cluster}.node]]\naddress = \"{cluster}:5432\"\n");
    let one = parse(&format!("{}[database.shop]\nuser = \"all\"\n", node("main")));
    assert_eq!(one.route("replication"), None);
    let anywhere = one.route_physical("replication").unwrap();
    assert_eq!((anywhere.cluster.as_str(), anywhere.user), ("main", None), "there is only one cluster");
    assert_eq!(
        one.route_physical("shop").unwrap().user.as_deref(),
        Some("all"),
        "a database that is named counts"
    );
    let databases = "[database.shop]\ncluster = \"main\"\n[database.replication]\ncluster = \"other\"\n";
    let two = parse(&format!("{}{}{databases}", node("main"), node("other")));
    assert_eq!(two.route_physical("nowhere"), None, "nobody knows which cluster is meant");
    assert_eq!(two.route_physical("replication").unwrap().cluster, "other");
}

#[test]
fn a_role_goes_before_a_database_and_a_database_before_the_rest() {
    let config = parse(FILE);
    assert_eq!(config.pool("shop", "alice"), config.pool);
    let history = config.pool("history", "alice");
    assert_eq!((history.mode, history.size.get()), (PoolMode::Session, 3));
    assert_eq!(history.min_size, 3, "the minimum never exceeds the size");
    let both = config.pool("history", "batch");
    assert_eq!((both.mode, both.size.get()), (PoolMode::Statement, 2));
    assert_eq!(both.query_timeout, Some(Duration::from_secs(10)));
    assert_eq!(both.lifetime, config.pool.lifetime);
    let limited = parse(&FILE.replace("size = 10", "size = 10\ndatabase_connections_max = 50"));
    assert_eq!(limited.pool("shop", "alice").database_connections_max, NonZeroU32::new(50));
    assert_eq!(limited.pool("history", "alice").database_connections_max, None, "0 lifts a wider limit");
    let tight = parse(&FILE.replace("connections_max = 0", "connections_max = 2"));
    assert_eq!(tight.pool("history", "alice").min_size, 2, "nor does it exceed a limit on connections");
}

#[test]
fn a_password_file_holds_the_password_without_its_line_end() {
    let config = parse(FILE);
    assert_eq!(config.clusters["main"].monitor_password.as_ref().unwrap().reveal(), "from a file");
}

#[test]
fn passwords_are_never_shown() {
    let config = parse(FILE);
    let shown = format!("{config:?} {:?}", config.describe());
    assert!(!shown.contains("hidden") && !shown.contains("from a file"), "{shown}");
    let password =
        config.describe().into_iter().find(|setting| setting.key == "database.history.password").unwrap();
    assert_eq!(password.value, "********");
}

#[test]
fn a_mistake_beside_a_password_does_not_show_it() {
    let text = FILE.replace("password = \"hidden\"", "password = 12345");
    let errors = Config::parse(&text, Path::new("tests/mistakes/files")).unwrap_err();
    assert!(!errors.to_string().contains("12345"), "{errors}");
    let text = FILE.replace("password = \"hidden\"", "pasword = \"hidden\"\npassword = \"half");
    let errors = Config::parse(&text, Path::new("tests/mistakes/files")).unwrap_err().to_string();
    assert!(!errors.contains("hidden") && !errors.contains("half"), "{errors}");
}

#[test]
fn settings_are_described_once_each_and_in_order() {
    let described = parse(FILE).describe();
    let keys: Vec<_> = described.iter().map(|setting| setting.key.as_str()).collect();
    assert_eq!(keys[0], "listen.address");
    let unique: std::collections::HashSet<_> = keys.iter().collect();
    assert_eq!(unique.len(), keys.len());
    assert!(keys.contains(&"cluster.main.node.local.weight"));
    assert!(!keys.contains(&"user.batch.wait_timeout"), "what is inherited is not listed");
    let size = described.iter().find(|setting| setting.key == "pool.size").unwrap();
    assert_eq!((size.value.as_str(), size.default.as_str(), size.reloadable), ("10", "20", true));
    assert_eq!(size.meaning, "Server connections of a pool.");
    let address = &described[0];
    assert_eq!((address.value.as_str(), address.reloadable), ("127.0.0.1:6432, [::1]:6432", false));
}

#[test]
fn changes_say_what_needs_a_restart_and_hide_passwords() {
    let old = parse(FILE);
    assert_eq!(Config::diff(&old, &old), []);
    let new = FILE
        .replace("\"[::1]:6432\"", "\"[::1]:6433\"")
        .replace("size = 10", "size = 11")
        .replace("password = \"hidden\"", "password = \"secret\"")
        .replace("[[cluster.main.node]]\naddress = \"db1:5432\"\n", "");
    let change = |key: &str, old: &str, new: &str, reloadable| Change {
        key: key.to_owned(),
        old: old.to_owned(),
        new: new.to_owned(),
        reloadable,
    };
    assert_eq!(
        Config::diff(&old, &parse(&new)),
        [
            change("cluster.main.node.db1:5432.address", "db1:5432", "", true),
            change("cluster.main.node.db1:5432.name", "db1:5432", "", true),
            change("cluster.main.node.db1:5432.weight", "1", "", true),
            change("cluster.main.node.db1:5432.zone", "", "", true),
            change("database.history.password", "********", "********", true),
            change("listen.address", "127.0.0.1:6432, [::1]:6432", "127.0.0.1:6432, [::1]:6433", false),
            change("pool.size", "10", "11", true),
        ]
    );
}

#[test]
fn tls_modes_are_ordered_by_strictness() {
    assert!(TlsMode::ALL.is_sorted());
    assert_eq!(TlsMode::ALL.len(), 6);
}

#[test]
fn a_file_is_read_with_its_own_folder_as_base() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    let missing = Config::load(&path).unwrap_err();
    assert_eq!(
        missing.to_string(),
        format!("error: cannot read {}: there is no such file\n\n1 mistake", path.display())
    );
    fs::write(&path, "[auth]\nusers_file = \"users.txt\"\n[[cluster.a.node]]\naddress = \"db:5432\"\n")
        .unwrap();
    let errors = Config::load(&path).unwrap_err();
    assert_eq!(errors.mistakes.len(), 1);
    assert_eq!(errors.mistakes[0].file, path.display().to_string());
    fs::write(folder.path().join("users.txt"), "\"a\" \"b\"\n").unwrap();
    let loaded = Config::load(&path).unwrap();
    assert_eq!(loaded.config.auth.users_file, Some(folder.path().join("users.txt")));
}

const RULES: &str = r#"
[auth]
query_user = "pgweir"
[[cluster.main.node]]
address = "db1:5432"
name = "a"
[[cluster.archive.node]]
address = "db2:5432"
name = "old"
[database.shop]
cluster = "main"
route = "standby"
[database."*"]
cluster = "archive"
route = "node=old"
[user.alice]
route = "primary"
[user.bob]
[application.report]
route = "node=old"
[application.batch]
route = "auto"
"#;

#[test]
fn of_several_rules_the_narrowest_says_where_reads_go() {
    let config = parse(RULES);
    let reads = |database, user, application| config.reads(database, user, application).cloned();
    let old = Some(Route::Node("old".to_owned()));
    assert_eq!(reads("shop", "bob", None), Some(Route::Standby));
    assert_eq!(reads("other", "bob", Some("psql")), old);
    assert_eq!(reads("other", "alice", None), Some(Route::Primary));
    assert_eq!(reads("other", "alice", Some("report")), old);
    assert_eq!(reads("shop", "alice", Some("batch")), Some(Route::Auto), "`auto` undoes wider rules");
    assert_eq!(reads("shop", "bob", Some("report")), Some(Route::Standby), "that cluster has no such node");
    let shown: Vec<_> = config.describe().into_iter().filter(|it| it.key.ends_with(".route")).collect();
    let shown: Vec<_> = shown.iter().map(|it| (it.key.as_str(), it.value.as_str())).collect();
    assert!(
        shown.contains(&("application.report.route", "node=old")) && shown.contains(&("user.bob.route", ""))
    );
}
