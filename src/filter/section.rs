//! Sections: what the headings of a filter file can be.

use std::fmt;

/// A section of the filter file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Section {
    /// Only these schemas.
    IncludeOnlySchema,
    /// Not these schemas.
    ExcludeSchema,
    /// Only these tables and materialized views.
    IncludeOnlyTable,
    /// Not these tables.
    ExcludeTable,
    /// These tables without their rows.
    ExcludeTableData,
    /// Not these indexes.
    ExcludeIndex,
    /// Only these extensions.
    IncludeOnlyExtension,
    /// Not these extensions.
    ExcludeExtension,
}

impl Section {
    /// Every section.
    pub const ALL: [Self; 8] = [
        Self::IncludeOnlySchema,
        Self::ExcludeSchema,
        Self::IncludeOnlyTable,
        Self::ExcludeTable,
        Self::ExcludeTableData,
        Self::ExcludeIndex,
        Self::IncludeOnlyExtension,
        Self::ExcludeExtension,
    ];

    /// Its name between the brackets.
    pub fn name(self) -> &'static str {
        match self {
            Self::IncludeOnlySchema => "include-only-schema",
            Self::ExcludeSchema => "exclude-schema",
            Self::IncludeOnlyTable => "include-only-table",
            Self::ExcludeTable => "exclude-table",
            Self::ExcludeTableData => "exclude-table-data",
            Self::ExcludeIndex => "exclude-index",
            Self::IncludeOnlyExtension => "include-only-extension",
            Self::ExcludeExtension => "exclude-extension",
        }
    }

    /// A name that is not found is an error: it would silently migrate less than was asked for.
    pub fn must_match(self) -> bool {
        match self {
            Self::IncludeOnlySchema | Self::IncludeOnlyTable | Self::IncludeOnlyExtension => true,
            Self::ExcludeSchema
            | Self::ExcludeTable
            | Self::ExcludeTableData
            | Self::ExcludeIndex
            | Self::ExcludeExtension => false,
        }
    }
}

/// Displays the section as the file spells it, with brackets.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.name())
    }
}
