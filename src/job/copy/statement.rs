//! The text of the COPY statements of both ends.

use crate::base::ident::{QualifiedName, quote_identifier};

/// Wire format of a table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireFormat {
    /// `FORMAT binary`.
    Binary,
    /// `FORMAT text`.
    Text,
}

/// Whether the target loads rows frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Freeze {
    /// `FREEZE`: only in the transaction that truncated the table.
    Yes,
    /// Without.
    No,
}

/// `COPY … TO STDOUT` for the source.
///
/// A whole table is copied as a table: the executor is not involved, and only its own rows are
/// read, never those of its inheritance children. A part is a query on `ONLY` the table.
pub(super) fn copy_out(
    table: &QualifiedName,
    columns: &[String],
    predicate: Option<&str>,
    format: WireFormat,
) -> String {
    let from = match predicate {
        None => format!("{}{}", table.sql(), column_list(columns)),
        Some(predicate) => format!(
            "(select {} from only {} where {predicate})",
            comma_separated(columns),
            table.sql()
        ),
    };
    format!("copy {from} to stdout{}", options(format, Freeze::No))
}

/// `COPY … FROM STDIN` for the target. Columns are matched by name, whatever their order.
pub(super) fn copy_in(
    table: &QualifiedName,
    columns: &[String],
    format: WireFormat,
    freeze: Freeze,
) -> String {
    format!("copy {}{} from stdin{}", table.sql(), column_list(columns), options(format, freeze))
}

/// ` ("a", "b")`, or nothing for a table without columns to send: an empty list is a syntax error,
/// and without a list COPY leaves generated columns out by itself.
fn column_list(columns: &[String]) -> String {
    if columns.is_empty() { String::new() } else { format!(" ({})", comma_separated(columns)) }
}

/// `"a", "b"`.
fn comma_separated(columns: &[String]) -> String {
    columns.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", ")
}

/// ` with (format binary, freeze)`.
fn options(format: WireFormat, freeze: Freeze) -> &'static str {
    match (format, freeze) {
        (WireFormat::Binary, Freeze::No) => " with (format binary)",
        (WireFormat::Binary, Freeze::Yes) => " with (format binary, freeze)",
        (WireFormat::Text, Freeze::No) => " with (format text)",
        (WireFormat::Text, Freeze::Yes) => " with (format text, freeze)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_tables_are_copied_as_tables_and_parts_as_queries_on_only() {
        let table = QualifiedName::new("public", "Odd\"Name");
        let columns = vec!["id".to_owned(), "a b".to_owned()];
        assert_eq!(
            copy_out(&table, &columns, None, WireFormat::Binary),
            "copy \"public\".\"Odd\"\"Name\" (\"id\", \"a b\") to stdout with (format binary)"
        );
        assert_eq!(
            copy_out(&table, &columns, Some("ctid < '(8,0)'"), WireFormat::Text),
            "copy (select \"id\", \"a b\" from only \"public\".\"Odd\"\"Name\" where ctid < \
             '(8,0)') to stdout with (format text)"
        );
        assert_eq!(
            copy_in(&table, &columns, WireFormat::Binary, Freeze::Yes),
            "copy \"public\".\"Odd\"\"Name\" (\"id\", \"a b\") from stdin with (format binary, \
             freeze)"
        );
    }

    // trap T-1
    #[test]
    fn a_table_without_columns_has_no_empty_list() {
        let table = QualifiedName::new("public", "z");
        assert_eq!(
            copy_out(&table, &[], None, WireFormat::Text),
            "copy \"public\".\"z\" to stdout with (format text)"
        );
        assert_eq!(
            copy_out(&table, &[], Some("true"), WireFormat::Text),
            "copy (select  from only \"public\".\"z\" where true) to stdout with (format text)"
        );
    }
}
