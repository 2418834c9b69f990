//! What settings mean together: contradictions, files that are missing, doors left open.
//!
//! Also fills in what a file elsewhere says: a `*_password_file` becomes the password beside it.

mod clusters;
mod files;

use std::collections::HashMap;
use std::path::PathBuf;

use crate::choice::{AuthMethod, TlsMode};
use crate::fault::{Exposure, Fault, Refusal};
use crate::read::Reader;
use crate::{Config, PoolSettings};

/// Checks everything that reading one key at a time cannot see.
pub(crate) fn check(config: &mut Config, reader: &mut Reader<'_>) {
    files::check(config, reader);
    clusters::check(config, reader);
    check_listen(config, reader);
    check_auth(config, reader);
    check_pools(config, reader);
}

fn check_listen(config: &Config, reader: &mut Reader<'_>) {
    let listen = &config.listen;
    if listen.address.is_empty() {
        let fault = Fault::MissingKey { name: "address" };
        reader.mistake("listen.address", Refusal::new(fault, "write \"0.0.0.0:6432\""));
    }
    let mut seen = HashMap::new();
    let addresses = listen.address.iter().map(|address| ("listen.address", address));
    let http = config.admin.http_address.iter().map(|address| ("admin.http_address", address));
    for (key, address) in addresses.chain(http).filter(|(_, address)| address.port != 0) {
        if let Some(first) = seen.insert(address, key) {
            let first_line = reader.line(first);
            reader.mistake(key, Fault::Repeated { value: address.to_string(), first_line });
        }
    }
    check_tls("listen", listen.tls_mode, [&listen.tls_cert, &listen.tls_key, &listen.tls_ca], true, reader);
}

/// `files` are certificate, key and authorities; a server side needs a certificate of its own.
fn check_tls(
    section: &str,
    mode: TlsMode,
    files: [&Option<PathBuf>; 3],
    serves: bool,
    reader: &mut Reader<'_>,
) {
    if reader.doubtful(section) {
        return;
    }
    let [cert, key, ca] = files.map(Option::is_some);
    let at = |name: &str| format!("{section}.{name}");
    let missing = |needed: &str, because: String| Fault::CertificateMissing { needed: at(needed), because };
    let quoted = format!("tls_mode = \"{mode}\"");
    if cert && !key {
        reader.mistake(&at("tls_cert"), missing("tls_key", "tls_cert".to_owned()));
    }
    if key && !cert {
        reader.mistake(&at("tls_key"), missing("tls_cert", "tls_key".to_owned()));
    }
    if serves && mode >= TlsMode::Require && !cert && !key {
        let advice = "add tls_cert and tls_key, both in PEM";
        reader.mistake(&at("tls_mode"), Refusal::new(missing("tls_cert", quoted.clone()), advice));
    }
    if mode >= TlsMode::VerifyCa && !ca {
        let advice = "add tls_ca: the authorities to trust, in PEM";
        reader.mistake(&at("tls_mode"), Refusal::new(missing("tls_ca", quoted.clone()), advice));
    }
    if mode < TlsMode::VerifyCa && ca {
        let suggestion = "certificates are checked from \"verify-ca\" on";
        reader.warning(&at("tls_ca"), Refusal::new(Fault::Unused { because: quoted }, suggestion));
    }
}

fn check_auth(config: &Config, reader: &mut Reader<'_>) {
    let auth = &config.auth;
    let method = auth.method;
    let nowhere = auth.users_file.is_none() && auth.query_user.is_none();
    if method != AuthMethod::Trust && nowhere && !reader.doubtful("auth") {
        let fault = Fault::NoSecrets { method: method.as_str() };
        reader.mistake("auth.method", Refusal::new(fault, "add users_file = \"users.txt\" to [auth]"));
    }
    if !auth.query.contains("$1") {
        reader
            .mistake("auth.query", Refusal::new(Fault::QueryWithoutName, "compare the role's name with $1"));
    }
    if auth.query_password.is_some() && auth.query_user.is_none() && !reader.doubtful("auth") {
        let at = if reader.sets("auth.query_password") {
            "auth.query_password"
        } else {
            "auth.query_password_file"
        };
        reader.warning(at, Fault::Unused { because: "no query_user".to_owned() });
    }
    let open = config.listen.address.iter().any(|address| !is_loopback(&address.host));
    if method == AuthMethod::Trust && open {
        let advice = "listen on 127.0.0.1, or use \"scram-sha-256\"";
        reader.warning("auth.method", Refusal::new(Fault::Exposed { what: Exposure::Trust }, advice));
    }
    if method == AuthMethod::Password && open && config.listen.tls_mode < TlsMode::Require {
        let fault = Fault::Exposed { what: Exposure::PlainPasswords };
        reader.warning(
            "auth.method",
            Refusal::new(fault, "use \"scram-sha-256\", or listen.tls_mode = \"require\""),
        );
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn check_pools(config: &Config, reader: &mut Reader<'_>) {
    check_pool(&config.pool, &|key| format!("pool.{key}"), reader);
    for (name, own) in &config.databases {
        let mut mixed = config.pool.clone();
        own.apply(&mut mixed);
        check_narrow_pool(&mixed, &format!("database.{name}"), reader);
    }
    for (name, own) in &config.users {
        let mut mixed = config.pool.clone();
        own.apply(&mut mixed);
        check_narrow_pool(&mixed, &format!("user.{name}"), reader);
    }
}

/// A minimum that a database or role sets itself; one that it inherits is cut to what it allows.
fn check_narrow_pool(pool: &PoolSettings, section: &str, reader: &mut Reader<'_>) {
    let own = |key: &str| {
        let narrow =
            OVERRIDES.iter().filter(|(wide, _)| *wide == key).map(|(_, own)| format!("{section}.{own}"));
        narrow.into_iter().find(|own| reader.sets(own)).unwrap_or_else(|| format!("pool.{key}"))
    };
    let names: HashMap<&str, String> = OVERRIDES.iter().map(|(wide, _)| (*wide, own(wide))).collect();
    if reader.sets(&format!("{section}.pool_min_size")) {
        check_pool(pool, &|key| names[key].clone(), reader);
    }
}

/// `name` says where the value of a key of `[pool]` comes from.
fn check_pool(pool: &PoolSettings, name: &dyn Fn(&str) -> String, reader: &mut Reader<'_>) {
    let limits = [
        ("size", Some(pool.size)),
        ("database_connections_max", pool.database_connections_max),
        ("user_connections_max", pool.user_connections_max),
    ];
    let key = name("min_size");
    for (other, limit) in limits {
        let (other, Some(limit)) = (name(other), limit) else { continue };
        if pool.min_size > limit.get() && !reader.doubtful(&key) && !reader.doubtful(&other) {
            let (value, limit) = (pool.min_size.to_string(), limit.to_string());
            reader.mistake(&key, Fault::Exceeds { other, value, limit });
            return;
        }
    }
}

/// Keys of `[pool]` whose sizes are compared, with the names of those that go before them.
const OVERRIDES: &[(&str, &str)] = &[
    ("database_connections_max", "connections_max"),
    ("min_size", "pool_min_size"),
    ("size", "pool_size"),
    ("user_connections_max", "connections_max"),
];
