//! Settings as text: for `SHOW CONFIG`, for the log of a reload, for the manual.

use std::collections::BTreeMap;

use crate::section::{self, Section, SectionKeys, Written};
use crate::{
    AdminSettings, ApplicationOverrides, AuthSettings, ClusterSettings, Config, DatabaseOverrides,
    LimitSettings, ListenSettings, LogSettings, NodeSettings, PoolSettings, UserOverrides,
};

/// One setting, for `SHOW CONFIG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Such as `pool.size` or `cluster.main.balance`.
    pub key: String,
    /// Without quotes; passwords are stars.
    pub value: String,
    /// Without quotes.
    pub default: String,
    /// Whether a reload is enough for a change to hold.
    pub reloadable: bool,
    /// One line for people.
    pub meaning: String,
}

/// One setting that differs between two configurations. Empty text stands for "not there".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Such as `pool.size`.
    pub key: String,
    /// What held before.
    pub old: String,
    /// What the file says now.
    pub new: String,
    /// Whether a reload is enough for it to hold.
    pub reloadable: bool,
}

impl Config {
    /// All settings that hold, in the order of the file; what a database or role leaves to `[pool]` is left out.
    pub fn describe(&self) -> Vec<Described> {
        let shown = |setting: Listed| Described {
            value: setting.value.shown(),
            default: setting.default.shown(),
            key: setting.key,
            reloadable: setting.reloadable,
            meaning: setting.meaning,
        };
        self.listed().into_iter().map(shown).collect()
    }

    /// What differs, in alphabetical order of the keys. A changed password is a change, but is not shown.
    pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
        let mut pairs: BTreeMap<String, (Written, Written, bool)> = BTreeMap::new();
        for setting in old.listed() {
            pairs.insert(setting.key, (setting.value, Written::Inherited, setting.reloadable));
        }
        for setting in new.listed() {
            let absent = || (Written::Inherited, Written::Inherited, setting.reloadable);
            pairs.entry(setting.key).or_insert_with(absent).1 = setting.value;
        }
        let changed = pairs.into_iter().filter(|(_, (old, new, _))| old != new);
        changed
            .map(|(key, (old, new, reloadable))| Change {
                key,
                old: old.shown(),
                new: new.shown(),
                reloadable,
            })
            .collect()
    }

    fn listed(&self) -> Vec<Listed> {
        let mut list = Vec::new();
        list_section("listen", &self.listen, &mut list);
        list_section("auth", &self.auth, &mut list);
        list_section("admin", &self.admin, &mut list);
        list_section("log", &self.log, &mut list);
        list_section("pool", &self.pool, &mut list);
        list_section("limits", &self.limits, &mut list);
        for (name, cluster) in &self.clusters {
            list_section(&format!("cluster.{name}"), cluster, &mut list);
            for node in &cluster.nodes {
                list_section(&format!("cluster.{name}.node.{}", node.name), node, &mut list);
            }
        }
        for (name, database) in &self.databases {
            list_section(&format!("database.{name}"), database, &mut list);
        }
        for (name, user) in &self.users {
            list_section(&format!("user.{name}"), user, &mut list);
        }
        for (name, application) in &self.applications {
            list_section(&format!("application.{name}"), application, &mut list);
        }
        list
    }
}

/// The keys of all sections, in the order of the file.
pub(crate) fn sections() -> Vec<SectionKeys> {
    vec![
        section::keys::<ListenSettings>(),
        section::keys::<AuthSettings>(),
        section::keys::<AdminSettings>(),
        section::keys::<LogSettings>(),
        section::keys::<PoolSettings>(),
        section::keys::<LimitSettings>(),
        section::keys::<ClusterSettings>(),
        section::keys::<NodeSettings>(),
        section::keys::<DatabaseOverrides>(),
        section::keys::<UserOverrides>(),
        section::keys::<ApplicationOverrides>(),
    ]
}

struct Listed {
    key: String,
    value: Written,
    default: Written,
    reloadable: bool,
    meaning: String,
}

fn list_section<S: Section>(path: &str, section: &S, list: &mut Vec<Listed>) {
    let defaults = S::default().values();
    let rows = S::KEYS.iter().zip(section.values()).zip(defaults);
    list.extend(rows.filter(|((_, value), _)| *value != Written::Inherited).map(
        |((facts, value), default)| Listed {
            key: format!("{path}.{}", facts.name),
            value,
            default,
            reloadable: facts.reloadable,
            meaning: section::one_line(facts.meaning),
        },
    ));
}
