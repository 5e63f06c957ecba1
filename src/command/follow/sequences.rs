//! Sequences at the end: their values are not in the stream (C-49).

use std::collections::HashMap;

use crate::base::error::{Result, Side};
use crate::catalog::fetch::{self, SizeSource};
use crate::catalog::sequence_values::sequence_values;
use crate::command::clone::filters::Filters;
use crate::command::source;
use crate::config::FollowConfig;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::job::sequence::{self, SequenceReport, SequenceSet, SequenceValue};

/// Sets the target's sequences to where they stand on the source now.
///
/// # Errors
/// Those of the connections and the statements; what concerns one sequence is a finding.
pub(super) async fn set(follow: &FollowConfig) -> Result<SequenceReport> {
    let filters = Filters::read(follow.filters.as_deref(), false)?;
    let mut source = source::connect_again(&follow.source).await?;
    let catalog = fetch::source(&mut source, SizeSource::Estimate).await?;
    let selection = filters.select(&catalog, &mut source).await?;
    let kept: Vec<_> = (catalog.sequences.iter())
        .filter(|sequence| sequence.extension.is_none() && selection.keeps_sequence(sequence.oid))
        .cloned()
        .collect();
    let read = sequence_values(&mut source, &kept).await?;
    let values: HashMap<u32, SequenceValue> = (read.values.iter())
        .map(|one| {
            let value = SequenceValue { last_value: one.last_value, is_called: one.is_called };
            (one.oid, value)
        })
        .collect();
    let sets: Vec<SequenceSet> = (kept.iter())
        .filter(|sequence| !read.gone.contains(&sequence.oid))
        .map(|sequence| SequenceSet {
            name: sequence.name.clone(),
            value: values.get(&sequence.oid).copied(),
        })
        .collect();
    let mut backoff = Backoff::new(2);
    let mut target =
        Session::connect_patiently(Side::Target, &follow.target, "sequences", &mut backoff).await?;
    settings::pin(&mut target, SessionRole::TargetWriter).await?;
    let report = sequence::set(&mut target, &sets, None).await?;
    tracing::info!(sequences = report.set, "the sequences stand where they stand on the source");
    Ok(report)
}
