//! What the source must have before anything is made there; all of it is found out at once.

use crate::base::error::{Error, Result};
use crate::base::ident::quote_identifier;
use crate::base::summary::{Finding, Severity};
use crate::config::Plugin;
use crate::connect::client::{Row, Session};

/// First version that decodes on a standby.
const VERSION_STANDBY: u32 = 160_000;

/// First version with `pg_replication_slots.database` and everything else that this is built on.
const VERSION_MIN: u32 = 100_000;

/// What the source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// `server_version_num`.
    pub version: u32,
    /// In recovery.
    pub standby: bool,
    /// `wal_level`.
    pub wal_level: String,
    /// `max_replication_slots`.
    pub slots_max: u32,
    /// Slots there are.
    pub slots: u32,
    /// `max_wal_senders`.
    pub senders_max: u32,
    /// Walsenders that run.
    pub senders: u32,
    /// Our role may replicate.
    pub replication: bool,
    /// Our role may create publications in the database.
    pub may_create: bool,
    /// `max_slot_wal_keep_size` in megabytes; negative: no limit.
    pub slot_keep_mb: i64,
    /// `idle_replication_slot_timeout` in seconds; 0: none.
    pub slot_idle_s: u64,
    /// `wal_sender_timeout` in milliseconds; 0: none.
    pub sender_timeout_ms: u64,
    /// `hot_standby_feedback`.
    pub feedback: bool,
}

/// What the run will make there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// A slot, unless it is there already.
    pub slot: bool,
    /// Publications of our own.
    pub publications: bool,
    /// Plugin.
    pub plugin: Plugin,
    /// Our role's name.
    pub role: &'a str,
    /// The database's name.
    pub database: &'a str,
}

impl Requirements {
    /// Asks the source.
    ///
    /// # Errors
    /// The server's.
    pub async fn read(session: &mut Session) -> Result<Self> {
        let rows = session.query(include_str!("sql/requirements.sql"), &[]).await?;
        Self::of_row(rows.one()?)
    }

    /// Reads the row of `requirements.sql`.
    fn of_row(row: &Row) -> Result<Self> {
        Ok(Self {
            version: row.parse(0)?,
            standby: row.flag(1)?,
            wal_level: row.text(2)?.to_owned(),
            slots_max: row.parse(3)?,
            slots: row.parse(4)?,
            senders_max: row.parse(5)?,
            senders: row.parse(6)?,
            replication: row.flag(7)?,
            may_create: row.flag(8)?,
            slot_keep_mb: row.parse(9)?,
            slot_idle_s: row.parse(10)?,
            sender_timeout_ms: row.parse(11)?,
            feedback: row.flag(12)?,
        })
    }

    /// Everything that is missing, each with the statement that mends it.
    pub fn findings(&self, wanted: Wanted<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.settings(wanted, &mut findings);
        self.privileges(wanted, &mut findings);
        if self.standby {
            self.standby(wanted, &mut findings);
        }
        self.limits(&mut findings);
        findings
    }

    /// Server settings.
    fn settings(&self, wanted: Wanted<'_>, findings: &mut Vec<Finding>) {
        if self.version < VERSION_MIN {
            findings.push(error(
                "server",
                format!(
                    "has version {}, change data capture needs 10 or newer",
                    self.version / 10_000
                ),
                None,
            ));
        }
        if self.wal_level != "logical" {
            findings.push(error(
                "wal_level",
                format!("is {}, expected logical", self.wal_level),
                Some("ALTER SYSTEM SET wal_level = 'logical'; then restart the server.".into()),
            ));
        }
        if wanted.slot && self.slots >= self.slots_max {
            findings.push(error(
                "max_replication_slots",
                format!("is {}, all of them are in use", self.slots_max),
                Some(format!(
                    "Drop a slot that nobody needs (SELECT * FROM pg_replication_slots;), or ALTER \
                     SYSTEM SET max_replication_slots = {}; then restart the server.",
                    self.slots_max + 1
                )),
            ));
        }
        // One to hold the snapshot or to receive.
        if self.senders >= self.senders_max {
            findings.push(error(
                "max_wal_senders",
                format!("is {}, all of them are in use", self.senders_max),
                Some(format!(
                    "ALTER SYSTEM SET max_wal_senders = {}; then restart the server.",
                    self.senders_max + 1
                )),
            ));
        }
    }

    /// Privileges of our role.
    fn privileges(&self, wanted: Wanted<'_>, findings: &mut Vec<Finding>) {
        let (role, database) = (quote_identifier(wanted.role), quote_identifier(wanted.database));
        if !self.replication {
            findings.push(error(
                &format!("role {role}"),
                "may not start replication".into(),
                Some(format!(
                    "ALTER ROLE {role} REPLICATION; (on Amazon RDS: GRANT rds_replication TO {role};)"
                )),
            ));
        }
        if wanted.publications && !self.may_create {
            findings.push(error(
                &format!("database {database}"),
                format!("role {role} may not create publications in it"),
                Some(format!("GRANT CREATE ON DATABASE {database} TO {role};")),
            ));
        }
    }

    /// What a standby lacks.
    fn standby(&self, wanted: Wanted<'_>, findings: &mut Vec<Finding>) {
        if self.version < VERSION_STANDBY {
            findings.push(error(
                "server",
                format!(
                    "is a standby of version {}: logical decoding on a standby needs 16 or newer",
                    self.version / 10_000
                ),
                Some("Name the primary as the source.".into()),
            ));
        }
        if wanted.publications {
            findings.push(error(
                "server",
                "is a standby: publications can only be made on the primary".into(),
                Some(
                    "Create one on the primary (CREATE PUBLICATION … FOR TABLE …;) and name it with \
                     --publication."
                        .into(),
                ),
            ));
        }
        if !self.feedback {
            findings.push(warning(
                "hot_standby_feedback",
                "is off: the primary may remove rows that the slot needs, which invalidates it"
                    .into(),
                Some("ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf();".into()),
            ));
        }
        findings.push(warning(
            "server",
            "is a standby: creating the slot waits until the primary logs its running transactions"
                .into(),
            Some("Run SELECT pg_log_standby_snapshot(); on the primary when it takes long.".into()),
        ));
    }

    /// Settings under which the server may take the slot away.
    fn limits(&self, findings: &mut Vec<Finding>) {
        if self.slot_keep_mb >= 0 {
            findings.push(warning(
                "max_slot_wal_keep_size",
                format!("is {} MB: a slot that falls back further is invalidated", self.slot_keep_mb),
                Some(
                    "ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf(); and watch \
                     the disk."
                        .into(),
                ),
            ));
        }
        if self.slot_idle_s > 0 {
            findings.push(warning(
                "idle_replication_slot_timeout",
                format!(
                    "is {} s: a slot that nobody reads for so long is invalidated",
                    self.slot_idle_s
                ),
                Some(
                    "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();"
                        .into(),
                ),
            ));
        }
    }
}

/// Whether the server can load an output plugin: it is asked to make a temporary slot with it. A slot
/// waits for running transactions only after its plugin was loaded, so that wait is cut short.
///
/// # Errors
/// The server's, other than that the plugin is missing.
pub async fn check_plugin(session: &mut Session, plugin: Plugin) -> Result<Option<Finding>> {
    // Built in.
    if plugin == Plugin::Pgoutput {
        return Ok(None);
    }
    let name = format!("pgcopydb_probe_{}", session.process_id());
    session.execute("set statement_timeout = '2s'").await?;
    let sql = "select pg_catalog.pg_create_logical_replication_slot($1, $2, true)";
    let made = session.query(sql, &[Some(&name), Some(plugin.name())]).await;
    session.execute("set statement_timeout = 0").await?;
    match made {
        Ok(_) => {
            let sql = "select pg_catalog.pg_drop_replication_slot($1)";
            session.query(sql, &[Some(&name)]).await.map(|_| None)
        }
        // query_canceled: loaded, and waiting.
        Err(error) if error.sqlstate() == Some("57014") => Ok(None),
        // undefined_file; invalid_parameter_value and others where a list of libraries forbids it.
        Err(error) if matches!(error.sqlstate(), Some("58P01" | "22023" | "42501")) => {
            Ok(Some(missing_plugin(plugin, &error)))
        }
        Err(error) => Err(error.during(format!("load output plugin {}", plugin.name()))),
    }
}

/// The finding for a plugin that cannot be loaded.
fn missing_plugin(plugin: Plugin, refused: &Error) -> Finding {
    let why =
        refused.as_server().map_or_else(|| refused.to_string(), |error| error.message.clone());
    error(
        &format!("plugin {}", plugin.name()),
        format!("cannot be loaded: {why}"),
        Some(format!(
            "Install {} on the source, or use --plugin pgoutput, which every server has.",
            plugin.name()
        )),
    )
}

/// A finding that ends the run.
fn error(object: &str, reason: String, hint: Option<String>) -> Finding {
    Finding { severity: Severity::Error, object: object.to_owned(), reason, hint }
}

/// A finding that does not.
fn warning(object: &str, reason: String, hint: Option<String>) -> Finding {
    Finding { severity: Severity::Warning, object: object.to_owned(), reason, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Requirements {
        Requirements {
            version: 160_000,
            standby: false,
            wal_level: "logical".into(),
            slots_max: 10,
            slots: 9,
            senders_max: 10,
            senders: 9,
            replication: true,
            may_create: true,
            slot_keep_mb: -1,
            slot_idle_s: 0,
            sender_timeout_ms: 60_000,
            feedback: true,
        }
    }

    fn wanted() -> Wanted<'static> {
        Wanted {
            slot: true,
            publications: true,
            plugin: Plugin::Pgoutput,
            role: "me",
            database: "d",
        }
    }

    fn errors(requirements: &Requirements) -> Vec<String> {
        requirements
            .findings(wanted())
            .into_iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.object)
            .collect()
    }

    #[test]
    fn a_server_that_has_everything_gives_no_finding() {
        assert_eq!(good().findings(wanted()), []);
    }

    #[test]
    fn each_lack_is_a_finding_of_its_own_and_all_come_at_once() {
        let bad = Requirements {
            wal_level: "replica".into(),
            slots: 10,
            senders: 10,
            replication: false,
            may_create: false,
            ..good()
        };
        let expected = [
            "wal_level",
            "max_replication_slots",
            "max_wal_senders",
            "role \"me\"",
            "database \"d\"",
        ];
        assert_eq!(errors(&bad), expected);
        for finding in bad.findings(wanted()) {
            let hint = finding.hint.unwrap_or_default();
            assert!(hint.contains(';'), "{} has no statement: {hint}", finding.object);
        }
    }

    // trap S-21
    #[test]
    fn a_standby_before_version_16_cannot_be_followed() {
        let old = Requirements { version: 150_000, standby: true, ..good() };
        assert_eq!(errors(&old), ["server", "server"]);
        let new = Requirements { version: 160_000, standby: true, ..good() };
        assert_eq!(errors(&new), ["server"], "the publication");
    }
}
