//! The shipped `proxy.toml` and `docs/configuration.md` say what the code does: both are rendered from its tables.
//!
//! `PGWEIR_BLESS=1` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pgweir_config::{Config, DatabaseOverrides, Key, NodeAddress, NodeSettings, SectionKeys, UserOverrides};

#[test]
fn the_shipped_file_has_every_key_with_its_default_and_meaning() {
    compare("proxy.toml", &shipped());
}

#[test]
fn the_manual_has_every_key_with_its_default_and_meaning() {
    compare("docs/configuration.md", &manual());
}

#[test]
fn the_shipped_file_loads_as_it_is() {
    let loaded = Config::load(&root().join("proxy.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config, defaults());
}

#[test]
fn every_line_that_is_commented_out_is_the_default() {
    let config = parse(&uncommented(&shipped()));
    assert_eq!(config.databases.keys().collect::<Vec<_>>(), ["shop"]);
    assert_eq!(config.users.keys().collect::<Vec<_>>(), ["alice"]);
    assert_eq!(config.applications.keys().collect::<Vec<_>>(), ["report"]);
    assert_eq!(config.reads("shop", "alice", Some("report")), None);
    assert_eq!(config.pool("shop", "alice"), config.pool, "overrides are shown with what they inherit");
    let route = config.route("shop").expect("the example leads to the only cluster");
    assert_eq!((route.cluster.as_str(), route.server_database.as_str(), route.user), ("main", "shop", None));
    let (databases, users, applications) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let without = Config { databases, users, applications, ..config };
    assert_eq!(without, defaults());
}

#[test]
fn a_default_that_is_changed_in_the_file_is_seen() {
    let changed = uncommented(&shipped()).replace("size = 20", "size = 21");
    assert_ne!(parse(&changed).pool, Config::default().pool);
}

#[test]
fn what_goes_before_pool_names_a_key_that_exists() {
    let sections = Config::sections();
    let pool: Vec<&Key> = sections.iter().filter(|s| s.path == "pool").flat_map(|s| &s.keys).collect();
    for key in sections.iter().flat_map(|section| &section.keys).filter(|key| key.default.is_none()) {
        let inherits = key.inherits.as_deref().and_then(|path| path.strip_prefix("pool."));
        assert!(pool.iter().any(|of_pool| Some(of_pool.name) == inherits), "{key:?}");
    }
    assert_eq!(DatabaseOverrides::default(), parse(&database_section("")).databases["x"]);
    assert_eq!(UserOverrides::default(), parse(&format!("{}\n[user.x]\n", database_section(""))).users["x"]);
}

fn database_section(keys: &str) -> String {
    format!("{MINIMAL}\n[database.x]\n{keys}")
}

/// The file as it ships: the defaults, and what no default can know.
fn defaults() -> Config {
    let node = |host: &str| NodeSettings {
        address: NodeAddress::Tcp { host: host.to_owned(), port: 5432 },
        name: format!("{host}:5432"),
        ..NodeSettings::default()
    };
    let mut config = Config::default();
    config.auth.query_user = Some("pgweir".to_owned());
    config.clusters.entry("main".to_owned()).or_default().nodes =
        NODES.iter().map(|host| node(host)).collect();
    config
}

fn parse(text: &str) -> Config {
    Config::parse(text, &root()).unwrap_or_else(|errors| panic!("{errors}")).config
}

/// Without the mark in front of keys and sections; prose has a space behind the mark.
fn uncommented(text: &str) -> String {
    let bare = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(|line| bare(line) + "\n").collect()
}

fn shipped() -> String {
    let mut file = HEADER.to_owned();
    for section in Config::sections() {
        match section.path {
            "cluster.NAME" => render_section(&mut file, "[cluster.main]", "", &section, None),
            "cluster.NAME.node" => {
                let first = format!("\"{}:5432\"", NODES[0]);
                render_section(&mut file, "[[cluster.main.node]]", "", &section, Some(("address", &first)));
                for host in &NODES[1..] {
                    let _ = write!(file, "\n[[cluster.main.node]]\naddress = \"{host}:5432\"\n");
                }
            }
            "database.NAME" => render_section(&mut file, "[database.shop]", "#", &section, None),
            "application.NAME" => render_section(&mut file, "[application.report]", "#", &section, None),
            "user.NAME" => render_section(&mut file, "[user.alice]", "#", &section, None),
            "auth" => render_section(&mut file, "[auth]", "", &section, Some(("query_user", "\"pgweir\""))),
            path => render_section(&mut file, &format!("[{path}]"), "", &section, None),
        }
    }
    file
}

/// `set` is the one key that is not commented out.
fn render_section(
    file: &mut String,
    title: &str,
    mark: &str,
    section: &SectionKeys,
    set: Option<(&str, &str)>,
) {
    let _ = write!(file, "\n\n# {}\n{mark}{title}\n", section.meaning);
    for key in &section.keys {
        let choices = if key.kind.contains(" | ") { format!(" ({})", key.kind) } else { String::new() };
        let _ = write!(file, "\n# {}{choices}\n", key.meaning);
        let default = default_of(key);
        let _ = match set.filter(|(name, _)| *name == key.name) {
            Some((name, value)) => writeln!(file, "{name} = {value}"),
            None => writeln!(file, "#{} = {default}", key.name),
        };
    }
}

/// An override is shown with the default of the key that it goes before.
fn default_of(key: &Key) -> String {
    let Some(wider) = &key.inherits else {
        return key.default.clone().expect("a key has a default or inherits");
    };
    let (section, name) = wider.split_once('.').expect("a wider key is named with its section");
    let sections = Config::sections();
    let keys = sections.iter().find(|candidate| candidate.path == section).map(|section| &section.keys);
    let found = keys.and_then(|keys| keys.iter().find(|key| key.name == name)).expect("the wider key exists");
    found.default.clone().expect("a key of [pool] has a default")
}

fn manual() -> String {
    let mut page = MANUAL.to_owned();
    for section in Config::sections() {
        let title = if section.path.ends_with(".node") {
            format!("[[{}]]", section.path)
        } else {
            format!("[{}]", section.path)
        };
        let _ = write!(page, "\n## `{title}`\n\n{}\n\n", section.meaning);
        page.push_str("| key | type | default | change by | meaning |\n|---|---|---|---|---|\n");
        for key in &section.keys {
            let kind = key.kind.replace(" | ", ", ");
            let default = match &key.inherits {
                Some(wider) => format!("that of `{wider}`"),
                None => format!("`{}`", default_of(key)),
            };
            let by = if key.reloadable { "reload" } else { "restart" };
            let _ = writeln!(
                page,
                "| `{}` | {kind} | {default} | {by} | {} |",
                key.name,
                key.meaning.replace('|', "\\|")
            );
        }
    }
    page
}

fn compare(path: &str, rendered: &str) {
    let at = root().join(path);
    if std::env::var_os("PGWEIR_BLESS").is_some() {
        fs::write(&at, rendered).expect("the tree is writable");
    }
    let found = fs::read_to_string(&at).unwrap_or_default();
    let pairs = found.lines().map(Some).chain(std::iter::repeat(None)).zip(rendered.lines());
    let differing = pairs.enumerate().find(|(_, (found, rendered))| *found != Some(rendered));
    assert_eq!(
        differing, None,
        "{path} is not what the tables of crates/config say: run with PGWEIR_BLESS=1"
    );
    assert_eq!(found.len(), rendered.len(), "{path} goes on after its end");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the crate lies in the repository")
}

const NODES: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

const MINIMAL: &str = "[auth]\nquery_user = \"pgweir\"\n[[cluster.main.node]]\naddress = \"10.0.0.1:5432\"\n";

const HEADER: &str = "\
# The settings of pgweir. Every key is here; a line that begins with # and a key is commented out and shows the default.
# Durations: us, ms, s, m, h, d. Sizes: B, kB, MB, GB, TB, where 1kB is 1,024 bytes. Relative paths start at this file.
# Check changes with `pgweir check proxy.toml`; SIGHUP, or RELOAD on the console, makes them hold.
# At least to change: the nodes in [[cluster.main.node]], and how clients log in ([auth] users_file or query_user).
";

const MANUAL: &str = "\
# Configuration

`pgweir run proxy.toml` reads one file in [TOML](https://toml.io). The shipped [proxy.toml](../proxy.toml) shows every key
with its default. This page is rendered from the tables in `crates/config/src` and is compared with them by a test.

`pgweir check proxy.toml` tells every mistake at once, each with its line, its column and what to write instead:

```
error: unknown key `sizze` in [pool]
  --> proxy.toml:20:1
   |
20 | sizze = 20
   | ^^^^^ did you mean `size`?
```

- A *duration* is a whole number with a unit: `us`, `ms`, `s`, `m`, `h` or `d`.
- A *size* is a whole number with a unit: `B`, `kB`, `MB`, `GB` or `TB`; units are binary, as in PostgreSQL. A plain
  number is bytes.
- A *path* that is relative starts at the folder of the file. Files must exist when the settings are read.
- An empty text (`\"\"`) stands for none.
- A password may lie in a file of its own: `monitor_password_file` instead of `monitor_password`, and so on. Line ends
  behind it do not count. Passwords are never shown.
- What holds for one client: `[application.NAME]` goes before `[user.NAME]`, which goes before `[database.NAME]`, which goes
  before `[pool]`.
- *reload*: a changed value holds after SIGHUP or RELOAD on the console; *restart*: only after a restart. A reload whose
  file has a mistake changes nothing.
";
