//! Model test of the positions: the real intake, store, reader, decoder and cursor between a source
//! and a target of a few lines each, driven by random events with crashes of everybody at every point.
//!
//! What must hold, whatever happens:
//! - never confirm what is not durable: after a crash of the machine the store still holds it, or the
//!   target does;
//! - never apply twice, never skip: the target's rows are those of the source's transactions that end
//!   at or before the target's position, in commit order;
//! - the end position is inclusive: when it is reached, the target holds exactly what ends there or
//!   before.

mod random;
mod source;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use proto::lsn::Lsn;
use proto::replication::{ReplyWish, XLogData};
use proto::time::PgTimestamp;
use tempfile::TempDir;

use super::feedback::Reported;
use super::intake::{Flow, Intake};
use super::slot::check_gap;
use crate::config::Plugin;
use crate::follow::apply::Cursor;
use crate::follow::catch_up::Decoding;
use crate::follow::change::{Change, ChangeEvent, Value};
use crate::follow::store::{
    self, Positions, StoreOptions, StoreReader, StoreWriter, StreamIdentity,
};
use random::Random;
use source::{Sender, Sent, Source};
use target::{Committed, Target};

/// Histories, each from a seed of its own.
const SEEDS: u64 = 300;

/// Events of a history.
const STEPS: u64 = 500;

/// Segments as short as this rotate all the time.
const SEGMENT_BYTES: u64 = 700;

/// The receiving half of our process.
struct Receive {
    store: StoreWriter,
    intake: Intake,
    reported: Reported,
    /// The connection to the source.
    sender: Option<Sender>,
    /// The end position was reached.
    finished: bool,
}

/// The applying half of our process.
struct Apply {
    reader: StoreReader,
    decoding: Decoding,
    cursor: Cursor,
    /// The target's position as this connection knows it.
    held: Lsn,
    /// The open transaction: whether it is wanted, and its rows.
    open: (bool, Vec<u64>),
    /// Rows of complete transactions that are not committed on the target.
    rows: Vec<u64>,
}

/// Everybody.
struct World {
    random: Random,
    source: Source,
    target: Target,
    plugin: Plugin,
    dir: TempDir,
    receive: Option<Receive>,
    apply: Option<Apply>,
    /// What the sentinel holds.
    endpos: Option<Lsn>,
    replayed: Lsn,
    /// What happened, by name: a history in which nothing happens proves nothing.
    seen: BTreeMap<&'static str, u32>,
}

/// Where a store lives; in memory where that can be had, since everything is synced.
fn directory() -> TempDir {
    let shared = PathBuf::from("/dev/shm");
    tempfile::tempdir_in(shared).or_else(|_| tempfile::tempdir()).unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let source = Source::new();
        Self {
            target: Target::new(source.confirmed),
            replayed: source.confirmed,
            source,
            plugin: if seed.is_multiple_of(3) { Plugin::TestDecoding } else { Plugin::Pgoutput },
            random: Random(seed),
            dir: directory(),
            receive: None,
            apply: None,
            endpos: None,
            seen: BTreeMap::new(),
        }
    }

    fn note(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// One event.
    async fn step(&mut self) {
        match self.random.below(100) {
            0..25 => self.source.write(&mut self.random),
            25..55 => self.receive_one().await,
            55..63 => self.flush().await,
            63..68 => self.confirm(),
            68..84 => self.apply_some().await,
            84..88 => self.commit(),
            88 => self.flush_target().await,
            89 => self.source.checkpoint(),
            90 => self.lose_source(),
            91 => self.apply = None,
            92 => self.crash().await,
            93 if self.random.percent(50) => self.crash_target(),
            94 if self.random.percent(50) => {
                self.source.crash();
                self.lose_source();
                self.note("crash of the source");
            }
            95 if self.endpos.is_none() && self.random.percent(50) => {
                let from = self.source.log.saturating_sub(300);
                self.endpos = Some(Lsn(self.random.between(from, self.source.log + 200)));
            }
            _ => self.hear_endpos().await,
        }
    }

    /// Starts to receive where nobody does; as `Receiver::open` does it.
    fn start(&mut self) -> &mut Receive {
        if self.receive.is_none() {
            let start = Lsn(1000);
            let held = store::read_state(self.dir.path()).unwrap();
            let durable = held.map_or(start, |held| held.durable);
            check_gap("s", self.source.confirmed, durable).unwrap();
            let identity = StreamIdentity {
                plugin: self.plugin,
                protocol_version: 2,
                system_identifier: 1,
                timeline: 1,
                database: "d".to_owned(),
                slot: "s".to_owned(),
            };
            let options =
                StoreOptions { segment_bytes: SEGMENT_BYTES, disk_bytes_max: Some(1 << 40) };
            let store = StoreWriter::open(self.dir.path(), identity, durable, options).unwrap();
            let intake = Intake::new(self.plugin, store.boundary());
            let reported = Reported::default();
            let finished = false;
            self.receive = Some(Receive { store, intake, reported, sender: None, finished });
        }
        self.receive.as_mut().unwrap()
    }

    /// Connects where there is no connection, and takes one message.
    async fn receive_one(&mut self) {
        self.start();
        let Some(receive) = &mut self.receive else { return };
        if receive.finished {
            return;
        }
        if receive.sender.is_none() {
            if receive.intake.set_endpos(self.endpos, &mut receive.store) == Flow::Reached {
                return self.finish().await;
            }
            let from = receive.store.boundary();
            receive.sender = Some(Sender::start(&self.source, self.plugin, from));
        }
        let Some(sender) = &mut receive.sender else { return };
        let flow = match sender.next(&self.source, &mut self.random) {
            None => Flow::Continue,
            Some(Sent::Data(lsn, data)) => {
                let (wal_start, wal_end, sent_at) = (lsn, lsn, PgTimestamp(0));
                let message = XLogData { wal_start, wal_end, sent_at, data: &data };
                receive.intake.message(&message, None, &mut receive.store).unwrap()
            }
            Some(Sent::Keepalive(keepalive)) => {
                let flow = receive.intake.keepalive(&keepalive, &mut receive.store).unwrap();
                if keepalive.reply == ReplyWish::Now {
                    receive.intake.store_idle_position(&mut receive.store).unwrap();
                }
                flow
            }
        };
        if flow == Flow::Reached {
            self.finish().await;
        }
    }

    /// The end position is reached on the receiving side.
    async fn finish(&mut self) {
        let Some(receive) = &mut self.receive else { return };
        receive.sender = None;
        receive.finished = true;
        receive.store.disconnected();
        receive.store.sync().await.unwrap();
        self.note("end position received");
    }

    /// What receive does now and then.
    async fn flush(&mut self) {
        let Some(receive) = &mut self.receive else { return };
        match self.random.below(4) {
            0 => receive.intake.store_idle_position(&mut receive.store).unwrap(),
            1 => receive.store.prune(self.replayed).await.unwrap(),
            2 => receive.store.sync().await.unwrap(),
            _ => receive.store.flush().await.unwrap(),
        }
    }

    /// Feedback.
    fn confirm(&mut self) {
        let Some(receive) = &mut self.receive else { return };
        let durable = receive.store.positions().borrow().durable;
        receive.reported.set_received(receive.intake.received());
        receive.reported.set_applied(self.replayed);
        let update = receive.reported.update(durable);
        assert!(update.flushed <= durable && update.applied <= durable);
        self.source.confirm(update.flushed);
    }

    /// The connection to the source is lost.
    fn lose_source(&mut self) {
        let Some(receive) = &mut self.receive else { return };
        if receive.sender.take().is_some() {
            receive.store.disconnected();
            receive.intake.reconnected();
            self.note("lost connection to the source");
        }
    }

    /// Both halves look at the sentinel, not at the same time.
    async fn hear_endpos(&mut self) {
        if let (true, Some(apply)) = (self.random.percent(50), &mut self.apply) {
            apply.cursor.set_endpos(self.endpos);
        }
        let Some(receive) = &mut self.receive else { return };
        if !receive.finished
            && receive.sender.is_some()
            && receive.intake.endpos() != self.endpos
            && receive.intake.set_endpos(self.endpos, &mut receive.store) == Flow::Reached
        {
            self.finish().await;
        }
        self.check_end().await;
    }

    /// Decodes and collects some of what is stored.
    async fn apply_some(&mut self) {
        let Some(receive) = &self.receive else { return };
        if self.apply.is_none() {
            let held = self.target.position();
            let positions = receive.store.positions();
            let reader = StoreReader::open(self.dir.path(), held, positions).await.unwrap();
            let mut cursor = Cursor::new(held);
            cursor.set_endpos(self.endpos);
            let (open, rows) = ((false, Vec::new()), Vec::new());
            let decoding = Decoding::new(self.plugin);
            self.apply = Some(Apply { reader, decoding, cursor, held, open, rows });
        }
        let Some(apply) = &mut self.apply else { return };
        for _ in 0..self.random.between(1, 12) {
            if apply.cursor.reached() {
                return;
            }
            let Some(stored) = apply.reader.try_next().await.unwrap() else { return };
            apply.decoding.decode(stored).unwrap();
            let events: Vec<ChangeEvent> = apply.decoding.events.drain(..).collect();
            events.into_iter().for_each(|event| apply.take(event));
        }
    }

    /// Commits on the target what was collected.
    fn commit(&mut self) {
        let Some(apply) = &mut self.apply else { return };
        let position = apply.cursor.position();
        if position == apply.held {
            return;
        }
        let rows = std::mem::take(&mut apply.rows);
        match self.target.commit(apply.held, position, rows, &mut self.random) {
            Committed::Yes => apply.held = position,
            Committed::Unknown => {
                self.apply = None;
                self.note("lost COMMIT");
            }
        }
        self.check_target();
    }

    /// The target holds what the source committed up to the target's position, once and in order.
    fn check_target(&self) {
        let position = self.target.position();
        assert_eq!(self.target.rows(), self.source.rows_until(position), "up to {position}");
    }

    /// Makes the target durable and lets the store go.
    async fn flush_target(&mut self) {
        self.replayed = self.target.flush();
        if let Some(receive) = &mut self.receive {
            receive.store.prune(self.replayed).await.unwrap();
        }
    }

    /// The target crashes: what it had not flushed may be gone.
    fn crash_target(&mut self) {
        self.apply = None;
        self.target.crash(&mut self.random);
        assert!(self.target.position() >= self.replayed);
        self.check_target();
        self.note("crash of the target");
    }

    /// Our machine crashes: what was not called durable may be gone.
    async fn crash(&mut self) {
        let Some(receive) = self.receive.take() else { return };
        self.apply = None;
        let mut positions = receive.store.positions();
        let durable = *positions.borrow();
        drop(receive);
        // Until the store's thread has ended, nothing is as the crash leaves it.
        while positions.changed().await.is_ok() {}
        tear(self.dir.path(), durable, &mut self.random);
        self.note("crash of our machine");
    }

    /// When both halves have reached the end position, the next run begins without one.
    async fn check_end(&mut self) {
        let (Some(receive), Some(apply)) = (&self.receive, &self.apply) else { return };
        let Some(endpos) = self.endpos.filter(|_| receive.finished && apply.cursor.reached())
        else {
            return;
        };
        while self.apply.as_ref().is_some_and(|apply| apply.held != apply.cursor.position()) {
            self.commit();
        }
        // A lost COMMIT is found out by the next connection.
        let Some(apply) = &self.apply else { return };
        let end = endpos.max(apply.cursor.position());
        assert_eq!(self.target.rows(), self.source.rows_until(end), "end position {endpos}");
        self.flush_target().await;
        (self.receive, self.apply, self.endpos) = (None, None, None);
        self.note("end position reached");
    }

    /// Nothing fails any more: everything arrives.
    async fn settle(&mut self) {
        self.endpos = None;
        // The next run: neither half goes on behind an end position that was reached.
        self.crash().await;
        self.source.end_all(&mut self.random);
        self.start();
        let end = Lsn(self.source.log);
        while self.target.position() < end {
            self.receive_one().await;
            self.flush().await;
            self.confirm();
            self.apply_some().await;
            self.commit();
        }
        assert_eq!(self.target.rows(), self.source.rows_until(Lsn::MAX));
    }
}

impl Apply {
    /// As the applier takes an event.
    fn take(&mut self, event: ChangeEvent) {
        match event {
            ChangeEvent::Begin(begin) => {
                let wanted = self.cursor.begin(begin.commit_lsn);
                self.open = (wanted, Vec::new());
            }
            ChangeEvent::Change(Change::Insert { new, .. }) => {
                let Some(Value::Text(text)) = new.first() else { panic!("{new:?}") };
                self.open.1.push(number(text));
            }
            ChangeEvent::Change(other) => panic!("{other:?}"),
            ChangeEvent::Commit(commit) => {
                let (wanted, mut rows) = std::mem::take(&mut self.open);
                if self.cursor.commit(commit.end_lsn, wanted) {
                    self.rows.append(&mut rows);
                }
            }
            ChangeEvent::Abandon => {
                self.open = (false, Vec::new());
            }
            ChangeEvent::Position(lsn) => {
                self.cursor.advance(lsn);
            }
            ChangeEvent::End(lsn) => self.cursor.end(lsn),
        }
    }
}

/// A number in text form.
fn number(text: &Bytes) -> u64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

/// Leaves of a store what a crash of the machine may leave: all that was called durable, and any part of
/// what was written behind it. A segment is synced before its successor is made, and goes only when that is
/// durable: the oldest that is there is there after a crash, too.
fn tear(dir: &std::path::Path, durable: Positions, random: &mut Random) {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "segment"))
        .collect();
    segments.sort();
    let of = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let (oldest, newest) = (of(segments.first().unwrap()), of(segments.last().unwrap()));
    let last = random.between(durable.segment.max(oldest), newest);
    for path in &segments {
        let number = of(path);
        if number > last {
            std::fs::remove_file(path).unwrap();
        } else if number == last {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            let length = file.metadata().unwrap().len();
            let least = match number {
                _ if number == durable.segment => durable.offset,
                _ if number == oldest => length,
                _ => 0,
            };
            let kept = if random.percent(50) { least } else { random.between(least, length) };
            file.set_len(kept).unwrap();
        }
    }
}

/// One history from beginning to end; returns what happened in it.
fn run(seed: u64) -> BTreeMap<&'static str, u32> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step().await;
        }
        world.settle().await;
        world.seen
    })
}

// trap C-1 C-3 C-5 C-6 C-7 C-13 X-1 X-2
#[test]
fn whatever_crashes_nothing_is_confirmed_too_early_applied_twice_or_skipped() {
    let mut seen = BTreeMap::<&str, u32>::new();
    for seed in 1..=SEEDS {
        // A thread of its own: its name is in the message when something does not hold.
        let history = std::thread::Builder::new().name(format!("seed {seed}"));
        let events = history.spawn(move || run(seed)).unwrap().join();
        let events = events.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        for (what, count) in events {
            *seen.entry(what).or_default() += count;
        }
    }
    for what in [
        "crash of our machine",
        "crash of the source",
        "crash of the target",
        "end position reached",
        "end position received",
        "lost COMMIT",
        "lost connection to the source",
    ] {
        assert!(seen.get(what).is_some_and(|count| *count > 20), "{what}: {seen:?}");
    }
}
