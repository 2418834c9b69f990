//! Nothing in the repository names a package registry's host, a path on somebody's machine, or a numbered ticket that
//! a reader cannot open.

use crate::tree::{Finding, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Cargo writes its registry's address into the lock file by itself.
    for file in tree.files().filter(|file| !file.path.ends_with("Cargo.lock")) {
        for (index, line) in file.text.lines().enumerate() {
            let hosts =
                HOSTS.iter().filter(|host| line.contains(*host)).map(|_| "names a package registry's host");
            let homes =
                HOMES.iter().filter(|home| names_path(line, home)).map(|_| "names a path on one machine");
            let tickets = names_ticket(line).then_some("names a ticket by its number: say what it was about");
            findings
                .extend(hosts.chain(homes).chain(tickets).map(|what| Finding::new(file, index + 1, what)));
        }
    }
    findings
}

/// Whether an absolute path below `home` stands in the line; `frame/work/` has no such path.
fn names_path(line: &str, home: &str) -> bool {
    let part_of_path = |c: char| c.is_alphanumeric() || "_-.~*}$".contains(c);
    line.match_indices(home).any(|(at, _)| !line[..at].chars().next_back().is_some_and(part_of_path))
}

fn names_ticket(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.match_indices("issue").any(|(at, word)| {
        let rest = line[at + word.len()..].trim_start_matches(['s', ' ', '#']);
        rest.len() < line.len() - at - word.len() && rest.starts_with(|c: char| c.is_ascii_digit())
    })
}

// Each in two parts, so that this file names none of them.
const HOSTS: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("deb.debian", ".org"),
    concat!("npmjs", ".org"),
    concat!("maven", ".org"),
];
const HOMES: [&str; 3] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

#[test]
fn finds_hosts_homes_and_tickets() {
    let bad =
        [HOSTS[0], "see ", HOMES[0], "me/x\nsee Issue", " #3\nframe", HOMES[2], "x\nan issue of 3 kinds\n"]
            .concat();
    crate::finds(
        check,
        &[("a.md", &bad), ("Cargo.lock", HOSTS[0])],
        &["a.md:1: names a package registry", "a.md:1: names a path", "a.md:2: names a ticket"],
    );
}
