//! From a part of the plan to what the copy needs, and what its errors about characters mean.

use super::pool::Pool;
use crate::base::error::Error;
use crate::job::copy::{self, CopyPart, Preparation, WireFormat};
use crate::plan::{Format, LoadStrategy, Part, TablePlan};

/// What `job::copy` needs to know of a part.
pub(super) fn copy_work(table: &TablePlan, part: &Part) -> CopyPart {
    CopyPart {
        oid: table.oid,
        table: table.name.clone(),
        columns: table.columns.clone(),
        format: match table.format {
            Format::Binary => WireFormat::Binary,
            Format::Text => WireFormat::Text,
        },
        predicate: predicate(table, part),
        only: table.only,
        preparation: match table.load {
            LoadStrategy::ReplaceFrozen => Preparation::TruncateFreeze,
            LoadStrategy::Replace => Preparation::Truncate,
            LoadStrategy::Fresh
            | LoadStrategy::Parts
            | LoadStrategy::Append
            | LoadStrategy::Nothing => Preparation::Append,
        },
        file_node: Some(table.file_node),
        only_with_rows: table.config.is_some(),
    }
}

/// The condition of a part.
fn predicate(table: &TablePlan, part: &Part) -> Option<String> {
    match (part.range.predicate(), &table.condition) {
        (None, condition) => condition.clone(),
        (range, None) => range,
        (Some(range), Some(condition)) => Some(format!("({range}) and ({condition})")),
    }
}

/// Adds to an error about characters which rows they are in. The sessions of the copy are back in
/// their pools or dropped.
pub(super) async fn name_refused_rows(
    error: Error,
    (table, part): (&TablePlan, &Part),
    snapshot: Option<&str>,
    (source, target): (&Pool, &Pool),
) -> Error {
    let encoding = match target.take().await {
        Ok(mut lease) => lease
            .session()
            .ok()
            .and_then(|session| session.parameter("server_encoding").map(str::to_owned)),
        Err(_) => None,
    };
    let Ok(mut lease) = source.take().await else { return error };
    let Ok(session) = lease.session() else { return error };
    let encoding = encoding.as_deref().unwrap_or("UTF8");
    copy::name_refused_rows(error, session, &copy_work(table, part), snapshot, encoding).await
}
