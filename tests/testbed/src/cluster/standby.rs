//! Physical standbys of a throwaway cluster.

use std::sync::atomic::AtomicU16;
use std::time::Duration;

use anyhow::Result;

use super::home::Home;
use super::{Cluster, SUPERUSER, append};
use crate::process;

impl Cluster {
    /// Makes a streaming standby of a running cluster, and waits until it answers queries.
    ///
    /// # Errors
    /// When the base backup fails or the standby does not come up.
    pub fn standby_of(primary: &Self) -> Result<Self> {
        let home = Home::create(&primary.installation, primary.account)?;
        let standby = Self {
            installation: primary.installation.clone(),
            account: primary.account,
            port: AtomicU16::new(0),
            tls: primary.tls.clone(),
            home,
        };
        let mut command = standby.server_command("pg_basebackup");
        command.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname"]);
        command.arg(primary.socket_uri(SUPERUSER)).arg("-D").arg(standby.data_dir());
        process::run_ok(&mut command, None)?;
        let socket_dir = standby.socket_dir().to_string_lossy().into_owned();
        append(
            &standby.data_dir().join("postgresql.conf"),
            &format!("unix_socket_directories = '{socket_dir}'\nhot_standby = on\n"),
        )?;
        standby.launch_on_free_port()?;
        Ok(standby)
    }

    /// Waits until this standby has replayed everything its primary has written so far.
    ///
    /// # Errors
    /// When it does not within a minute.
    pub fn wait_replayed(&self, primary: &Self) -> Result<()> {
        let written = primary.psql(SUPERUSER, "select pg_current_wal_lsn()")?;
        let question = format!("select pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        process::wait_until("the standby to replay", Duration::from_secs(60), || {
            Ok(self.psql(SUPERUSER, &question)? == "t")
        })
    }
}
