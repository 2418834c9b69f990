//! The account that runs PostgreSQL. PostgreSQL refuses root, so root hands over to `postgres` or,
//! failing that, to `nobody`; anybody else runs PostgreSQL as themselves.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::SandboxError;

/// Who runs PostgreSQL and owns its files.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Account {
    /// We ourselves, an ordinary user.
    Ourselves,
    /// We are root, and this user does it.
    Other { uid: u32, gid: u32 },
}

impl Account {
    pub(crate) fn find() -> Result<Self, SandboxError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(SandboxError::io("reading /etc/passwd"))?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| passwd_entry(&passwd, name))
            .map(|(uid, gid)| Self::Other { uid, gid })
            .ok_or(SandboxError::NoUnprivilegedAccount)
    }

    /// A command that this account runs, in a directory that it can enter and with nothing of our
    /// environment that could reach PostgreSQL (PGDATA, PGHOST, a locale).
    pub(crate) fn command(self, program: &Path, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir(directory)
            .stdin(Stdio::null());
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives a file or directory to this account.
    pub(crate) fn own(self, path: &Path) -> Result<(), SandboxError> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { uid, gid } => chown(path, Some(uid), Some(gid))
                .map_err(SandboxError::io(format!("giving {} to PostgreSQL's account", path.display()))),
        }
    }

    /// Writes a file that this account owns and nobody else reads.
    pub(crate) fn write(self, path: &Path, content: &str) -> Result<(), SandboxError> {
        let doing = || format!("writing {}", path.display());
        fs::write(path, content).map_err(SandboxError::io(doing()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(SandboxError::io(doing()))?;
        self.own(path)
    }

    /// The first directory on the way to `path` that this account cannot enter.
    pub(crate) fn closed_ancestor(self, path: &Path) -> Option<PathBuf> {
        let Self::Other { uid, .. } = self else { return None };
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        ancestors.into_iter().find(|ancestor| !may_enter(ancestor, uid)).map(Path::to_owned)
    }
}

/// Whether user `uid` can enter the directory. Groups are not looked at: the account's own group
/// owns none of the directories in question.
fn may_enter(directory: &Path, uid: u32) -> bool {
    let Ok(metadata) = fs::metadata(directory) else { return true };
    metadata.mode() & 0o001 != 0 || (metadata.uid() == uid && metadata.mode() & 0o100 != 0)
}

/// The user and group of an account in `/etc/passwd` (`name:x:uid:gid:...`).
fn passwd_entry(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::passwd_entry;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nmy-nobody:x:1:2::/:\nnobody:x:65534:65533:n:/:/bin/false\n";
        assert_eq!(passwd_entry(passwd, "nobody"), Some((65534, 65533)));
        assert_eq!(passwd_entry(passwd, "postgres"), None);
        assert_eq!(passwd_entry("postgres:x:not:a:number", "postgres"), None);
    }
}
