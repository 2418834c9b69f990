//! The Dockerfile, `docker-compose.yml` and the configuration that it mounts agree about ports, paths and names.

use crate::compose::{self, Value};
use crate::toml::{self, Entry};
use crate::tree::{File, Finding, Tree, resolve};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [COMPOSE, DOCKERFILE, CONFIG]
        .iter()
        .filter(|path| tree.file(path).is_none())
        .map(|path| Finding::missing(path, "is missing"))
        .collect();
    let (Some(compose), Some(dockerfile), Some(config)) =
        (tree.file(COMPOSE), tree.file(DOCKERFILE), tree.file(CONFIG))
    else {
        return findings;
    };
    match compose::parse(&compose.text) {
        Ok(values) => {
            findings.extend(wrong_references(tree, compose, &values));
            findings.extend(wrong_ports(compose, &values, dockerfile, config));
            findings.extend(wrong_mounts(compose, &values, dockerfile, config));
            findings.extend(wrong_nodes(&values, config));
        }
        Err(line) => {
            findings.push(Finding::new(compose, line, "is not in the plain YAML that the rules can read"))
        }
    }
    findings.extend(missing_sources(tree, dockerfile));
    findings
}

/// What the compose file names must exist: files that it mounts, volumes, services, the folder that it builds.
fn wrong_references(tree: &Tree, compose: &File, values: &[Value]) -> Vec<Finding> {
    let exists = |value: &Value| {
        let source = value.text.split(':').next().unwrap_or_default();
        match value.path.rsplit('.').next() {
            Some("volumes") if value.text.starts_with('.') => tree.has(&resolve("", source)),
            Some("volumes") if !source.is_empty() => is_declared(values, &format!("volumes.{source}")),
            Some("build") => tree.has(&resolve("", &format!("{source}/{DOCKERFILE}"))),
            _ => match value.path.split_once(".depends_on.") {
                Some((_, service)) if !service.contains('.') => {
                    is_declared(values, &format!("services.{service}"))
                }
                _ => true,
            },
        }
    };
    let wrong = values.iter().filter(|value| !exists(value));
    wrong
        .map(|value| {
            Finding::new(compose, value.line, format!("`{}` {}: no such thing", value.path, value.text))
        })
        .collect()
}

/// Published ports are exposed by the image, and the image exposes what the configuration listens on.
fn wrong_ports(compose: &File, values: &[Value], dockerfile: &File, config: &File) -> Vec<Finding> {
    let exposed: Vec<&str> =
        instruction(dockerfile, "EXPOSE").flat_map(|(_, ports)| ports.split(' ')).collect();
    let listening: Vec<Entry<'_>> = toml::entries(&config.text).filter(is_listener).collect();
    let mut findings = Vec::new();
    for value in
        values.iter().filter(|value| value.path == format!("services.{OURS}.ports") && !value.text.is_empty())
    {
        let port = value.text.rsplit(':').next().unwrap_or_default();
        if !exposed.contains(&port) {
            findings.push(Finding::new(
                compose,
                value.line,
                format!("publishes {port}, which {DOCKERFILE} does not expose"),
            ));
        }
    }
    for entry in &listening {
        let port = entry.value.rsplit(':').next().unwrap_or_default();
        if !exposed.contains(&port) {
            findings.push(Finding::new(
                config,
                entry.line,
                format!("listens on {port}, which {DOCKERFILE} does not expose"),
            ));
        }
    }
    let silent = exposed
        .iter()
        .filter(|port| !listening.iter().any(|entry| entry.value.ends_with(&format!(":{port}"))));
    findings.extend(
        silent.map(|port| {
            Finding::new(dockerfile, 1, format!("exposes {port}, where {CONFIG} does not listen"))
        }),
    );
    findings
}

/// The configuration that the image starts with, and each file that it names, are mounted.
fn wrong_mounts(compose: &File, values: &[Value], dockerfile: &File, config: &File) -> Vec<Finding> {
    let mounts = values.iter().filter(|value| value.path == format!("services.{OURS}.volumes"));
    let targets: Vec<(&str, &str)> = mounts.filter_map(|value| value.text.split_once(':')).collect();
    let is_mounted = |path: &str| targets.iter().any(|(_, target)| target.split(':').next() == Some(path));
    let mut findings = Vec::new();
    let started =
        instruction(dockerfile, "CMD").last().map(|(line, words)| (line, words.split('"').rev().nth(1)));
    let Some((line, Some(path))) = started else {
        return vec![Finding::new(dockerfile, 1, "has no CMD that names the configuration")];
    };
    if !is_mounted(path) {
        findings.push(Finding::new(
            dockerfile,
            line,
            format!("starts with {path}, which {COMPOSE} does not mount"),
        ));
    }
    if !targets.iter().any(|(source, _)| resolve("", source) == CONFIG) {
        findings.push(Finding::new(compose, 1, format!("does not mount {CONFIG}")));
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for entry in
        toml::entries(&config.text).filter(|entry| entry.key.ends_with("_file") && !entry.value.is_empty())
    {
        let named = if entry.value.starts_with('/') {
            entry.value.into()
        } else {
            format!("{folder}/{}", entry.value)
        };
        if !is_mounted(&named) {
            findings.push(Finding::new(
                config,
                entry.line,
                format!("needs {named}, which {COMPOSE} does not mount"),
            ));
        }
    }
    findings
}

/// The nodes are services of the compose file, on PostgreSQL's port.
fn wrong_nodes(values: &[Value], config: &File) -> Vec<Finding> {
    let nodes = toml::entries(&config.text)
        .filter(|entry| entry.section.ends_with(".node") && entry.key == "address");
    let wrong = nodes.filter(|entry| {
        let service = entry.value.strip_suffix(":5432");
        !service.is_some_and(|service| is_declared(values, &format!("services.{service}")))
    });
    wrong
        .map(|entry| Finding::new(config, entry.line, format!("{} is no service of {COMPOSE}", entry.value)))
        .collect()
}

/// What the Dockerfile copies from the repository is there.
fn missing_sources(tree: &Tree, dockerfile: &File) -> Vec<Finding> {
    let copies = instruction(dockerfile, "COPY").filter(|(_, words)| !words.contains("--from="));
    let sources = copies.flat_map(|(line, words)| {
        let words: Vec<&str> = words.split(' ').filter(|word| !word.starts_with("--")).collect();
        let (_, sources) = words.split_last().expect("splitting yields at least one word");
        sources.iter().map(|source| (line, *source)).collect::<Vec<_>>()
    });
    let missing = sources.filter(|(_, source)| !tree.has(&resolve("", source)));
    missing
        .map(|(line, source)| {
            Finding::new(dockerfile, line, format!("copies {source}, which does not exist"))
        })
        .collect()
}

/// A Dockerfile's instructions of one kind, each with its line.
fn instruction<'a>(dockerfile: &'a File, name: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let lines = dockerfile.text.lines().enumerate();
    lines.filter_map(move |(index, line)| {
        Some((index + 1, line.strip_prefix(name)?.strip_prefix(' ')?.trim()))
    })
}

fn is_declared(values: &[Value], path: &str) -> bool {
    values.iter().any(|value| value.path == path)
}

fn is_listener(entry: &Entry<'_>) -> bool {
    matches!((entry.section, entry.key), ("listen", "address") | ("admin", "http_address"))
}

const COMPOSE: &str = "docker-compose.yml";
const DOCKERFILE: &str = "Dockerfile";
const CONFIG: &str = "docker/proxy.toml";
const OURS: &str = "pgweir";

#[test]
fn finds_what_the_container_files_disagree_about() {
    let good = "services:\n  pgweir:\n    build: .\n    ports:\n      - \"6432:6432\"\n    volumes:\n      \
                - ./docker/proxy.toml:/etc/pgweir/proxy.toml:ro\n";
    let bad = "services:\n  pgweir:\n    build: ./gone\n    depends_on:\n      other:\n    ports:\n      - \"1:2\"\n    \
               volumes:\n      - ./docker/no.toml:/etc/pgweir/other.toml:ro\n      - data:/data\n";
    let config = "[listen]\naddress = \"0.0.0.0:6432\"\n[[cluster.main.node]]\naddress = \"pgweir:5432\"\n";
    let other = "[listen]\naddress = \"0.0.0.0:1\"\n[auth]\nusers_file = \"users.txt\"\n[[cluster.main.node]]\naddress = \"x:5432\"\n";
    let dockerfile = "COPY . .\nEXPOSE 6432\nCMD [\"run\", \"/etc/pgweir/proxy.toml\"]\n";
    crate::finds(check, &[(COMPOSE, good), (DOCKERFILE, dockerfile), (CONFIG, config)], &[]);
    crate::finds(
        check,
        &[
            (COMPOSE, bad),
            (DOCKERFILE, &dockerfile.replace("COPY . .", "COPY --link gone .")),
            (CONFIG, other),
        ],
        &[
            "docker-compose.yml:3: `services.pgweir.build`",
            "docker-compose.yml:5: `services.pgweir.depends_on.other`",
            "docker-compose.yml:9: `services.pgweir.volumes`",
            "docker-compose.yml:10: `services.pgweir.volumes`",
            "docker-compose.yml:7: publishes 2",
            "docker/proxy.toml:2: listens on 1",
            "Dockerfile:1: exposes 6432",
            "Dockerfile:3: starts with /etc/pgweir/proxy.toml",
            "docker-compose.yml:1: does not mount docker/proxy.toml",
            "docker/proxy.toml:4: needs /etc/pgweir/users.txt",
            "docker/proxy.toml:6: x:5432 is no service",
            "Dockerfile:1: copies gone",
        ],
    );
    crate::finds(
        check,
        &[],
        &["docker-compose.yml:1: is missing", "Dockerfile:1: is missing", "docker/proxy.toml:1:"],
    );
}
