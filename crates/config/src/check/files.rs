//! Files that the settings name: they must be there, and passwords are read from theirs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Config;
use crate::fault::{Fault, Refusal};
use crate::read::Reader;
use crate::secret::Secret;

/// Looks for every file, and puts the passwords in their places.
pub(super) fn check(config: &mut Config, reader: &mut Reader<'_>) {
    let listen = &config.listen;
    present("listen.tls_cert", &listen.tls_cert, reader);
    present("listen.tls_key", &listen.tls_key, reader);
    present("listen.tls_ca", &listen.tls_ca, reader);
    present("auth.users_file", &config.auth.users_file, reader);
    if let Some(dir) = &listen.unix_socket_dir
        && let Err(error) = fs::read_dir(dir)
    {
        reader.mistake("listen.unix_socket_dir", unreadable(dir, &error));
    }
    let auth = &mut config.auth;
    password("auth.query_password", &mut auth.query_password, &auth.query_password_file, reader);
    for (name, cluster) in &mut config.clusters {
        let at = |key: &str| format!("cluster.{name}.{key}");
        present(&at("tls_cert"), &cluster.tls_cert, reader);
        present(&at("tls_key"), &cluster.tls_key, reader);
        present(&at("tls_ca"), &cluster.tls_ca, reader);
        let file = &cluster.monitor_password_file;
        password(&at("monitor_password"), &mut cluster.monitor_password, file, reader);
    }
    for (name, database) in &mut config.databases {
        let key = format!("database.{name}.password");
        password(&key, &mut database.password, &database.password_file, reader);
    }
}

fn present(key: &str, path: &Option<PathBuf>, reader: &mut Reader<'_>) {
    let Some(path) = path else { return };
    if let Err(error) = open(path) {
        reader.mistake(key, unreadable(path, &error));
    }
}

/// Opening a folder succeeds, reading it does not: say so here.
fn open(path: &Path) -> io::Result<()> {
    let file = fs::File::open(path)?;
    if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
}

fn unreadable(path: &Path, error: &io::Error) -> Refusal {
    Fault::Unreadable { path: path.to_owned(), kind: error.kind() }.into()
}

/// `key` is the password's; the file's is the same with `_file`.
fn password(key: &str, secret: &mut Option<Secret<String>>, file: &Option<PathBuf>, reader: &mut Reader<'_>) {
    let Some(path) = file else { return };
    let file_key = format!("{key}_file");
    if secret.is_some() {
        reader.mistake(&file_key, Fault::GivenTwice { other: key.to_owned() });
        return;
    }
    match fs::read_to_string(path) {
        Ok(text) if text.trim_end_matches(['\r', '\n']).is_empty() => {
            reader.mistake(&file_key, Fault::EmptyFile { path: path.clone() });
        }
        Ok(text) => *secret = Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => reader.mistake(&file_key, unreadable(path, &error)),
    }
}
