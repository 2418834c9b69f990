//! Walks the parsed file and collects settings and mistakes.
//!
//! Invariant: a value that was refused leaves the default in its place, so that reading goes on to the next mistake;
//! nothing that follows from such a default is reported.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cluster::{ClusterSettings, NodeSettings};
use crate::diagnostic::{ConfigErrors, Diagnostic, Severity};
use crate::fault::{Fault, Refusal};
use crate::section::Section;
use crate::setting::wrong_type;
use crate::suggest::{alias, closest};
use crate::{Config, Loaded, check};

/// Reads a whole file.
pub(crate) fn read(text: &str, base: &Path, file: &str) -> Result<Loaded, ConfigErrors> {
    let mut reader =
        Reader { text, base, file, found: Vec::new(), sites: HashMap::new(), refused: HashSet::new() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let fault = Fault::Syntax { message: error.message().to_owned() };
        reader.report("", &error.span().unwrap_or(0..0), fault.into());
    }
    let mut config = reader.document(document.get_ref());
    if errors.is_empty() {
        check::check(&mut config, &mut reader);
    }
    reader.finish(config)
}

/// Where settings stand, and what is wrong with them.
pub(crate) struct Reader<'a> {
    text: &'a str,
    base: &'a Path,
    file: &'a str,
    found: Vec<Diagnostic>,
    sites: HashMap<String, Range<usize>>,
    refused: HashSet<String>,
}

impl Reader<'_> {
    /// A mistake at a setting, or at the nearest section around it that the file has.
    pub(crate) fn mistake(&mut self, key: &str, refusal: impl Into<Refusal>) {
        let span = self.site(key);
        self.report(key, &span, refusal.into());
    }

    /// Something odd that prevents nothing.
    pub(crate) fn warning(&mut self, key: &str, refusal: impl Into<Refusal>) {
        let span = self.site(key);
        self.add(Severity::Warning, key, &span, refusal.into());
    }

    /// Whether a setting, or anything in a section, was refused, so that its default stands there by accident.
    pub(crate) fn doubtful(&self, key: &str) -> bool {
        let within = format!("{key}.");
        self.refused.iter().any(|refused| refused == key || refused.starts_with(&within))
    }

    /// Whether the file sets a key.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.sites.contains_key(key)
    }

    /// The line of a setting.
    pub(crate) fn line(&self, key: &str) -> usize {
        let start = self.site(key).start;
        self.text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1
    }

    fn site(&self, key: &str) -> Range<usize> {
        let mut path = key;
        loop {
            if let Some(span) = self.sites.get(path) {
                return span.clone();
            }
            match path.rsplit_once('.') {
                Some((parent, _)) => path = parent,
                None => return 0..0,
            }
        }
    }

    fn report(&mut self, key: &str, span: &Range<usize>, refusal: Refusal) {
        self.refused.insert(key.to_owned());
        self.add(Severity::Error, key, span, refusal);
    }

    fn add(&mut self, severity: Severity, key: &str, span: &Range<usize>, refusal: Refusal) {
        let mut found = Diagnostic::at(self.text, span, self.file, key, refusal.fault);
        found.severity = severity;
        found.suggestion = refusal.suggestion;
        self.found.push(found);
    }

    fn finish(self, config: Config) -> Result<Loaded, ConfigErrors> {
        let mut found = self.found;
        found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        let broken = |diagnostic: &Diagnostic| matches!(diagnostic.what, Fault::Syntax { .. });
        let broken_lines: HashSet<usize> = found.iter().filter(|d| broken(d)).map(|d| d.line).collect();
        found.retain(|diagnostic| broken(diagnostic) || !broken_lines.contains(&diagnostic.line));
        let (mistakes, warnings): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
        if mistakes.is_empty() { Ok(Loaded { config, warnings }) } else { Err(ConfigErrors { mistakes }) }
    }

    fn document(&mut self, document: &DeTable<'_>) -> Config {
        let mut config = Config::default();
        for (key, value) in document {
            let name = key.get_ref().as_ref();
            if !SECTIONS.contains(&name) {
                let fault = Fault::UnknownKey { name: name.to_owned(), section: String::new() };
                let suggestion = meant_at_top(name, value.get_ref());
                self.report(name, &key.span(), Refusal::from(fault).advise(suggestion));
                continue;
            }
            self.sites.insert(name.to_owned(), key.span());
            let Some(table) = self.table(name, value, "a section in brackets") else { continue };
            match name {
                "listen" => config.listen = self.section(name, table),
                "auth" => config.auth = self.section(name, table),
                "admin" => config.admin = self.section(name, table),
                "log" => config.log = self.section(name, table),
                "pool" => config.pool = self.section(name, table),
                "limits" => config.limits = self.section(name, table),
                "cluster" => config.clusters = self.named(name, table, Reader::cluster),
                "database" => config.databases = self.named(name, table, Reader::section),
                "user" => config.users = self.named(name, table, Reader::section),
                _ => config.applications = self.named(name, table, Reader::section),
            }
        }
        config
    }

    fn table<'v, 't>(
        &mut self,
        key: &str,
        value: &'v Spanned<DeValue<'t>>,
        wanted: &'static str,
    ) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.report(key, &value.span(), wrong_type(wanted, value.get_ref()));
        }
        table
    }

    /// Sections below a common name, such as `[cluster.NAME]`.
    fn named<T>(
        &mut self,
        kind: &str,
        table: &DeTable<'_>,
        read: fn(&mut Self, &str, &DeTable<'_>) -> T,
    ) -> BTreeMap<String, T> {
        let mut sections = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path = format!("{kind}.{name}");
            self.sites.insert(path.clone(), key.span());
            if let Some(table) = self.table(&path, value, "a section with a name of your choice") {
                sections.insert(name.to_owned(), read(self, &path, table));
            }
        }
        sections
    }

    /// A section whose keys are known, and nothing below it.
    fn section<S: Section>(&mut self, path: &str, table: &DeTable<'_>) -> S {
        self.section_without(path, table, None)
    }

    fn section_without<S: Section>(&mut self, path: &str, table: &DeTable<'_>, other: Option<&str>) -> S {
        let mut section = S::default();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if other == Some(name) {
                continue;
            }
            let at = format!("{path}.{name}");
            match section.set(name, value.get_ref(), self.base) {
                Some(Ok(())) => {
                    self.sites.insert(at, value.span());
                }
                Some(Err(refusal)) => {
                    let element =
                        refusal.element.and_then(|index| value.get_ref().get(index)).unwrap_or(value);
                    self.report(&at, &element.span(), refusal);
                }
                None => {
                    let fault =
                        Fault::UnknownKey { name: name.to_owned(), section: section_name(path).to_owned() };
                    let suggestion = meant_in::<S>(name);
                    self.report(&at, &key.span(), Refusal::from(fault).advise(suggestion));
                }
            }
        }
        section
    }

    fn cluster(&mut self, path: &str, table: &DeTable<'_>) -> ClusterSettings {
        let mut cluster: ClusterSettings = self.section_without(path, table, Some(NODE));
        let Some(value) = table.get(NODE) else { return cluster };
        let at = format!("{path}.{NODE}");
        self.sites.insert(at.clone(), value.span());
        let Some(nodes) = value.get_ref().as_array() else {
            let refusal = wrong_type("a list of nodes", value.get_ref());
            let suggestion = Some(format!("write [[{path}.{NODE}]], with two brackets"));
            self.report(&at, &value.span(), refusal.advise(suggestion));
            return cluster;
        };
        for (index, node) in nodes.iter().enumerate() {
            let at = format!("{path}.{NODE}.{index}");
            self.sites.insert(at.clone(), node.span());
            if let Some(table) = self.table(&at, node, "a node with an address") {
                cluster.nodes.push(self.node(&at, table));
            }
        }
        cluster
    }

    fn node(&mut self, path: &str, table: &DeTable<'_>) -> NodeSettings {
        let mut node: NodeSettings = self.section(path, table);
        if !self.sets(&format!("{path}.address")) && !self.doubtful(path) {
            let fault = Fault::MissingKey { name: "address" };
            self.mistake(path, Refusal::new(fault, "add address = \"host:5432\""));
        }
        if node.name.is_empty() {
            node.name = node.address.to_string();
        }
        node
    }
}

/// What an unknown key of a section was meant to be.
fn meant_in<S: Section>(name: &str) -> Option<String> {
    let here = || S::KEYS.iter().map(|facts| facts.name);
    let known =
        alias(name).map(|ours| ours.strip_prefix(S::PATH).and_then(|k| k.strip_prefix('.')).unwrap_or(ours));
    let close = known.filter(|ours| ours.contains('.') || here().any(|key| key == *ours));
    let close = close.or_else(|| closest(name, here()));
    close.map(|key| format!("did you mean `{key}`?")).or_else(|| belongs(name))
}

/// What an unknown name at the top of the file was meant to be.
fn meant_at_top(name: &str, value: &DeValue<'_>) -> Option<String> {
    if value.is_table() {
        return closest(name, SECTIONS.iter().copied()).map(|section| format!("did you mean [{section}]?"));
    }
    let known = alias(name).filter(|ours| ours.contains('.')).map(|ours| format!("did you mean `{ours}`?"));
    known.or_else(|| belongs(name))
}

/// As the file has it: nodes have no number there.
fn section_name(path: &str) -> &str {
    let numbered = path.rsplit_once('.').filter(|(list, _)| list.ends_with(".node"));
    numbered.map_or(path, |(list, _)| list)
}

/// The section where a key of this name exists.
fn belongs(name: &str) -> Option<String> {
    let sections = Config::sections();
    let owner = sections.iter().find(|section| section.keys.iter().any(|key| key.name == name))?;
    Some(format!("it belongs in [{}]", owner.path))
}

const NODE: &str = "node";
const SECTIONS: &[&str] =
    &["listen", "auth", "admin", "log", "pool", "limits", "cluster", "database", "user", "application"];
