//! Streams as the server writes them, read through the SQL functions of logical decoding.

use std::collections::HashSet;

use bytes::Bytes;
use pgcopydb::config::Plugin;
use pgcopydb::follow::change::ChangeEvent;
use pgcopydb::follow::decode::{Decoder, Place, Received};
use proto::pgoutput::{Kind, classify};
use testbed::{TestDatabase, source};

/// A database with a slot for every plugin, each at the same place of the log.
pub(crate) struct Source {
    pub(crate) database: TestDatabase<'static>,
}

impl Source {
    /// A database filled by `schema`, a publication of all tables, and the slots.
    pub(crate) fn new(name: &str, schema: &str) -> Self {
        Self::publishing(name, schema, "all tables")
    }

    /// Like [`Source::new`], with a publication of these tables.
    pub(crate) fn publishing(name: &str, schema: &str, tables: &str) -> Self {
        let database = TestDatabase::create(source(), name).unwrap();
        database.psql(schema).unwrap();
        database.psql(&format!("create publication p for {tables}")).unwrap();
        let made = Self { database };
        for plugin in [Plugin::Pgoutput, Plugin::Wal2json, Plugin::TestDecoding] {
            let (slot, name) = (made.slot(plugin), plugin.name());
            let sql = format!("select pg_create_logical_replication_slot('{slot}', '{name}')");
            made.database.psql(&sql).unwrap();
        }
        made
    }

    /// The slot's name: the database's is unique in the cluster.
    fn slot(&self, plugin: Plugin) -> String {
        format!("{}_{}", self.database.name(), plugin.name())
    }

    /// All messages since the slots were made; they stay and can be had again.
    pub(crate) fn messages(&self, plugin: Plugin, options: &[&str]) -> Vec<Received> {
        let (function, data) = match plugin {
            Plugin::Pgoutput => ("pg_logical_slot_peek_binary_changes", "data"),
            _ => ("pg_logical_slot_peek_changes", "convert_to(data, 'UTF8')"),
        };
        let mut arguments = vec![format!("'{}', null, null", self.slot(plugin))];
        if plugin == Plugin::Pgoutput {
            arguments.push("'publication_names', 'p'".to_owned());
        }
        arguments.extend(options.iter().map(|option| format!("'{option}'")));
        let sql = format!(
            "set logical_decoding_work_mem = '64kB'; \
             select lsn, encode({data}, 'hex') from {function}({})",
            arguments.join(", ")
        );
        let received = |line: &str| {
            let (lsn, hex) = line.split_once('|').unwrap();
            let payload = Bytes::from(unhex(hex));
            Received { lsn: lsn.parse().unwrap(), place: Place::Plain, payload }
        };
        self.database.psql(&sql).unwrap().lines().map(received).collect()
    }

    /// All events since the slots were made.
    pub(crate) fn events(&self, plugin: Plugin, options: &[&str]) -> Vec<ChangeEvent> {
        let mut decoder = Decoder::new(plugin);
        let mut events = Vec::new();
        for message in self.messages(plugin, options) {
            decoder.decode(&message, &mut events).unwrap();
        }
        events
    }

    /// All events of pgoutput with transactions streamed while they run, put in order as the store
    /// does it; and how many chunks and rolled back (sub)transactions were among them.
    pub(crate) fn streamed_events(&self, options: &[&str]) -> (Vec<ChangeEvent>, Counts) {
        let mut decoder = Decoder::new(Plugin::Pgoutput);
        let mut spools: Vec<(u32, Vec<Received>)> = Vec::new();
        let mut chunk = None;
        let (mut events, mut counts) = (Vec::new(), Counts::default());
        for mut message in self.messages(Plugin::Pgoutput, options) {
            match classify(&message.payload).unwrap() {
                Kind::StreamStart(start) => {
                    chunk = Some(start.xid.0);
                    counts.chunks += 1;
                    counts.transactions.insert(start.xid.0);
                    if start.is_first {
                        spools.push((start.xid.0, Vec::new()));
                    }
                }
                Kind::StreamStop => chunk = None,
                Kind::StreamAbort(abort) => {
                    counts.aborts += 1;
                    let spool = spools.iter_mut().find(|(xid, _)| *xid == abort.xid.0).unwrap();
                    if abort.xid == abort.subxid {
                        spool.1.clear();
                    } else {
                        let prefix = abort.subxid.0.to_be_bytes();
                        spool.1.retain(|message| message.payload.get(1..5) != Some(&prefix[..]));
                    }
                }
                Kind::StreamCommit(commit) => {
                    let at = spools.iter().position(|(xid, _)| *xid == commit.xid.0).unwrap();
                    decoder.begin_streamed(commit.xid.0, &mut events);
                    for message in spools.remove(at).1 {
                        decoder.decode(&message, &mut events).unwrap();
                    }
                    decoder.decode(&message, &mut events).unwrap();
                }
                _ => match chunk {
                    Some(xid) => {
                        message.place = Place::Chunk;
                        let spool = spools.iter_mut().find(|(other, _)| *other == xid).unwrap();
                        spool.1.push(message);
                    }
                    None => decoder.decode(&message, &mut events).unwrap(),
                },
            }
        }
        (events, counts)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let slots = "select pg_drop_replication_slot(slot_name) from pg_replication_slots \
                     where database = current_database()";
        // A failing test has its own message.
        let _ = self.database.psql(slots);
    }
}

/// What came while transactions ran.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) chunks: usize,
    pub(crate) aborts: usize,
    pub(crate) transactions: HashSet<u32>,
}

/// The bytes of pairs of hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}
