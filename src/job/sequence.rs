//! Sequence values: set on the target to what was read on the source, then read back.
//!
//! Sequences are outside transactions: a value read under a snapshot is still the latest one, and
//! `setval` takes effect at once. Both are harmless here, because the work may be repeated at any
//! time, and is: at the end of `clone`, by `copy sequences`, and after `follow` reached its end.
//!
//! A sequence of the target never moves backwards (trap X-24): where it is further than the source's
//! somebody writes there already, and setting it back would hand out numbers twice.

use crate::base::error::{Error, Result};
use crate::base::ident::{QualifiedName, array_literal};
use crate::base::summary::{Finding, Severity};
use crate::connect::client::Session;

/// Looks up how the target's sequences count.
const TARGETS_SQL: &str = include_str!("sql/sequence_targets.sql");
/// Sets values.
const SET_SQL: &str = include_str!("sql/set_sequences.sql");

/// Most sequences in one statement: one branch of a UNION each, planned in about 10 µs apiece.
const SEQUENCES_PER_STATEMENT: usize = 500;

/// Where a sequence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceValue {
    /// `last_value`.
    pub last_value: i64,
    /// `is_called`: the next number is the one after `last_value`.
    pub is_called: bool,
}

/// A sequence to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet {
    /// Name, the same on both ends.
    pub name: QualifiedName,
    /// Where it stands on the source; `None` when it cannot be read there.
    pub value: Option<SequenceValue>,
}

/// What became of the sequences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SequenceReport {
    /// How many stand on the target where they stand on the source, proven by reading them back.
    pub set: u64,
    /// The others.
    pub findings: Vec<Finding>,
}

/// Sets sequences to the source's values and proves them by reading them back, then runs `mark`, the
/// SQL that records the work as done (only when nothing of severity `Error` was found).
///
/// # Errors
/// When the session is lost or a statement fails as a whole; what concerns one sequence is a finding.
/// Not cancel safe.
pub async fn set(
    target: &mut Session,
    sequences: &[SequenceSet],
    mark: Option<&str>,
) -> Result<SequenceReport> {
    let mut report = SequenceReport::default();
    let mut known = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        match sequence.value {
            Some(value) => known.push((&sequence.name, value)),
            None => report.findings.push(unreadable_on_source(&sequence.name)),
        }
    }
    for batch in known.chunks(SEQUENCES_PER_STATEMENT) {
        set_batch(target, batch, &mut report).await?;
    }
    let complete = report.findings.iter().all(|finding| finding.severity < Severity::Error);
    if let (true, Some(mark)) = (complete, mark) {
        target.execute(mark).await?;
    }
    Ok(report)
}

/// Sets up to [`SEQUENCES_PER_STATEMENT`] sequences.
async fn set_batch(
    target: &mut Session,
    sequences: &[(&QualifiedName, SequenceValue)],
    report: &mut SequenceReport,
) -> Result<()> {
    let names: Vec<&QualifiedName> = sequences.iter().map(|(name, _)| *name).collect();
    let facts = target_facts(target, &names).await?;
    let mut present = Vec::with_capacity(names.len());
    for (&(name, wanted), facts) in sequences.iter().zip(facts) {
        match facts {
            Some(facts) if facts.accessible => present.push((name, wanted, facts)),
            Some(_) => report.findings.push(not_settable(name)),
            None => report.findings.push(missing_on_target(name)),
        }
    }
    let names: Vec<&QualifiedName> = present.iter().map(|(name, ..)| *name).collect();
    let current = read_values(target, &names).await?;
    let mut moves = Vec::new();
    for ((name, wanted, facts), current) in present.into_iter().zip(current) {
        match judge(facts, wanted, current) {
            Step::Stay => report.set += 1,
            Step::Move => moves.push((name, wanted)),
            Step::Ahead => report.findings.push(ahead_on_target(name, wanted, current)),
        }
    }
    set_values(target, &moves, report).await
}

/// How a sequence of the target counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TargetFacts {
    /// Increment below zero.
    descending: bool,
    /// CYCLE: no value is ahead of another.
    cycles: bool,
    /// Our role may read and set it.
    accessible: bool,
}

/// What to do with a sequence of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It stands where it should.
    Stay,
    /// It must be set.
    Move,
    /// It is further than the source's.
    Ahead,
}

/// Compares the two ends.
fn judge(facts: TargetFacts, wanted: SequenceValue, current: SequenceValue) -> Step {
    if wanted == current {
        return Step::Stay;
    }
    // A number that was never handed out is no progress: a new sequence stands at its start.
    let further = match facts.descending {
        false => current.last_value > wanted.last_value,
        true => current.last_value < wanted.last_value,
    };
    let same_but_called = current.last_value == wanted.last_value && !wanted.is_called;
    if !facts.cycles && current.is_called && (further || same_but_called) {
        Step::Ahead
    } else {
        Step::Move
    }
}

/// Sets values together, or one by one where together fails, and reads them back.
async fn set_values(
    target: &mut Session,
    moves: &[(&QualifiedName, SequenceValue)],
    report: &mut SequenceReport,
) -> Result<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let mut set: Vec<(&QualifiedName, SequenceValue)> = Vec::with_capacity(moves.len());
    match set_together(target, moves).await {
        Ok(()) => set.extend_from_slice(moves),
        Err(error) if error.as_server().is_some_and(|server| server.severity == "ERROR") => {
            for one in moves {
                match set_together(target, std::slice::from_ref(one)).await {
                    Ok(()) => set.push(*one),
                    Err(error) if error.as_server().is_some() => {
                        report.findings.push(refused(one.0, one.1, &error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(error) => return Err(error.during("set sequence values")),
    }
    let names: Vec<&QualifiedName> = set.iter().map(|(name, _)| *name).collect();
    let stands = read_values(target, &names).await?;
    for ((name, wanted), stands) in set.into_iter().zip(stands) {
        if stands == wanted {
            report.set += 1;
        } else {
            report.findings.push(moved_meanwhile(name, wanted, stands));
        }
    }
    Ok(())
}

/// One `setval` statement for several sequences.
async fn set_together(
    target: &mut Session,
    moves: &[(&QualifiedName, SequenceValue)],
) -> Result<()> {
    let schemas = array_literal(moves.iter().map(|(name, _)| name.schema.as_str()));
    let names = array_literal(moves.iter().map(|(name, _)| name.name.as_str()));
    let values: Vec<String> = moves.iter().map(|(_, value)| value.last_value.to_string()).collect();
    let values = array_literal(values.iter().map(String::as_str));
    let called = array_literal(moves.iter().map(|(_, v)| if v.is_called { "t" } else { "f" }));
    let params = [&schemas, &names, &values, &called].map(|text| Some(text.as_str()));
    target.query(SET_SQL, &params).await?;
    Ok(())
}

/// Reads where sequences stand, in the order asked for.
///
/// A sequence's value is only in its own relation (the view `pg_sequences` hides it until the first
/// call), so the statement has one branch per sequence.
///
/// # Errors
/// What the server reports: `42P01` where one is missing, `42501` where one may not be read.
async fn read_values(
    session: &mut Session,
    names: &[&QualifiedName],
) -> Result<Vec<SequenceValue>> {
    let mut values = Vec::with_capacity(names.len());
    for batch in names.chunks(SEQUENCES_PER_STATEMENT) {
        let branches: Vec<String> = batch
            .iter()
            .enumerate()
            .map(|(index, name)| {
                format!("select {index} as position, last_value, is_called from {}", name.sql())
            })
            .collect();
        let sql = format!("{} order by position", branches.join(" union all "));
        let rows =
            session.query(&sql, &[]).await.map_err(|error| error.during("read sequences"))?;
        if rows.rows.len() != batch.len() {
            return Err(Error::internal("a sequence has no row"));
        }
        for row in &rows.rows {
            values.push(SequenceValue { last_value: row.parse(1)?, is_called: row.flag(2)? });
        }
    }
    Ok(values)
}

/// Looks up the target's sequences; `None` is a missing one.
async fn target_facts(
    target: &mut Session,
    names: &[&QualifiedName],
) -> Result<Vec<Option<TargetFacts>>> {
    let schemas = array_literal(names.iter().map(|name| name.schema.as_str()));
    let plain = array_literal(names.iter().map(|name| name.name.as_str()));
    let mut facts = vec![None; names.len()];
    for row in &target.query(TARGETS_SQL, &[Some(&schemas), Some(&plain)]).await?.rows {
        let index = row.parse::<usize>(0)?.wrapping_sub(1);
        let slot = facts
            .get_mut(index)
            .ok_or_else(|| Error::internal("a sequence look-up answered for another name"))?;
        *slot = Some(TargetFacts {
            descending: row.flag(1)?,
            cycles: row.flag(2)?,
            accessible: row.flag(3)?,
        });
    }
    Ok(facts)
}

/// It cannot be read on the source.
fn unreadable_on_source(name: &QualifiedName) -> Finding {
    Finding {
        severity: Severity::Error,
        object: format!("sequence {name}"),
        reason: "value not copied: it cannot be read on the source, for want of privileges or \
                 because it is unlogged and the source a standby"
            .to_owned(),
        hint: Some(format!(
            "Run `GRANT SELECT ON SEQUENCE {} TO` our role on the source, then `pgcopydb copy \
             sequences`.",
            name.sql()
        )),
    }
}

/// It does not exist on the target.
fn missing_on_target(name: &QualifiedName) -> Finding {
    Finding {
        severity: Severity::Error,
        object: format!("sequence {name}"),
        reason: "value not set: no such sequence on the target".to_owned(),
        hint: None,
    }
}

/// Our role may not set it on the target.
fn not_settable(name: &QualifiedName) -> Finding {
    Finding {
        severity: Severity::Error,
        object: format!("sequence {name}"),
        reason: "value not set: our role may not read and update it on the target".to_owned(),
        hint: Some(format!(
            "Run `GRANT SELECT, UPDATE ON SEQUENCE {} TO` our role on the target, then `pgcopydb copy \
             sequences`.",
            name.sql()
        )),
    }
}

/// The target's is further than the source's.
fn ahead_on_target(name: &QualifiedName, wanted: SequenceValue, current: SequenceValue) -> Finding {
    Finding {
        severity: Severity::Warning,
        object: format!("sequence {name}"),
        reason: format!(
            "left where it is: the target is at {}, ahead of the source's {}, so somebody already \
             draws numbers there",
            current.last_value, wanted.last_value
        ),
        hint: Some(format!(
            "If nobody does, run `SELECT setval('{}', {}, {})` on the target.",
            name.sql().replace('\'', "''"),
            wanted.last_value,
            wanted.is_called
        )),
    }
}

/// The server refuses the value.
fn refused(name: &QualifiedName, wanted: SequenceValue, reason: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        object: format!("sequence {name}"),
        reason: format!("value {} not set: {reason}", wanted.last_value),
        hint: None,
    }
}

/// It was set, and stood elsewhere a moment later.
fn moved_meanwhile(name: &QualifiedName, wanted: SequenceValue, stands: SequenceValue) -> Finding {
    Finding {
        severity: Severity::Warning,
        object: format!("sequence {name}"),
        reason: format!(
            "set to {} and found at {}: somebody draws numbers on the target",
            wanted.last_value, stands.last_value
        ),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASCENDING: TargetFacts =
        TargetFacts { descending: false, cycles: false, accessible: true };
    const DESCENDING: TargetFacts = TargetFacts { descending: true, ..ASCENDING };
    const CYCLING: TargetFacts = TargetFacts { cycles: true, ..ASCENDING };

    fn at(last_value: i64, is_called: bool) -> SequenceValue {
        SequenceValue { last_value, is_called }
    }

    // trap X-24
    #[test]
    fn a_sequence_never_moves_backwards() {
        assert_eq!(judge(ASCENDING, at(10, true), at(11, true)), Step::Ahead);
        assert_eq!(judge(DESCENDING, at(-10, true), at(-11, true)), Step::Ahead);
        assert_eq!(judge(ASCENDING, at(1, false), at(1, true)), Step::Ahead);
        assert_eq!(judge(ASCENDING, at(10, true), at(9, true)), Step::Move);
        assert_eq!(judge(DESCENDING, at(-10, true), at(-9, true)), Step::Move);
    }

    // trap D-28
    #[test]
    fn an_unused_sequence_is_never_ahead() {
        assert_eq!(judge(ASCENDING, at(5, true), at(100, false)), Step::Move);
        assert_eq!(judge(ASCENDING, at(5, false), at(5, false)), Step::Stay);
        assert_eq!(judge(ASCENDING, at(5, true), at(5, false)), Step::Move);
        assert_eq!(judge(DESCENDING, at(-5, true), at(-100, false)), Step::Move);
    }

    #[test]
    fn a_cycling_sequence_knows_no_ahead() {
        assert_eq!(judge(CYCLING, at(1, true), at(9, true)), Step::Move);
    }

    #[test]
    fn the_ends_of_the_number_range_are_compared_without_overflow() {
        assert_eq!(judge(ASCENDING, at(i64::MAX, true), at(i64::MIN, true)), Step::Move);
        assert_eq!(judge(DESCENDING, at(i64::MIN, true), at(i64::MAX, true)), Step::Move);
    }
}
