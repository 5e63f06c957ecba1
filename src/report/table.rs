//! Aligned text tables in the manner of psql.

use std::fmt::Write as _;

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text that is read from its start.
    Left,
    /// Numbers, and everything in the end-of-run table.
    Right,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// Side of headings and cells.
    pub align: Align,
    /// Fewest columns of text that it takes.
    pub width_min: usize,
}

impl Column {
    /// A left-aligned column.
    pub const fn left(name: &'static str) -> Self {
        Self { name, align: Align::Left, width_min: 0 }
    }

    /// A right-aligned column.
    pub const fn right(name: &'static str) -> Self {
        Self { name, align: Align::Right, width_min: 0 }
    }
}

/// Renders rows under headings: ` | ` between columns, a `-+-` rule under the headings, widths
/// fitted to the data. Blanks at line ends are left out; every line ends with a newline.
///
/// ```text
///   OID | Schema | Name
/// ------+--------+-------
/// 16398 | public | rental
/// ```
pub fn render(columns: &[Column], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| width(cell));
            cells.chain([width(column.name), column.width_min]).max().unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    let headings: Vec<&str> = columns.iter().map(|column| column.name).collect();
    push_line(&mut text, &headings, columns, &widths);
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let _ = writeln!(text, "{}", rule.join("-+-"));
    for row in rows {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        push_line(&mut text, &cells, columns, &widths);
    }
    text
}

/// Appends one line of cells.
fn push_line(text: &mut String, cells: &[&str], columns: &[Column], widths: &[usize]) {
    let padded: Vec<String> = cells
        .iter()
        .zip(columns)
        .zip(widths)
        .map(|((cell, column), column_width)| {
            let blanks = " ".repeat(column_width.saturating_sub(width(cell)));
            match column.align {
                Align::Left => format!("{cell}{blanks}"),
                Align::Right => format!("{blanks}{cell}"),
            }
        })
        .collect();
    let _ = writeln!(text, "{}", padded.join(" | ").trim_end());
}

/// Columns that a text takes, one per character.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_follow_the_longest_cell_or_heading() {
        let columns = [Column::right("OID"), Column::left("Name"), Column::right("n")];
        let rows = [
            vec!["16398".to_owned(), "a".to_owned(), "1".to_owned()],
            vec!["7".to_owned(), "rental".to_owned(), "1234".to_owned()],
        ];
        assert_eq!(
            render(&columns, &rows),
            "  OID | Name   |    n\n\
             ------+--------+-----\n\
             16398 | a      |    1\n    7 | rental | 1234\n"
        );
    }

    // trap T-19
    #[test]
    fn names_of_several_bytes_per_character_line_up() {
        let rows = [vec!["таблица".to_owned(), "1".to_owned()], vec!["t".into(), "2".into()]];
        let text = render(&[Column::left("Name"), Column::left("n")], &rows);
        let bars: Vec<usize> = text
            .lines()
            .filter_map(|line| line.chars().position(|character| "|+".contains(character)))
            .collect();
        assert_eq!(bars, [8, 8, 8, 8]);
    }
}
