//! A target of the model: transactions that hold rows and the position, of which a crash takes those
//! back that were not flushed.

use proto::lsn::Lsn;

use super::random::Random;

/// The target.
#[derive(Debug)]
pub(super) struct Target {
    /// Rows and position of each transaction.
    commits: Vec<(Lsn, Vec<u64>)>,
    /// How many of them are flushed.
    flushed: usize,
}

/// What became of a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Committed {
    /// It is committed and we know.
    Yes,
    /// The connection was lost; whether it is committed shows in the position only.
    Unknown,
}

impl Target {
    /// Nothing is applied.
    pub(super) fn new(start: Lsn) -> Self {
        Self { commits: vec![(start, Vec::new())], flushed: 1 }
    }

    /// The position that it holds.
    pub(super) fn position(&self) -> Lsn {
        self.commits.last().unwrap().0
    }

    /// All rows, in the order in which they came.
    pub(super) fn rows(&self) -> Vec<u64> {
        self.commits.iter().flat_map(|(_, rows)| rows).copied().collect()
    }

    /// Commits rows together with the position, which must be where `from` says.
    pub(super) fn commit(
        &mut self,
        from: Lsn,
        to: Lsn,
        rows: Vec<u64>,
        random: &mut Random,
    ) -> Committed {
        assert_eq!(self.position(), from, "the position was moved by somebody else");
        let (known, done) = match random.below(20) {
            0 => (Committed::Unknown, false),
            1 => (Committed::Unknown, true),
            _ => (Committed::Yes, true),
        };
        if done {
            self.commits.push((to, rows));
        }
        known
    }

    /// Flushes; returns the position that no crash takes back.
    pub(super) fn flush(&mut self) -> Lsn {
        self.flushed = self.commits.len();
        self.position()
    }

    /// What was not flushed may be lost, from some transaction on.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let lost = random.index(self.commits.len() - self.flushed + 1);
        self.commits.truncate(self.commits.len() - lost);
    }
}
