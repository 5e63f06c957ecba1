//! Sequences at the end: their values are not in the stream (C-49).

use super::prepare::read_catalog;
use crate::base::error::{Result, Side};
use crate::command::clone::filters::Filters;
use crate::command::source;
use crate::config::FollowConfig;
use crate::connect::client::Session;
use crate::connect::client::retry::Backoff;
use crate::connect::client::settings::{self, SessionRole};
use crate::job::sequence::SequenceReport;
use crate::run::sequences::set_sequences;

/// Sets the target's sequences to where they stand on the source now.
///
/// # Errors
/// Those of the connections and the statements; what concerns one sequence is a finding.
pub(super) async fn set(follow: &FollowConfig) -> Result<SequenceReport> {
    let filters = Filters::read(follow.filters.as_deref(), false)?;
    let mut source = source::connect_again(&follow.source).await?;
    let catalog = read_catalog(&filters, &mut source).await?;
    let selection = filters.select(&catalog, &mut source).await?;
    let kept: Vec<_> = (catalog.sequences.iter())
        .filter(|sequence| sequence.extension.is_none() && selection.keeps_sequence(sequence.oid))
        .cloned()
        .collect();
    let mut backoff = Backoff::new(2);
    let mut target =
        Session::connect_patiently(Side::Target, &follow.target, "sequences", &mut backoff).await?;
    settings::pin(&mut target, SessionRole::TargetWriter).await?;
    let report = set_sequences(&mut source, &mut target, &kept, None).await?;
    tracing::info!(sequences = report.set, "the sequences stand where they stand on the source");
    Ok(report)
}
