//! Sets of column positions.

/// Positions of columns, from 0. Up to 64 columns take no allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ColumnSet {
    low: u64,
    high: Vec<u64>,
}

impl ColumnSet {
    /// Adds a position.
    pub fn insert(&mut self, position: usize) {
        if position < 64 {
            self.low |= 1 << position;
            return;
        }
        let word = position / 64 - 1;
        if self.high.len() <= word {
            self.high.resize(word + 1, 0);
        }
        if let Some(bits) = self.high.get_mut(word) {
            *bits |= 1 << (position % 64);
        }
    }

    /// Whether a position is in it.
    #[must_use]
    pub fn contains(&self, position: usize) -> bool {
        let word = match position / 64 {
            0 => self.low,
            word => self.high.get(word - 1).copied().unwrap_or(0),
        };
        word & 1 << (position % 64) != 0
    }

    /// Adds all positions of another set.
    pub fn add_all(&mut self, other: &Self) {
        self.low |= other.low;
        if self.high.len() < other.high.len() {
            self.high.resize(other.high.len(), 0);
        }
        for (bits, more) in self.high.iter_mut().zip(&other.high) {
            *bits |= more;
        }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.low == 0 && self.high.iter().all(|bits| *bits == 0)
    }

    /// The positions in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(self.low).chain(self.high.iter().copied()).enumerate().flat_map(
            |(word, bits)| {
                (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word * 64 + bit)
            },
        )
    }
}

impl FromIterator<usize> for ColumnSet {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        let mut set = Self::default();
        for position in positions {
            set.insert(position);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_beyond_the_first_word_are_kept() {
        let positions = [0, 5, 63, 64, 127, 128, 1599];
        let set: ColumnSet = positions.into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), positions);
        for position in 0..1700 {
            assert_eq!(set.contains(position), positions.contains(&position), "{position}");
        }
    }

    #[test]
    fn a_union_holds_what_either_holds() {
        let mut one: ColumnSet = [1, 70].into_iter().collect();
        let two: ColumnSet = [2, 200].into_iter().collect();
        one.add_all(&two);
        assert_eq!(one.iter().collect::<Vec<_>>(), [1, 2, 70, 200]);
        assert!(!one.is_empty() && ColumnSet::default().is_empty());
    }
}
