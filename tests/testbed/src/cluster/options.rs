//! How a throwaway cluster is made.

/// How a throwaway cluster is made; the default suits most tests.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Server encoding. Default `UTF8`.
    pub encoding: String,
    /// Locale of all categories. Default `C.UTF-8`, which every build knows.
    pub locale: String,
    /// Password of `postgres` and SCRAM for TCP connections; `None` trusts everybody on loopback.
    ///
    /// Connections through the unix socket are trusted either way, so the testbed can always
    /// administer the cluster.
    pub password: Option<String>,
    /// Lines put in front of `pg_hba.conf`, for tests of authentication.
    pub hba: Vec<String>,
    /// Serves TLS, with certificates made for this cluster. Only version 15 is built with it.
    pub tls: bool,
    /// Waits for the disk at commit. Default off: a test's data need not survive a power cut.
    pub fsync: bool,
    /// Lines for `postgresql.conf` that win over the testbed's own.
    pub settings: Vec<(String, String)>,
    /// Further arguments of `initdb`.
    pub initdb: Vec<String>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            encoding: "UTF8".to_owned(),
            locale: "C.UTF-8".to_owned(),
            password: None,
            hba: Vec::new(),
            tls: false,
            fsync: false,
            settings: Vec::new(),
            initdb: Vec::new(),
        }
    }
}

impl ClusterOptions {
    /// Adds a server setting.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Asks for SCRAM-SHA-256 on TCP, with this password for `postgres`.
    #[must_use]
    pub fn scram(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Adds a line in front of `pg_hba.conf`.
    #[must_use]
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Serves TLS.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Sets encoding and locale.
    #[must_use]
    pub fn encoding(mut self, encoding: &str, locale: &str) -> Self {
        self.encoding = encoding.to_owned();
        self.locale = locale.to_owned();
        self
    }
}

/// Settings of every cluster, before those of [`ClusterOptions::settings`].
pub(super) const SETTINGS: [(&str, &str); 14] = [
    ("listen_addresses", "127.0.0.1"),
    ("shared_buffers", "128MB"),
    ("max_connections", "100"),
    ("wal_level", "logical"),
    ("max_wal_senders", "20"),
    ("max_replication_slots", "20"),
    ("max_wal_size", "4GB"),
    ("max_locks_per_transaction", "256"),
    ("max_prepared_transactions", "10"),
    ("jit", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] db=%d app=%a "),
    ("logging_collector", "off"),
];
