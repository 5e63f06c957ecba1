//! Reduces the changes of one relation in a batch to their net effect per key. Pure.
//!
//! ```text
//!  before \ next   insert      update      delete
//!  (untouched)     Inserted    Updated     Deleted
//!  Inserted        –           Inserted    Nothing
//!  Updated         –           Updated     Deleted
//!  Deleted         Replaced    –           –
//!  Replaced        –           Replaced    Deleted
//!  Nothing         Inserted    –           –
//! ```
//!
//! `–` cannot come from a source whose keys are unique: such a batch is applied row by row, which says
//! what is wrong. A changed key is a delete of the old one and an insert of the new one. Two keys of
//! different bytes may be equal on the target (`1.0` and `1.00`): the net statements then touch another
//! number of rows than there are keys, which the caller checks.

use super::column_set::ColumnSet;
use super::plan::Shape;
use super::row::{RowOp, value_bytes};
use crate::follow::change::{Tuple, Value};

/// The net effect of the changes of one relation; positions are indexes into the changes given.
#[derive(Debug, Default)]
pub struct Reduction {
    /// Rows to delete, to be done first.
    pub deletes: Vec<KeyAt>,
    /// Rows to change, to be done next.
    pub updates: Vec<Net>,
    /// Rows to insert, to be done last.
    pub inserts: Vec<Net>,
}

/// A row to insert or to change.
#[derive(Debug)]
pub struct Net {
    /// Where the key's values are.
    pub key: KeyAt,
    /// The change that holds the new values.
    pub at: usize,
    /// The new values where no single change holds them all.
    pub merged: Option<Box<Tuple>>,
    /// The columns to set in an update.
    pub set: ColumnSet,
}

/// Where the values of a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAt {
    /// In what identified the row of this change.
    Identity(usize),
    /// In the new row of this change.
    New(usize),
}

impl KeyAt {
    /// The tuple that holds the key.
    pub fn tuple<'a>(self, ops: &[&'a RowOp]) -> Option<&'a Tuple> {
        match self {
            Self::Identity(at) => ops.get(at)?.identity(),
            Self::New(at) => ops.get(at)?.new_tuple(),
        }
    }
}

impl Net {
    /// The new values; [`Value::Unchanged`] outside [`Net::set`] of an update.
    pub fn tuple<'a>(&'a self, ops: &[&'a RowOp]) -> Option<&'a Tuple> {
        match &self.merged {
            Some(merged) => Some(merged),
            None => ops.get(self.at)?.new_tuple(),
        }
    }
}

/// What became of a key so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Inserted,
    Updated,
    Deleted,
    Replaced,
    Nothing,
}

/// A key and what became of it.
struct Entry {
    hash: u64,
    /// The first place where the key was seen.
    key: KeyAt,
    state: State,
    at: usize,
    merged: Option<Box<Tuple>>,
    set: ColumnSet,
}

/// The changes of this relation cannot be reduced and have to be applied one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotReducible;

/// Reduces changes, in the order of the stream. `keep_no_ops`: updates that change nothing stay.
///
/// # Errors
/// [`NotReducible`] when the net effect is not known or the key does not identify rows.
pub fn reduce(shape: &Shape, ops: &[&RowOp], keep_no_ops: bool) -> Result<Reduction, NotReducible> {
    if ops.iter().all(|op| matches!(op, RowOp::Insert(_))) {
        let inserts = (0..ops.len()).map(Net::insert).collect();
        return Ok(Reduction { inserts, ..Reduction::default() });
    }
    if shape.key.is_empty() || !shape.joinable {
        return Err(NotReducible);
    }
    let mut reducer = Reducer { shape, ops, keep_no_ops, entries: Vec::new(), slots: Vec::new() };
    reducer.grow();
    for at in 0..ops.len() {
        reducer.take(at)?;
    }
    Ok(reducer.finish())
}

impl Net {
    /// A row inserted as one change has it.
    fn insert(at: usize) -> Self {
        Self { key: KeyAt::New(at), at, merged: None, set: ColumnSet::default() }
    }
}

/// The work in progress: entries in order of first appearance, found through open addressing.
struct Reducer<'a> {
    shape: &'a Shape,
    ops: &'a [&'a RowOp],
    keep_no_ops: bool,
    entries: Vec<Entry>,
    /// Positions in `entries` plus one; 0 is free. A power of two, at most half full.
    slots: Vec<u32>,
}

/// Slots of an empty table.
const SLOTS_MIN: usize = 64;

impl Reducer<'_> {
    /// Adds one change.
    fn take(&mut self, at: usize) -> Result<(), NotReducible> {
        let Some(op) = self.ops.get(at) else { return Err(NotReducible) };
        match op {
            RowOp::Insert(_) => self.insert(at),
            RowOp::Delete(_) => self.delete(at),
            RowOp::Update(old, new) => {
                let moved = old.is_some() && {
                    let before = op.identity().ok_or(NotReducible)?;
                    self.shape.key.iter().any(|&column| {
                        let after = new.get(column);
                        after != Some(&Value::Unchanged) && after != before.get(column)
                    })
                };
                if !moved {
                    return self.update(at, new);
                }
                if new.contains(&Value::Unchanged) {
                    return Err(NotReducible);
                }
                self.delete(at)?;
                self.insert(at)
            }
        }
    }

    /// The new row of a change arrives.
    fn insert(&mut self, at: usize) -> Result<(), NotReducible> {
        let index = self.find(KeyAt::New(at))?;
        let Some(entry) = self.entries.get_mut(index) else { return Err(NotReducible) };
        entry.state = match entry.state {
            State::Nothing => State::Inserted,
            State::Deleted => State::Replaced,
            State::Inserted | State::Updated | State::Replaced => return Err(NotReducible),
        };
        entry.at = at;
        entry.merged = None;
        Ok(())
    }

    /// The old row of a change goes.
    fn delete(&mut self, at: usize) -> Result<(), NotReducible> {
        let known = self.entries.len();
        let index = self.find(KeyAt::Identity(at))?;
        let Some(entry) = self.entries.get_mut(index) else { return Err(NotReducible) };
        entry.state = match entry.state {
            State::Nothing if index == known => State::Deleted,
            State::Inserted => State::Nothing,
            State::Updated | State::Replaced => State::Deleted,
            State::Nothing | State::Deleted => return Err(NotReducible),
        };
        entry.merged = None;
        Ok(())
    }

    /// A row changes and keeps its key.
    fn update(&mut self, at: usize, new: &Tuple) -> Result<(), NotReducible> {
        let set = self.changed_columns(at, new);
        let known = self.entries.len();
        let index = self.find(KeyAt::Identity(at))?;
        let ops = self.ops;
        let Some(entry) = self.entries.get_mut(index) else { return Err(NotReducible) };
        match entry.state {
            State::Nothing if index == known => {
                entry.state = State::Updated;
                entry.set = set;
                entry.at = at;
                return Ok(());
            }
            State::Nothing | State::Deleted => return Err(NotReducible),
            State::Inserted | State::Updated | State::Replaced => {}
        }
        if new.contains(&Value::Unchanged) {
            let before = match entry.merged.take() {
                Some(merged) => merged,
                None => {
                    let tuple = ops.get(entry.at).and_then(|op| op.new_tuple());
                    Box::new(tuple.ok_or(NotReducible)?.clone())
                }
            };
            entry.merged = Some(overlay(before, new));
        } else {
            entry.merged = None;
        }
        entry.set.add_all(&set);
        entry.at = at;
        Ok(())
    }

    /// The columns that an update has to set.
    fn changed_columns(&self, at: usize, new: &Tuple) -> ColumnSet {
        let old = self.ops.get(at).and_then(|op| op.full_old());
        changed_columns(self.shape, old, new, self.keep_no_ops)
    }

    /// The entry of a key, made in state `Nothing` at the end of `entries` when it is new.
    fn find(&mut self, key: KeyAt) -> Result<usize, NotReducible> {
        let tuple = key.tuple(self.ops).ok_or(NotReducible)?;
        let hash = hash_key(&self.shape.key, tuple)?;
        if self.entries.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = position(hash) & mask;
        loop {
            let found = self.slots.get(slot).copied().unwrap_or(0) as usize;
            let Some(entry) = found.checked_sub(1).and_then(|index| self.entries.get(index)) else {
                break;
            };
            if entry.hash == hash && self.same_key(entry.key, tuple) {
                return Ok(found - 1);
            }
            slot = (slot + 1) & mask;
        }
        self.entries.push(Entry {
            hash,
            key,
            state: State::Nothing,
            at: 0,
            merged: None,
            set: ColumnSet::default(),
        });
        let number = u32::try_from(self.entries.len()).map_err(|_| NotReducible)?;
        if let Some(free) = self.slots.get_mut(slot) {
            *free = number;
        }
        Ok(self.entries.len() - 1)
    }

    /// Whether two keys have the same bytes.
    fn same_key(&self, key: KeyAt, tuple: &Tuple) -> bool {
        key.tuple(self.ops).is_some_and(|other| {
            self.shape.key.iter().all(|&column| other.get(column) == tuple.get(column))
        })
    }

    /// Doubles the slots.
    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(SLOTS_MIN);
        self.slots.clear();
        self.slots.resize(size, 0);
        for (index, entry) in self.entries.iter().enumerate() {
            let mut slot = position(entry.hash) & (size - 1);
            while self.slots.get(slot).is_some_and(|taken| *taken != 0) {
                slot = (slot + 1) & (size - 1);
            }
            if let (Some(free), Ok(number)) = (self.slots.get_mut(slot), u32::try_from(index + 1)) {
                *free = number;
            }
        }
    }

    /// Sorts the entries by what has to be done.
    fn finish(self) -> Reduction {
        let mut reduction = Reduction::default();
        for entry in self.entries {
            let Entry { key, state, at, merged, mut set, .. } = entry;
            match state {
                State::Nothing => {}
                State::Deleted => reduction.deletes.push(key),
                State::Inserted => reduction.inserts.push(Net { key, at, merged, set }),
                State::Replaced => {
                    set = self.shape.settable.clone();
                    if set.is_empty() {
                        // Nothing but the key: the row is there as it was.
                        continue;
                    }
                    reduction.updates.push(Net { key, at, merged, set });
                }
                State::Updated if set.is_empty() => {}
                State::Updated => reduction.updates.push(Net { key, at, merged, set }),
            }
        }
        reduction
    }
}

/// The columns that an update has to set: those sent, less those whose old value is known to be the
/// same. `keep_no_ops`: all that were sent, and one that changes nothing rather than none.
pub fn changed_columns(
    shape: &Shape,
    old: Option<&Tuple>,
    new: &Tuple,
    keep_no_ops: bool,
) -> ColumnSet {
    let mut set = ColumnSet::default();
    for column in shape.settable.iter() {
        let Some(value) = new.get(column) else { continue };
        let same = old.and_then(|old| old.get(column)) == Some(value) && !keep_no_ops;
        if *value != Value::Unchanged && !same {
            set.insert(column);
        }
    }
    if set.is_empty() && keep_no_ops {
        let touched = shape.touched.filter(|&at| new.get(at) != Some(&Value::Unchanged));
        if let Some(column) = touched {
            set.insert(column);
        }
    }
    set
}

/// New values over old ones: what a change did not send stays.
fn overlay(mut before: Box<Tuple>, new: &Tuple) -> Box<Tuple> {
    for (old, value) in before.iter_mut().zip(new) {
        if *value != Value::Unchanged {
            old.clone_from(value);
        }
    }
    before
}

/// The low bits of a hash as a position.
fn position(hash: u64) -> usize {
    usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0)
}

/// Hashes the bytes of a key. A key that was not sent or is NULL identifies nothing.
fn hash_key(key: &[usize], tuple: &Tuple) -> Result<u64, NotReducible> {
    let mut hash = 0;
    for &column in key {
        let bytes = tuple.get(column).and_then(value_bytes).ok_or(NotReducible)?;
        hash = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, hash);
    }
    Ok(hash)
}
