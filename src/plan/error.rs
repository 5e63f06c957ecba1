//! Why no plan can be made.

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// `--copy-format binary`, and a table has a column whose binary form is not portable.
    #[error("{table} cannot be copied in binary format: {reason}{}", more(*.others))]
    BinaryNotPortable {
        /// The first such table.
        table: String,
        /// The column, its type, and why.
        reason: String,
        /// How many more tables there are.
        others: u64,
    },
    /// A table that the filters keep needs what they leave out, and the target does not bring it.
    #[error("{table} is kept by the filters and needs {needed}, which they leave out{}", more(*.others))]
    NeededLeftOut {
        /// The first such table.
        table: String,
        /// What it needs.
        needed: String,
        /// How many more tables there are.
        others: u64,
    },
    /// More jobs than identities; only a broken threshold can do that.
    #[error("the plan has {0} jobs, at most {max} are possible", max = u32::MAX)]
    TooManyJobs(u64),
}

impl PlanError {
    /// What to do about it, a whole sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::BinaryNotPortable { .. } => {
                "Use `--copy-format auto`, which takes text for such tables only."
            }
            Self::NeededLeftOut { .. } => {
                "Leave the table out as well, keep what it needs, or create that on the target first."
            }
            Self::TooManyJobs(_) => "Give a larger size to `--split-tables-larger-than`.",
        }
    }
}

impl From<PlanError> for crate::base::error::Error {
    fn from(error: PlanError) -> Self {
        Self::config(error.to_string()).hint(error.hint())
    }
}

/// `", and 3 more tables"`, or nothing.
fn more(others: u64) -> String {
    match others {
        0 => String::new(),
        1 => ", and one more table".to_owned(),
        _ => format!(", and {others} more tables"),
    }
}
