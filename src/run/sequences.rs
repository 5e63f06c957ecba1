//! Sequences from one end to the other: read as late as possible, since no snapshot holds them.

use std::collections::{HashMap, HashSet};

use crate::base::error::Result;
use crate::catalog::model::{Oid, Sequence};
use crate::catalog::sequence_values::sequence_values;
use crate::connect::client::Session;
use crate::job::sequence::{self, SequenceReport, SequenceSet, SequenceValue};

/// Sets the target's sequences to where they stand on the source now, then runs `mark`, the SQL that
/// records it. Sequences dropped meanwhile are passed over.
///
/// # Errors
/// Those of reading and of [`sequence::set`]; what concerns one sequence is a finding. Not cancel safe.
pub async fn set_sequences(
    source: &mut Session,
    target: &mut Session,
    sequences: &[Sequence],
    mark: Option<&str>,
) -> Result<SequenceReport> {
    let read = sequence_values(source, sequences).await?;
    let values: HashMap<Oid, SequenceValue> = (read.values.into_iter())
        .map(|one| {
            let value = SequenceValue { last_value: one.last_value, is_called: one.is_called };
            (one.oid, value)
        })
        .collect();
    let gone: HashSet<Oid> = read.gone.into_iter().collect();
    let sets: Vec<SequenceSet> = (sequences.iter())
        .filter(|sequence| !gone.contains(&sequence.oid))
        .map(|sequence| SequenceSet {
            name: sequence.name.clone(),
            value: values.get(&sequence.oid).copied(),
        })
        .collect();
    sequence::set(target, &sets, mark).await
}
