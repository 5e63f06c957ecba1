//! The steps of a run in words: labels of the tables, of `summary.json` and of log lines.

use crate::base::summary::Step;

/// A step in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepText {
    /// Label in the end-of-run table and in `summary.json`.
    pub(super) label: &'static str,
    /// Which ends it talks to.
    pub(super) connection: &'static str,
    /// Number (or numbers, for steps that run together) and description in log lines; `None` for
    /// the sum of all.
    pub(super) log: Option<(&'static str, &'static str)>,
}

/// A step in words.
///
/// Source: spec/commands.md 9.1 for labels and ends, 6.1 for the numbers.
pub(super) fn text(step: Step) -> StepText {
    let (label, connection, log) = match step {
        Step::Catalog => (
            "Catalog Queries (table ordering, filtering, etc)",
            "source",
            Some(("1", "read the catalogs, apply the filters, make the plan")),
        ),
        Step::DumpSchema => ("Dump Schema", "source", Some(("2", "dump the schema with pg_dump"))),
        Step::PrepareSchema => (
            "Prepare Schema",
            "target",
            Some(("3", "restore the pre-data section with pg_restore")),
        ),
        Step::Data => (
            "COPY, INDEX, CONSTRAINTS, VACUUM (wall clock)",
            "both",
            Some((
                "4 to 9",
                "copy table data and large objects, create indexes, add constraints, vacuum, set \
                 sequence values",
            )),
        ),
        Step::Copy => ("COPY (cumulative)", "both", Some(("4", "copy table data"))),
        Step::LargeObjects => {
            ("Large Objects (cumulative)", "both", Some(("5", "copy large objects")))
        }
        Step::CreateIndex => ("CREATE INDEX (cumulative)", "target", Some(("6", "create indexes"))),
        Step::Constraints => ("CONSTRAINTS (cumulative)", "target", Some(("7", "add constraints"))),
        Step::Vacuum => ("VACUUM (cumulative)", "target", Some(("8", "vacuum and analyze"))),
        Step::Sequences => ("Reset Sequences", "both", Some(("9", "set sequence values"))),
        Step::FinalizeSchema => (
            "Finalize Schema",
            "both",
            Some(("10", "restore the post-data section with pg_restore")),
        ),
        Step::Total => ("Total Wall Clock Duration", "both", None),
    };
    StepText { label, connection, log }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_numbers_are_one_to_ten_each_once() {
        let mut numbers: Vec<u8> =
            Step::ALL.iter().filter_map(|step| text(*step).log?.0.parse().ok()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=10).collect::<Vec<u8>>());
    }

    #[test]
    fn labels_fit_their_column() {
        for step in Step::ALL {
            assert!(text(step).label.len() <= 50, "{step:?}");
        }
    }
}
