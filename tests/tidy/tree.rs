//! The files of the repository as text, or a made-up set of them, so that rules never touch the disk themselves.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::source::Source;

/// Text files by their path from the repository's root.
pub(crate) struct Tree {
    files: Vec<File>,
    /// The Rust files' code, by index into `files`.
    sources: Vec<(usize, Source)>,
    paths: BTreeSet<String>,
    /// Directories and files that only exist when testing, found by following `#[cfg(test)] mod`.
    tests: Vec<String>,
}

/// One text file.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// One place where a rule is broken.
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Tree {
    /// What git tracks or would track, as it is on disk now.
    pub(crate) fn of_repository() -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is a folder of the root");
        let mut paths = BTreeSet::new();
        let mut files = Vec::new();
        for path in listed_by_git(root) {
            let on_disk = root.join(&path);
            // What is deleted but not yet committed is listed too.
            if !on_disk.is_file() {
                continue;
            }
            paths.insert(path.clone());
            if let Ok(text) = std::fs::read_to_string(&on_disk) {
                files.push(File { path, text });
            }
        }
        Self::new(files, paths)
    }

    /// A made-up tree.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let paths = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let files =
            files.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect();
        Self::new(files, paths)
    }

    fn new(files: Vec<File>, paths: BTreeSet<String>) -> Self {
        let rust = files.iter().enumerate().filter(|(_, file)| file.path.ends_with(".rs"));
        let sources = rust.map(|(index, file)| (index, Source::new(&file.text))).collect();
        let mut tree = Self { files, sources, paths, tests: Vec::new() };
        tree.tests = tree.rust().flat_map(|(file, source)| test_modules(&file.path, source)).collect();
        tree
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The Rust files, with comments and literals told apart from code.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.sources.iter().map(|(index, source)| (&self.files[*index], source))
    }

    /// Whether a path is a file or a folder here.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.paths.contains(path) || self.paths.iter().any(|file| is_below(file, path))
    }

    /// Whether the whole file is only compiled for tests.
    pub(crate) fn is_test(&self, path: &str) -> bool {
        path.starts_with("tests/")
            || path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || self.tests.iter().any(|test| path == test || is_below(path, test))
    }
}

impl Finding {
    pub(crate) fn new(file: &File, line: usize, what: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, what: what.into() }
    }

    pub(crate) fn missing(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 1, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Resolves `./` and `../` in a path that is written in `folder`.
pub(crate) fn resolve(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn listed_by_git(root: &Path) -> Vec<String> {
    let listed = Command::new("git")
        // A clone that somebody else owns is still the one to check.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git is needed to list the repository's files");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("paths in this repository are UTF-8");
    listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The files and folders of the modules that a file declares for tests only.
fn test_modules(path: &str, source: &Source) -> Vec<String> {
    let path = PathBuf::from(path);
    let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "main" | "mod") | None => path.parent().map(Path::to_path_buf).unwrap_or_default(),
        Some(_) => path.with_extension(""),
    };
    let declared = source.lines().filter(|line| line.in_test).filter_map(|line| {
        let name = line.code.trim().rsplit_once("mod ")?.1.strip_suffix(';')?;
        Some(folder.join(name).to_string_lossy().into_owned())
    });
    declared.flat_map(|module| [format!("{module}.rs"), module]).collect()
}

#[test]
fn a_file_declared_for_tests_is_a_test() {
    let tree = Tree::of(&[
        ("crates/a/src/lib.rs", "#[cfg(test)]\nmod sim;\nmod real;\n"),
        ("crates/a/src/sim/model.rs", ""),
        ("crates/a/src/real.rs", ""),
    ]);
    assert!(tree.is_test("crates/a/src/sim.rs"));
    assert!(tree.is_test("crates/a/src/sim/model.rs"));
    assert!(!tree.is_test("crates/a/src/real.rs"));
    assert!(tree.has("crates/a/src/sim/") && !tree.has("crates/a/src/si"));
}
