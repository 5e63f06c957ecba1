//! Which transactions of the stream are applied: each once, in the order of their ends, none behind the
//! end position. Pure; the model test of the positions drives it (`src/follow/receive/model_tests.rs`).

use proto::lsn::Lsn;

/// How far the stream is applied or handed over, and where it ends.
#[derive(Debug, Clone, Default)]
pub(in crate::follow) struct Cursor {
    /// Everything that ends at or before it is applied or handed over.
    position: Lsn,
    /// Where to stop, inclusive.
    endpos: Option<Lsn>,
    /// Everything up to the end was handed over.
    reached: bool,
    /// A transaction was left out because it lies beyond the end: nothing can follow any more.
    passed: bool,
    /// Everything that ends at or before it has come, although the position is not there.
    complete: Lsn,
}

impl Cursor {
    /// Begins behind what the target holds.
    pub(in crate::follow) fn new(position: Lsn) -> Self {
        Self { position, ..Self::default() }
    }

    /// Everything that ends at or before it is applied or handed over.
    pub(in crate::follow) fn position(&self) -> Lsn {
        self.position
    }

    /// Whether everything up to the end was handed over, and nothing more is taken.
    pub(in crate::follow) fn reached(&self) -> bool {
        self.reached
    }

    /// Sets or removes the end. It cannot be moved on once a transaction behind the old one has come.
    pub(in crate::follow) fn set_endpos(&mut self, endpos: Option<Lsn>) {
        self.endpos = endpos.filter(|lsn| lsn.is_valid());
        let come = self.position.max(self.complete);
        self.reached = self.passed || self.endpos.is_some_and(|endpos| come >= endpos);
    }

    /// A transaction begins; `commit` is the start of its commit record, where it is known. Returns
    /// whether its changes are wanted, as far as can be told.
    pub(in crate::follow) fn begin(&mut self, commit: Option<Lsn>) -> bool {
        // It ends behind the start of its commit record.
        self.reached |= commit.zip(self.endpos).is_some_and(|(commit, endpos)| commit >= endpos);
        self.passed |= self.reached;
        !self.reached && commit.is_none_or(|commit| commit >= self.position)
    }

    /// A transaction ends at `end`; returns whether it is to be applied. One that was not `wanted`
    /// never is.
    pub(in crate::follow) fn commit(&mut self, end: Lsn, wanted: bool) -> bool {
        let beyond = self.endpos.is_some_and(|endpos| end > endpos);
        if !wanted || self.reached || beyond || end <= self.position {
            self.reached |= beyond;
            self.passed |= beyond;
            return false;
        }
        self.position = end;
        self.reached = self.endpos == Some(end);
        true
    }

    /// Nothing that ends at or before `lsn` is still to come. Returns the new position, when it moved.
    pub(in crate::follow) fn advance(&mut self, lsn: Lsn) -> Option<Lsn> {
        if self.reached || lsn <= self.position {
            return None;
        }
        self.position = lsn;
        self.reached = self.endpos.is_some_and(|endpos| lsn >= endpos);
        Some(lsn)
    }

    /// Everything that ends at or before an end position has come. The position does not move: see
    /// [`crate::follow::change::ChangeEvent::End`].
    pub(in crate::follow) fn end(&mut self, lsn: Lsn) {
        self.complete = self.complete.max(lsn);
        self.reached |= self.endpos.is_some_and(|endpos| lsn >= endpos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a transaction whose commit record lies between two positions.
    fn take(cursor: &mut Cursor, commit: u64, end: u64) -> bool {
        let wanted = cursor.begin(Some(Lsn(commit)));
        cursor.commit(Lsn(end), wanted)
    }

    // trap C-6 C-7
    #[test]
    fn the_end_is_inclusive_and_an_end_inside_a_commit_record_loses_nothing() {
        for (endpos, taken) in [(99, false), (100, false), (101, false), (139, false), (140, true)]
        {
            let mut cursor = Cursor::new(Lsn(50));
            cursor.set_endpos(Some(Lsn(endpos)));
            assert_eq!(take(&mut cursor, 100, 140), taken, "{endpos}");
            assert!(cursor.reached(), "{endpos}");
            // As the store tells it, where what ends behind the end is not in it.
            let mut cursor = Cursor::new(Lsn(50));
            cursor.set_endpos(Some(Lsn(endpos)));
            cursor.end(Lsn(endpos));
            assert!(cursor.reached(), "{endpos}");
            // Heard again, it is still reached.
            cursor.set_endpos(Some(Lsn(endpos)));
            assert!(cursor.reached(), "{endpos}");
            // The next run.
            let mut cursor = Cursor::new(cursor.position());
            assert!(take(&mut cursor, 100, 140), "{endpos}");
        }
    }

    // trap C-5
    #[test]
    fn what_is_applied_is_passed_over() {
        let mut cursor = Cursor::new(Lsn(140));
        assert!(!take(&mut cursor, 100, 140));
        assert!(take(&mut cursor, 140, 180));
        assert_eq!(cursor.advance(Lsn(300)), Some(Lsn(300)));
        assert_eq!(cursor.advance(Lsn(300)), None);
    }

    #[test]
    fn an_end_can_be_moved_on_until_something_behind_it_has_come() {
        let mut cursor = Cursor::new(Lsn(50));
        cursor.set_endpos(Some(Lsn(50)));
        assert!(cursor.reached());
        cursor.set_endpos(Some(Lsn(60)));
        assert!(!cursor.reached());
        assert!(!take(&mut cursor, 100, 140));
        cursor.set_endpos(None);
        assert!(cursor.reached());
    }
}
