//! What the source says about our slot, and whether it fits what we hold.

use std::time::Duration;

use proto::lsn::Lsn;
use proto::replication::IdentifySystem;

use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::config::Plugin;
use crate::connect::client::Session;
use crate::connect::client::replication::ReplicationSession;

/// What the source says about a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// Output plugin.
    pub plugin: String,
    /// Database.
    pub database: String,
    /// Process that streams from it.
    pub active_pid: Option<u32>,
    /// What was confirmed: the stream begins there at the earliest.
    pub confirmed: Lsn,
    /// Oldest WAL that it keeps.
    pub restart: Option<Lsn>,
    /// `wal_status` (from version 13): reserved, extended, unreserved, lost.
    pub wal_status: Option<String>,
    /// `safe_wal_size` (from version 13): bytes that may be written before it is in danger; `None`: no
    /// limit.
    pub safe_wal_bytes: Option<i64>,
    /// Why it was invalidated (from version 17).
    pub invalidation: Option<String>,
    /// Bytes of WAL that it keeps.
    pub retained_bytes: Option<u64>,
    /// Whether standbys may keep a copy of it (from version 17).
    pub failover: Option<bool>,
}

/// Reads a slot; `None` when there is none of this name. Columns that a version lacks are null:
/// the row is read as JSON.
const SLOT_SQL: &str = "select s.plugin, s.database, s.active_pid, s.confirmed_flush_lsn, \
    s.restart_lsn, pg_catalog.to_jsonb(s) ->> 'wal_status', \
    pg_catalog.to_jsonb(s) ->> 'safe_wal_size', \
    pg_catalog.to_jsonb(s) ->> 'invalidation_reason', \
    pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() \
        then pg_catalog.pg_last_wal_replay_lsn() \
        else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn)::pg_catalog.int8, s.slot_type, \
    pg_catalog.to_jsonb(s) ->> 'failover' \
    from pg_catalog.pg_replication_slots s where s.slot_name = $1";

/// Reads a slot; `None` when there is none of this name.
///
/// # Errors
/// The server's; `State` for a physical slot.
pub async fn read(session: &mut Session, name: &str) -> Result<Option<SlotState>> {
    let rows = session.query(SLOT_SQL, &[Some(name)]).await?;
    let Some(row) = rows.rows.first() else { return Ok(None) };
    if row.text(9)? != "logical" {
        let text = format!("replication slot \"{name}\" is a physical one");
        return Err(Error::new(Side::Source, ErrorKind::State(text))
            .hint("Choose another name with --slot-name."));
    }
    let text =
        |index| -> Result<Option<String>> { Ok(row.optional_text(index)?.map(str::to_owned)) };
    Ok(Some(SlotState {
        plugin: row.text(0)?.to_owned(),
        database: row.text(1)?.to_owned(),
        active_pid: row.parse_optional(2)?,
        confirmed: row.parse_optional(3)?.unwrap_or_default(),
        restart: row.parse_optional(4)?,
        wal_status: text(5)?,
        safe_wal_bytes: row.parse_optional(6)?,
        invalidation: text(7)?,
        retained_bytes: row.parse_optional::<i64>(8)?.and_then(|bytes| u64::try_from(bytes).ok()),
        failover: row.optional_text(10)?.map(|text| text == "true"),
    }))
}

impl SlotState {
    /// Refuses a slot that is not ours or from which nothing can be had any more.
    ///
    /// # Errors
    /// `State`, saying what to do.
    pub fn check(&self, name: &str, plugin: Plugin, database: &str) -> Result<()> {
        let refuse = |text: String, hint: &str| {
            Err(Error::new(Side::Source, ErrorKind::State(text)).hint(hint))
        };
        if self.database != database {
            return refuse(
                format!(
                    "replication slot \"{name}\" belongs to database \"{}\", not to \"{database}\"",
                    self.database
                ),
                "Choose another name with --slot-name.",
            );
        }
        if self.plugin != plugin.name() {
            return refuse(
                format!(
                    "replication slot \"{name}\" uses plugin {}, expected {}",
                    self.plugin,
                    plugin.name()
                ),
                "Give the plugin with --plugin, or another name with --slot-name.",
            );
        }
        if self.is_lost() {
            let why = self.invalidation.as_deref().unwrap_or("its WAL is gone");
            return refuse(
                format!("replication slot \"{name}\" was invalidated by the server: {why}"),
                "Changes are lost that no stream can bring: the target needs a new copy. Run \
                 `pgcopydb stream cleanup`, raise max_slot_wal_keep_size (and \
                 idle_replication_slot_timeout) on the source, and begin again with --restart.",
            );
        }
        Ok(())
    }

    /// Whether nothing can be had from it any more.
    pub fn is_lost(&self) -> bool {
        self.wal_status.as_deref() == Some("lost")
            || self.invalidation.as_deref().is_some_and(|reason| !reason.is_empty())
    }

    /// Whether the server may soon take it away: a sentence for a warning.
    pub fn danger(&self) -> Option<String> {
        let retained = self.retained_bytes.unwrap_or_default();
        match (self.wal_status.as_deref(), self.safe_wal_bytes) {
            (Some("unreserved"), _) => Some(format!(
                "the slot keeps {retained} bytes of WAL, more than max_slot_wal_keep_size: the next \
                 checkpoint invalidates it"
            )),
            (Some("extended"), Some(safe)) if safe < i64::try_from(retained / 4).unwrap_or(0) => {
                Some(format!(
                    "the slot keeps {retained} bytes of WAL and is invalidated after {safe} more"
                ))
            }
            _ => None,
        }
    }
}

/// Refuses to go on where changes would be missing: the source will not send what was confirmed to it,
/// and we do not hold it.
///
/// # Errors
/// `State`.
pub(super) fn check_gap(name: &str, confirmed: Lsn, durable: Lsn) -> Result<()> {
    if confirmed <= durable {
        return Ok(());
    }
    let text = format!(
        "replication slot \"{name}\" begins at {confirmed}, the changes received end at {durable}: \
         what lies between is lost"
    );
    Err(Error::new(Side::Source, ErrorKind::State(text)).hint(
        "The slot was made anew or read by another program, or files of the work directory are gone: \
         the target needs a new copy. Start over with --restart.",
    ))
}

/// What we knew of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) system_identifier: u64,
    pub(super) timeline: u32,
    pub(super) durable: Lsn,
}

/// Refuses another source, and one that took over without everything that we hold.
///
/// # Errors
/// `State`, naming both.
pub(super) async fn check_identity(
    session: &mut ReplicationSession,
    found: &IdentifySystem,
    known: Known,
) -> Result<()> {
    let refuse =
        |text: String, hint: &str| Err(Error::new(Side::Source, ErrorKind::State(text)).hint(hint));
    if found.system_identifier != known.system_identifier {
        return refuse(
            format!(
                "server has system identifier {}, the run began with {}",
                found.system_identifier, known.system_identifier
            ),
            "Name the source that the run began with, or another work directory with --dir.",
        );
    }
    if found.timeline == known.timeline {
        return Ok(());
    }
    let switch = switch_point(session, found.timeline, known.timeline).await?;
    match switch {
        Some(switch) if known.durable <= switch => {
            tracing::warn!(
                timeline = found.timeline,
                was = known.timeline,
                %switch,
                "the source was promoted; everything received is part of its history"
            );
            Ok(())
        }
        Some(switch) => refuse(
            format!(
                "server was promoted at {switch} (timeline {} to {}), changes up to {} were received \
                 from its predecessor: the new source does not have them",
                known.timeline, found.timeline, known.durable
            ),
            "The target is ahead of the source and needs a new copy: start over with --restart.",
        ),
        None => refuse(
            format!(
                "server is on timeline {}, the run began on {}, which is not part of its history",
                found.timeline, known.timeline
            ),
            "The target needs a new copy: start over with --restart.",
        ),
    }
}

/// Where the server left a timeline; `None` when it was never on it.
async fn switch_point(
    session: &mut ReplicationSession,
    timeline: u32,
    left: u32,
) -> Result<Option<Lsn>> {
    let rows = session.query(&format!("TIMELINE_HISTORY {timeline}")).await?;
    // Two columns: file name, content.
    let content = rows.one()?.bytes(1).unwrap_or_default().to_vec();
    Ok(parse_history(&String::from_utf8_lossy(&content), left))
}

/// Finds where a timeline was left in a history file: lines of `timeline, position, reason`.
fn parse_history(content: &str, left: u32) -> Option<Lsn> {
    content.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let timeline: u32 = fields.next()?.parse().ok()?;
        (timeline == left).then(|| fields.next()?.parse().ok()).flatten()
    })
}

/// `wal_sender_timeout` of the session; `None` when it is off.
pub(super) async fn sender_timeout(session: &mut ReplicationSession) -> Result<Option<Duration>> {
    let sql = "select setting from pg_catalog.pg_settings where name = 'wal_sender_timeout'";
    let rows = session.query(sql).await?;
    let millis: u64 = rows.one()?.parse(0)?;
    Ok((millis > 0).then(|| Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> SlotState {
        SlotState {
            plugin: "pgoutput".into(),
            database: "d".into(),
            active_pid: None,
            confirmed: Lsn(5),
            restart: Some(Lsn(1)),
            wal_status: Some("reserved".into()),
            safe_wal_bytes: None,
            invalidation: None,
            retained_bytes: Some(4000),
            failover: None,
        }
    }

    #[test]
    fn slots_of_others_are_refused_by_name() {
        assert!(slot().check("s", Plugin::Pgoutput, "d").is_ok());
        let error = slot().check("s", Plugin::Pgoutput, "other").unwrap_err().to_string();
        assert!(error.contains("\"d\"") && error.contains("\"other\""), "{error}");
        let error = slot().check("s", Plugin::Wal2json, "d").unwrap_err().to_string();
        assert!(error.contains("pgoutput") && error.contains("wal2json"), "{error}");
    }

    // trap X-6
    #[test]
    fn a_lost_slot_is_refused_and_one_in_danger_is_named() {
        let lost = SlotState { wal_status: Some("lost".into()), ..slot() };
        assert!(lost.check("s", Plugin::Pgoutput, "d").is_err());
        let idle = SlotState { invalidation: Some("idle_timeout".into()), ..slot() };
        let error = idle.check("s", Plugin::Pgoutput, "d").unwrap_err().to_string();
        assert!(error.contains("idle_timeout"), "{error}");
        assert_eq!(slot().danger(), None);
        let near = SlotState { wal_status: Some("unreserved".into()), ..slot() };
        assert!(near.danger().is_some());
        for (safe, in_danger) in [(999, true), (1000, false)] {
            let extended = SlotState {
                wal_status: Some("extended".into()),
                safe_wal_bytes: Some(safe),
                ..slot()
            };
            assert_eq!(extended.danger().is_some(), in_danger, "{safe}");
        }
    }

    // trap X-5
    #[test]
    fn a_slot_that_begins_behind_what_we_hold_is_refused() {
        assert!(check_gap("s", Lsn(10), Lsn(10)).is_ok());
        assert!(check_gap("s", Lsn(9), Lsn(10)).is_ok());
        assert!(check_gap("s", Lsn(11), Lsn(10)).is_err());
    }

    #[test]
    fn a_history_file_tells_where_a_timeline_was_left() {
        // As the server writes it.
        let content =
            "1\t0/3000148\tno recovery target specified\n\n2\t0/5000000\tbefore 2000-01-01\n";
        assert_eq!(parse_history(content, 1), Some(Lsn(0x300_0148)));
        assert_eq!(parse_history(content, 2), Some(Lsn(0x500_0000)));
        assert_eq!(parse_history(content, 3), None);
    }
}
