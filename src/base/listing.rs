//! A result as rows, to be shown as a table or as JSON.

/// Rows under headings, and the same for programs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Headings, first to last.
    pub headings: &'static [Heading],
    /// Cells, as many per row as there are headings.
    pub rows: Vec<Vec<String>>,
    /// The same as a JSON document.
    pub json: serde_json::Value,
}

/// The heading of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// What it says.
    pub name: &'static str,
    /// Columns of text that the cells take at least; 0 for the last one, which is left-aligned and
    /// as wide as its text.
    pub width_min: usize,
}

impl Heading {
    /// A right-aligned column of at least this width.
    pub const fn wide(name: &'static str, width_min: usize) -> Self {
        Self { name, width_min }
    }

    /// A left-aligned column of any width.
    pub const fn last(name: &'static str) -> Self {
        Self { name, width_min: 0 }
    }
}
