//! The text of replication commands, and the rows that answer them.
//!
//! Replication commands have a grammar of their own: names in double quotes, strings in single
//! quotes, each doubled inside; a backslash is a plain character, whatever
//! `standard_conforming_strings` says.
//! Source: <https://www.postgresql.org/docs/current/protocol-replication.html>.

use std::fmt;

use crate::frontend::EncodeError;
use crate::lsn::Lsn;

/// Asks who the server is and where its log ends.
pub const IDENTIFY_SYSTEM: &str = "IDENTIFY_SYSTEM";

/// First server version (as `server_version_num`) that takes options in parentheses in
/// `CREATE_REPLICATION_SLOT`, instead of bare keywords.
const OPTION_LIST_SINCE: u32 = 150_000;

/// First server version that knows `FAILOVER`.
const FAILOVER_SINCE: u32 = 170_000;

/// How long a slot lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is dropped.
    Permanent,
    /// Until the session that made it ends.
    Temporary,
}

/// What happens with the snapshot that belongs to the slot's consistent point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotSnapshot {
    /// It is exported, for other sessions to import until this one runs its next command.
    Export,
    /// There is none.
    Nothing,
    /// The transaction that runs the command uses it.
    Use,
}

/// Whether standbys may keep a copy of a slot, so that it is there when one of them takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failover {
    /// No.
    Off,
    /// Yes, where the server's version knows it. Neither a standby nor a temporary slot can have it.
    /// Source: <https://www.postgresql.org/docs/17/protocol-replication.html>.
    Wanted,
}

/// `CREATE_REPLICATION_SLOT` for logical decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateSlot<'a> {
    /// The slot's name.
    pub slot: &'a str,
    /// The output plugin's name.
    pub plugin: &'a str,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// What happens with its snapshot.
    pub snapshot: SlotSnapshot,
    /// Whether standbys may keep a copy.
    pub failover: Failover,
}

impl CreateSlot<'_> {
    /// The command for a server of this version (as `server_version_num`, 150020).
    ///
    /// Servers before version 15 know the bare keywords only, and may lose them one day in favour
    /// of the option list.
    ///
    /// # Errors
    /// `InteriorNul` in a name.
    pub fn text(&self, server_version: u32) -> Result<String, EncodeError> {
        let slot = identifier("slot name", self.slot)?;
        let plugin = identifier("output plugin name", self.plugin)?;
        let temporary = match self.lifetime {
            Lifetime::Permanent => "",
            Lifetime::Temporary => " TEMPORARY",
        };
        let options = match (self.snapshot, server_version >= OPTION_LIST_SINCE) {
            (SlotSnapshot::Export, true) => "SNAPSHOT 'export'",
            (SlotSnapshot::Nothing, true) => "SNAPSHOT 'nothing'",
            (SlotSnapshot::Use, true) => "SNAPSHOT 'use'",
            (SlotSnapshot::Export, false) => "EXPORT_SNAPSHOT",
            (SlotSnapshot::Nothing, false) => "NOEXPORT_SNAPSHOT",
            (SlotSnapshot::Use, false) => "USE_SNAPSHOT",
        };
        let failover = self.failover == Failover::Wanted && server_version >= FAILOVER_SINCE;
        let options = match server_version >= OPTION_LIST_SINCE {
            true if failover => format!("({options}, FAILOVER true)"),
            true => format!("({options})"),
            false => options.to_owned(),
        };
        Ok(format!("CREATE_REPLICATION_SLOT {slot}{temporary} LOGICAL {plugin} {options}"))
    }
}

/// `DROP_REPLICATION_SLOT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropSlot<'a> {
    /// Fails at once when a session uses the slot.
    Now(&'a str),
    /// Waits until no session uses it.
    Wait(&'a str),
}

impl DropSlot<'_> {
    /// The command.
    ///
    /// # Errors
    /// `InteriorNul` in the name.
    pub fn text(&self) -> Result<String, EncodeError> {
        let (Self::Now(slot) | Self::Wait(slot)) = self;
        let wait = if matches!(self, Self::Wait(_)) { " WAIT" } else { "" };
        Ok(format!("DROP_REPLICATION_SLOT {}{wait}", identifier("slot name", slot)?))
    }
}

/// `START_REPLICATION` on a logical slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartReplication<'a> {
    /// The slot's name.
    pub slot: &'a str,
    /// Where to begin; the server begins at the slot's confirmed position when that is later, so
    /// [`Lsn::INVALID`] means "where I was".
    pub from: Lsn,
    /// Options of the output plugin, in order: name and value.
    pub options: &'a [(&'a str, &'a str)],
}

impl StartReplication<'_> {
    /// The command.
    ///
    /// # Errors
    /// `InteriorNul` in a name or a value.
    pub fn text(&self) -> Result<String, EncodeError> {
        let slot = identifier("slot name", self.slot)?;
        let mut text = format!("START_REPLICATION SLOT {slot} LOGICAL {}", self.from);
        for (index, (name, value)) in self.options.iter().enumerate() {
            text.push_str(if index == 0 { " (" } else { ", " });
            text.push_str(&identifier("plugin option name", name)?);
            text.push(' ');
            text.push_str(&quoted("plugin option", value, '\'')?);
        }
        if !self.options.is_empty() {
            text.push(')');
        }
        Ok(text)
    }
}

/// The value of pgoutput's option `publication_names`: quoted identifiers, separated by commas.
///
/// # Errors
/// `InteriorNul` in a name.
pub fn publication_names<N: AsRef<str>>(
    names: impl IntoIterator<Item = N>,
) -> Result<String, EncodeError> {
    let mut list = String::new();
    for name in names {
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&identifier("publication name", name.as_ref())?);
    }
    Ok(list)
}

/// A name in double quotes.
fn identifier(what: &'static str, name: &str) -> Result<String, EncodeError> {
    quoted(what, name, '"')
}

/// `text` between quotes, with those inside doubled.
fn quoted(what: &'static str, text: &str, quote: char) -> Result<String, EncodeError> {
    if text.contains('\0') {
        return Err(EncodeError::InteriorNul { what });
    }
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push(quote);
    for character in text.chars() {
        if character == quote {
            out.push(quote);
        }
        out.push(character);
    }
    out.push(quote);
    Ok(out)
}

/// The row that answers `IDENTIFY_SYSTEM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifySystem {
    /// Identifies the cluster (`pg_control_system().system_identifier`): physical copies share it.
    pub system_identifier: u64,
    /// The timeline.
    pub timeline: u32,
    /// Where the log ends: the last flushed byte, on a standby the last replayed one.
    pub position: Lsn,
    /// The database; `None` for a session of physical replication.
    pub database: Option<String>,
}

impl IdentifySystem {
    /// Reads the row: `systemid, timeline, xlogpos, dbname`, all as text.
    ///
    /// # Errors
    /// [`ReplyError`] naming the column that is missing or not what it should be.
    pub fn from_row<'a>(
        values: impl IntoIterator<Item = Option<&'a [u8]>>,
    ) -> Result<Self, ReplyError> {
        let mut row = ReplyRow { command: IDENTIFY_SYSTEM, values: values.into_iter() };
        Ok(Self {
            system_identifier: row.parsed("systemid")?,
            timeline: row.parsed("timeline")?,
            position: row.parsed("xlogpos")?,
            database: row.text("dbname")?,
        })
    }
}

/// The row that answers `CREATE_REPLICATION_SLOT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSlot {
    /// The slot's name.
    pub slot: String,
    /// Transactions that commit after this position are streamed, all of them and no others.
    pub consistent_point: Lsn,
    /// The exported snapshot; `None` when none was asked for.
    pub snapshot: Option<String>,
    /// The output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
}

impl CreatedSlot {
    /// Reads the row: `slot_name, consistent_point, snapshot_name, output_plugin`.
    ///
    /// # Errors
    /// [`ReplyError`] naming the column that is missing or not what it should be.
    pub fn from_row<'a>(
        values: impl IntoIterator<Item = Option<&'a [u8]>>,
    ) -> Result<Self, ReplyError> {
        let mut row = ReplyRow { command: "CREATE_REPLICATION_SLOT", values: values.into_iter() };
        Ok(Self {
            slot: row.parsed("slot_name")?,
            consistent_point: row.parsed("consistent_point")?,
            snapshot: row.text("snapshot_name")?,
            plugin: row.text("output_plugin")?,
        })
    }
}

/// A row that answers a replication command, read from left to right.
struct ReplyRow<I> {
    command: &'static str,
    values: I,
}

impl<'a, I: Iterator<Item = Option<&'a [u8]>>> ReplyRow<I> {
    /// The next value as text; inner `None` for null.
    fn text(&mut self, column: &'static str) -> Result<Option<String>, ReplyError> {
        let error = |found| ReplyError { command: self.command, column, found };
        match self.values.next() {
            None => Err(error(None)),
            Some(None) => Ok(None),
            Some(Some(bytes)) => std::str::from_utf8(bytes)
                .map(|text| Some(text.to_owned()))
                .map_err(|_| error(Some(bytes.escape_ascii().to_string()))),
        }
    }

    /// The next value, which must be there and have the text form of a `T`.
    fn parsed<T: std::str::FromStr>(&mut self, column: &'static str) -> Result<T, ReplyError> {
        let text = self.text(column)?;
        let value = text.as_deref().and_then(|text| text.parse().ok());
        value.ok_or(ReplyError { command: self.command, column, found: text })
    }
}

/// The server's answer to a replication command is not what the protocol says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyError {
    /// The command.
    pub command: &'static str,
    /// The column at fault.
    pub column: &'static str,
    /// What it holds; `None` when it is missing or null.
    pub found: Option<String>,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answer to {}: ", self.command)?;
        match &self.found {
            Some(found) => write!(f, "unexpected value \"{found}\" in column \"{}\"", self.column),
            None => write!(f, "column \"{}\" has no value", self.column),
        }
    }
}

impl std::error::Error for ReplyError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(lifetime: Lifetime, snapshot: SlotSnapshot) -> CreateSlot<'static> {
        let failover = Failover::Off;
        CreateSlot { slot: "my slot", plugin: "pgoutput", lifetime, snapshot, failover }
    }

    // The forms are those of the manual's pages for versions 14 and 15.
    #[test]
    fn slots_are_made_in_the_syntax_of_the_server() {
        use {Lifetime::*, SlotSnapshot::*};
        for (lifetime, snapshot, version, text) in [
            (Permanent, Export, 150_000, "LOGICAL \"pgoutput\" (SNAPSHOT 'export')"),
            (Permanent, Nothing, 180_001, "LOGICAL \"pgoutput\" (SNAPSHOT 'nothing')"),
            (Temporary, Use, 150_020, "TEMPORARY LOGICAL \"pgoutput\" (SNAPSHOT 'use')"),
            (Permanent, Export, 149_999, "LOGICAL \"pgoutput\" EXPORT_SNAPSHOT"),
            (Permanent, Nothing, 100_000, "LOGICAL \"pgoutput\" NOEXPORT_SNAPSHOT"),
            (Temporary, Use, 140_000, "TEMPORARY LOGICAL \"pgoutput\" USE_SNAPSHOT"),
        ] {
            let expected = format!("CREATE_REPLICATION_SLOT \"my slot\" {text}");
            assert_eq!(slot(lifetime, snapshot).text(version), Ok(expected));
        }
    }

    // The form is that of the manual's page for version 17.
    #[test]
    fn a_copy_on_standbys_is_asked_for_where_it_is_known() {
        let wanted = CreateSlot {
            failover: Failover::Wanted,
            ..slot(Lifetime::Permanent, SlotSnapshot::Export)
        };
        for (version, options) in [
            (140_000, "EXPORT_SNAPSHOT"),
            (169_999, "(SNAPSHOT 'export')"),
            (170_000, "(SNAPSHOT 'export', FAILOVER true)"),
        ] {
            let text = wanted.text(version).unwrap();
            assert!(text.ends_with(&format!("LOGICAL \"pgoutput\" {options}")), "{text}");
        }
    }

    #[test]
    fn streaming_starts_with_quoted_names_and_values() {
        let command = StartReplication {
            slot: "a\"b",
            from: Lsn(0x16_B374_D848),
            options: &[("proto_version", "1"), ("odd-\"name", "it's \\n")],
        };
        assert_eq!(
            command.text().unwrap(),
            r#"START_REPLICATION SLOT "a""b" LOGICAL 16/B374D848 ("proto_version" '1', "odd-""name" 'it''s \n')"#
        );
        let bare = StartReplication { slot: "s", from: Lsn::INVALID, options: &[] };
        assert_eq!(bare.text().unwrap(), r#"START_REPLICATION SLOT "s" LOGICAL 0/0"#);
    }

    #[test]
    fn slots_are_dropped_at_once_or_when_free() {
        assert_eq!(DropSlot::Now("s").text().unwrap(), r#"DROP_REPLICATION_SLOT "s""#);
        assert_eq!(DropSlot::Wait("s").text().unwrap(), r#"DROP_REPLICATION_SLOT "s" WAIT"#);
    }

    #[test]
    fn publications_are_a_list_of_identifiers() {
        assert_eq!(
            publication_names(["p", "Odd \"one\", too"]).unwrap(),
            r#""p","Odd ""one"", too""#
        );
        assert_eq!(publication_names::<&str>([]).unwrap(), "");
    }

    #[test]
    fn zero_bytes_are_refused_everywhere() {
        let bad = "a\0b";
        assert!(
            CreateSlot { slot: bad, ..slot(Lifetime::Permanent, SlotSnapshot::Export) }
                .text(160_000)
                .is_err()
        );
        assert!(
            CreateSlot { plugin: bad, ..slot(Lifetime::Permanent, SlotSnapshot::Export) }
                .text(160_000)
                .is_err()
        );
        assert!(DropSlot::Now(bad).text().is_err());
        for (slot, options) in [(bad, ("a", "b")), ("s", (bad, "b")), ("s", ("a", bad))] {
            let options = [options];
            let command = StartReplication { slot, from: Lsn::INVALID, options: &options };
            assert!(command.text().is_err());
        }
        assert!(publication_names([bad]).is_err());
    }

    #[test]
    fn the_system_is_identified() {
        let row = [Some(b"7423456789012345678".as_slice()), Some(b"1"), Some(b"0/19E1540"), None];
        assert_eq!(
            IdentifySystem::from_row(row),
            Ok(IdentifySystem {
                system_identifier: 7_423_456_789_012_345_678,
                timeline: 1,
                position: Lsn(0x19E_1540),
                database: None,
            })
        );
    }

    #[test]
    fn a_slot_tells_its_consistent_point_and_snapshot() {
        let row =
            [Some(b"s".as_slice()), Some(b"0/19E1540"), Some(b"00000003-1"), Some(b"pgoutput")];
        assert_eq!(
            CreatedSlot::from_row(row),
            Ok(CreatedSlot {
                slot: "s".to_owned(),
                consistent_point: Lsn(0x19E_1540),
                snapshot: Some("00000003-1".to_owned()),
                plugin: Some("pgoutput".to_owned()),
            })
        );
    }

    #[test]
    fn a_wrong_answer_names_command_and_column() {
        let row = [Some(b"s".as_slice()), Some(b"x/y")];
        let error = CreatedSlot::from_row(row).unwrap_err();
        assert_eq!(
            error.to_string(),
            "answer to CREATE_REPLICATION_SLOT: unexpected value \"x/y\" in column \"consistent_point\""
        );
        let error = IdentifySystem::from_row([None]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "answer to IDENTIFY_SYSTEM: column \"systemid\" has no value"
        );
        assert!(IdentifySystem::from_row([Some(b"1".as_slice())]).is_err());
    }
}
