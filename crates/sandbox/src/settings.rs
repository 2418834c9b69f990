//! What a cluster shall look like.

use crate::Certificate;

/// A cluster to start. Fill in what differs: `ClusterSettings { standbys: 2, ..Default::default() }`.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// How many streaming standbys, besides the primary.
    pub standbys: usize,
    /// How clients prove themselves over TCP, and over Unix sockets unless they are the superuser.
    pub hba: Hba,
    /// The password of the superuser `postgres`, set unless `hba` is [`Hba::Trust`].
    pub superuser_password: String,
    /// Commits wait for one standby.
    pub synchronous: bool,
    /// Server TLS with this certificate. Only for binaries with [`crate::Binaries::tls`].
    pub tls: Option<Certificate>,
    /// TCP clients without TLS are refused (`hostssl` instead of `host` in `pg_hba.conf`).
    pub tls_required: bool,
    /// Runs initdb for this cluster alone. Otherwise clusters of one version are copies of one
    /// template, which is fast, and share their system identifier.
    pub own_system_identifier: bool,
    /// Further settings for `postgresql.conf`, which win over the sandbox's.
    pub extra_config: Vec<(String, String)>,
}

/// The authentication method in `pg_hba.conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hba {
    /// `trust`
    Trust,
    /// `scram-sha-256`
    ScramSha256,
    /// `md5`, with passwords stored as md5
    Md5,
    /// `password`
    Password,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            standbys: 0,
            hba: Hba::Trust,
            superuser_password: "postgres".to_owned(),
            synchronous: false,
            tls: None,
            tls_required: false,
            own_system_identifier: false,
            extra_config: Vec::new(),
        }
    }
}

impl ClusterSettings {
    /// A primary and this many standbys, everything else as by default.
    pub fn with_standbys(standbys: usize) -> Self {
        Self { standbys, ..Self::default() }
    }

    /// Adds one setting for `postgresql.conf`.
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.extra_config.push((name.to_owned(), value.to_owned()));
        self
    }

    /// `pg_hba.conf` of every node. The superuser's Unix socket and replication stay open: they are
    /// how the sandbox itself and the standbys get in.
    pub(crate) fn hba_file(&self) -> String {
        let method = self.hba.method();
        let host = if self.tls_required { "hostssl" } else { "host" };
        format!(
            "local all postgres trust\n\
             local replication all trust\n\
             host replication all 127.0.0.1/32 trust\n\
             local all all {method}\n\
             {host} all all 127.0.0.1/32 {method}\n"
        )
    }
}

impl Hba {
    /// The method's name in `pg_hba.conf`.
    pub fn method(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::ScramSha256 => "scram-sha-256",
            Self::Md5 => "md5",
            Self::Password => "password",
        }
    }

    /// `password_encryption` for servers with this method.
    pub(crate) fn password_encryption(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Trust | Self::ScramSha256 | Self::Password => "scram-sha-256",
        }
    }
}
