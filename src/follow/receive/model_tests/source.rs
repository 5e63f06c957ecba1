//! A source of the model: its log, its transactions, its slot, and the walsender of one connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proto::lsn::Lsn;
use proto::replication::{Keepalive, ReplyWish};
use proto::time::PgTimestamp;

use super::random::Random;
use crate::config::Plugin;

/// Length of a commit record: positions inside it exist.
const COMMIT_BYTES: u64 = 40;

/// A transaction of the source.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) xid: u32,
    /// Place in the log and number of each row.
    pub(super) rows: Vec<(Lsn, u64)>,
    /// Where its commit record starts; unset while it is open.
    pub(super) commit: Lsn,
    /// Where its commit record ends.
    pub(super) end: Lsn,
}

/// The source.
#[derive(Debug)]
pub(super) struct Source {
    /// End of the log.
    pub(super) log: u64,
    open: Vec<Transaction>,
    /// In the order of their ends.
    pub(super) committed: Vec<Transaction>,
    /// What the slot holds as confirmed.
    pub(super) confirmed: Lsn,
    /// The same as a crash of the source would leave it.
    saved: Lsn,
    rows: u64,
    xid: u32,
}

impl Source {
    /// A source with a slot and nothing written.
    pub(super) fn new() -> Self {
        let start = Lsn(1000);
        Self {
            log: start.0,
            open: Vec::new(),
            committed: Vec::new(),
            confirmed: start,
            saved: start,
            rows: 0,
            xid: 700,
        }
    }

    /// Something is written.
    pub(super) fn write(&mut self, random: &mut Random) {
        match random.below(10) {
            0 | 1 if self.open.len() < 4 => {
                self.xid += 1;
                let (commit, end) = (Lsn::INVALID, Lsn::INVALID);
                self.open.push(Transaction { xid: self.xid, rows: Vec::new(), commit, end });
            }
            // Records that concern no transaction of ours.
            2 => self.log += 8 * random.between(1, 30),
            3 | 4 => self.end_one(random),
            _ => self.insert(random),
        }
    }

    /// A row in an open transaction, if there is one.
    fn insert(&mut self, random: &mut Random) {
        if self.open.is_empty() {
            return;
        }
        let index = random.index(self.open.len());
        self.rows += 1;
        self.open[index].rows.push((Lsn(self.log), self.rows));
        self.log += 8 * random.between(4, 12);
    }

    /// Commits an open transaction, or rolls it back.
    fn end_one(&mut self, random: &mut Random) {
        if self.open.is_empty() {
            return;
        }
        let index = random.index(self.open.len());
        let mut transaction = self.open.remove(index);
        transaction.commit = Lsn(self.log);
        self.log += COMMIT_BYTES;
        transaction.end = Lsn(self.log);
        if random.percent(80) {
            self.committed.push(transaction);
        }
    }

    /// Ends all transactions.
    pub(super) fn end_all(&mut self, random: &mut Random) {
        while !self.open.is_empty() {
            self.end_one(random);
        }
        self.log += 400;
    }

    /// What the target must hold of the transactions that end at or before a position.
    pub(super) fn rows_until(&self, end: Lsn) -> Vec<u64> {
        let until = self.committed.iter().take_while(|transaction| transaction.end <= end);
        until.flat_map(|transaction| &transaction.rows).map(|(_, row)| *row).collect()
    }

    /// Takes a confirmation.
    pub(super) fn confirm(&mut self, flushed: Lsn) {
        self.confirmed = self.confirmed.max(flushed);
    }

    /// The slot is written to disk.
    pub(super) fn checkpoint(&mut self) {
        self.saved = self.confirmed;
    }

    /// What was confirmed since the last checkpoint is forgotten; open transactions are lost.
    pub(super) fn crash(&mut self) {
        self.confirmed = self.saved;
        self.open.clear();
    }
}

/// What a walsender sends.
#[derive(Debug)]
pub(super) enum Sent {
    /// A message of the plugin: where it belongs, and its bytes.
    Data(Lsn, Vec<u8>),
    /// A keepalive.
    Keepalive(Keepalive),
}

/// The walsender of one connection.
#[derive(Debug)]
pub(super) struct Sender {
    plugin: Plugin,
    /// Transactions whose commit record starts before it are not sent.
    from: Lsn,
    /// The next one of the committed transactions.
    next: usize,
    /// Everything before it is decoded and sent.
    sent: Lsn,
    queue: VecDeque<Sent>,
    described: bool,
    /// Streamed transactions: rows sent.
    streamed: BTreeMap<u32, usize>,
}

impl Sender {
    /// Starts to send what follows `from`, as a server does: never what was confirmed.
    pub(super) fn start(source: &Source, plugin: Plugin, from: Lsn) -> Self {
        let from = from.max(source.confirmed);
        Self {
            plugin,
            from,
            next: 0,
            sent: from,
            queue: VecDeque::new(),
            described: false,
            streamed: BTreeMap::new(),
        }
    }

    /// The next thing that is sent; `None` when there is nothing.
    pub(super) fn next(&mut self, source: &Source, random: &mut Random) -> Option<Sent> {
        if self.queue.is_empty() {
            self.more(source, random);
        }
        self.queue.pop_front()
    }

    /// Decodes further.
    fn more(&mut self, source: &Source, random: &mut Random) {
        if let Some(transaction) = source.committed.get(self.next) {
            self.next += 1;
            if transaction.commit >= self.from {
                self.send_whole(transaction, random);
            }
            self.sent = self.sent.max(transaction.end);
            return;
        }
        self.sent = self.sent.max(Lsn(source.log));
        let streams = self.plugin == Plugin::Pgoutput;
        if streams && let Some(xid) = self.gone(source) {
            self.streamed.remove(&xid);
            self.put(Lsn(source.log), &[b"A", &xid.to_be_bytes()[..], &xid.to_be_bytes()]);
        } else if streams && !source.open.is_empty() && random.percent(30) {
            let transaction = &source.open[random.index(source.open.len())];
            self.send_chunk(transaction);
        } else {
            self.keepalive(random);
        }
    }

    /// A streamed transaction that was rolled back.
    fn gone(&self, source: &Source) -> Option<u32> {
        let open: BTreeSet<u32> = source.open.iter().map(|one| one.xid).collect();
        self.streamed.keys().copied().find(|xid| !open.contains(xid))
    }

    /// Says where the server is.
    fn keepalive(&mut self, random: &mut Random) {
        let reply = if random.percent(20) { ReplyWish::Now } else { ReplyWish::WhenConvenient };
        let keepalive = Keepalive { wal_end: self.sent, sent_at: PgTimestamp(0), reply };
        self.queue.push_back(Sent::Keepalive(keepalive));
    }

    /// Sends a committed transaction, or what is missing of a streamed one.
    fn send_whole(&mut self, transaction: &Transaction, random: &mut Random) {
        let Transaction { xid, commit, end, .. } = transaction;
        let (commit, end) = (commit.0.to_be_bytes(), end.0.to_be_bytes());
        let time = [0; 8];
        if self.streamed.contains_key(xid) {
            self.send_chunk(transaction);
            self.streamed.remove(xid);
            let xid = xid.to_be_bytes();
            self.put(transaction.end, &[b"c", &xid, b"\0", &commit, &end, &time]);
            self.described = true;
            return;
        }
        if transaction.rows.is_empty() {
            return;
        }
        let first = transaction.rows[0].0;
        match self.plugin {
            Plugin::Pgoutput => self.put(first, &[b"B", &commit, &time, &xid.to_be_bytes()]),
            _ => self.put(first, &[format!("BEGIN {xid}").as_bytes()]),
        }
        for (lsn, row) in &transaction.rows {
            if self.plugin == Plugin::Pgoutput && !self.described {
                self.described = true;
                self.put(Lsn::INVALID, &[b"R", DESCRIPTION]);
            }
            self.put(*lsn, &[&self.row(b"", *row)]);
            if random.percent(5) {
                // In the middle of a transaction its place in the log is told, too.
                self.keepalive(random);
            }
        }
        match self.plugin {
            Plugin::Pgoutput => self.put(transaction.end, &[b"C\0", &commit, &end, &time]),
            _ => self.put(transaction.end, &[format!("COMMIT {xid}").as_bytes()]),
        }
    }

    /// Sends what was not yet sent of a transaction as a chunk.
    fn send_chunk(&mut self, transaction: &Transaction) {
        let xid = transaction.xid.to_be_bytes();
        let known = self.streamed.get(&transaction.xid).copied();
        let from = known.unwrap_or(0);
        if transaction.rows.len() == from {
            return;
        }
        self.put(transaction.rows[from].0, &[b"S", &xid, &[u8::from(known.is_none())]]);
        if known.is_none() {
            self.put(Lsn::INVALID, &[b"R", &xid, DESCRIPTION]);
        }
        for (lsn, row) in &transaction.rows[from..] {
            self.put(*lsn, &[&self.row(&xid, *row)]);
        }
        self.put(Lsn::INVALID, &[b"E"]);
        self.streamed.insert(transaction.xid, transaction.rows.len());
    }

    /// An inserted row; `xid` stands in it inside a chunk.
    fn row(&self, xid: &[u8], row: u64) -> Vec<u8> {
        let text = row.to_string();
        if self.plugin != Plugin::Pgoutput {
            return format!("table public.t: INSERT: id[bigint]:{text}").into_bytes();
        }
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [b"I", xid, b"\0\0\0\x07N\0\x01t", &length[..], text.as_bytes()].concat()
    }

    /// Puts a message into the queue.
    fn put(&mut self, lsn: Lsn, parts: &[&[u8]]) {
        self.queue.push_back(Sent::Data(lsn, parts.concat()));
    }
}

/// `public.t (id bigint primary key)` under number 7.
const DESCRIPTION: &[u8] = b"\0\0\0\x07public\0t\0d\0\x01\x01id\0\0\0\0\x14\xff\xff\xff\xff";
