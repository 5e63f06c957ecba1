//! Which column's ranges can cut a table into parts.

use super::model::{Column, Index, Oid, SplitKey, Table, TableKind};

/// `pg_type.oid` of int8, int2 and int4: fixed by the server's source.
const INTEGER_TYPES: [Oid; 3] = [20, 21, 23];

/// The best split key of a table among its indexes.
///
/// It takes a btree index that is valid, unique, covers all rows (S-9) and has one plain column of an
/// integer type. The primary key comes first, then columns without NULLs, then the oldest index.
pub(super) fn choose<'a>(
    table: &Table,
    indexes: impl IntoIterator<Item = &'a Index>,
) -> Option<SplitKey> {
    match table.kind {
        TableKind::Ordinary | TableKind::MaterializedView => {}
        TableKind::Partitioned
        | TableKind::Foreign
        | TableKind::View
        | TableKind::Sequence
        | TableKind::Other => return None,
    }
    let (_, column) = indexes
        .into_iter()
        .filter_map(|index| Some((index, key_column(table, index)?)))
        .min_by_key(|(index, column)| (!index.primary, !column.not_null, index.oid))?;
    Some(SplitKey { column: column.name.clone(), nullable: !column.not_null })
}

/// The one integer column under an index that proves it unique over all rows.
fn key_column<'a>(table: &'a Table, index: &Index) -> Option<&'a Column> {
    let usable = index.unique && index.valid && !index.partial && index.access_method == "btree";
    let [number] = index.key_columns.as_slice() else { return None };
    let column = table.columns.iter().find(|column| column.number == *number)?;
    (usable && INTEGER_TYPES.contains(&column.type_oid)).then_some(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns: 1 bigint, 2 integer NOT NULL, 3 text, 4 integer NOT NULL (2 is dropped before it).
    fn table() -> Table {
        let column = |number, name: &str, type_oid, not_null| Column {
            number,
            name: name.to_owned(),
            type_oid,
            not_null,
            ..Column::default()
        };
        Table {
            columns: vec![
                column(1, "big", 20, false),
                column(3, "label", 25, true),
                column(4, "small", 23, true),
            ],
            ..Table::default()
        }
    }

    fn index(oid: Oid, key_columns: &[i16]) -> Index {
        Index {
            oid,
            unique: true,
            valid: true,
            key_columns: key_columns.to_vec(),
            access_method: "btree".to_owned(),
            ..Index::default()
        }
    }

    fn chosen(indexes: &[Index]) -> Option<(String, bool)> {
        choose(&table(), indexes).map(|key| (key.column, key.nullable))
    }

    // trap S-9
    #[test]
    fn only_complete_unique_single_integer_indexes_count() {
        let usable = index(9, &[4]);
        assert_eq!(chosen(std::slice::from_ref(&usable)), Some(("small".to_owned(), false)));
        for unusable in [
            Index { partial: true, ..usable.clone() },
            Index { valid: false, ..usable.clone() },
            Index { unique: false, ..usable.clone() },
            Index { access_method: "hash".to_owned(), ..usable.clone() },
            index(9, &[0]),
            index(9, &[3]),
            index(9, &[4, 1]),
            index(9, &[]),
        ] {
            assert_eq!(chosen(std::slice::from_ref(&unusable)), None, "{unusable:?}");
        }
    }

    #[test]
    fn primary_key_then_not_null_then_oldest() {
        let nullable = index(1, &[1]);
        let not_null = index(3, &[4]);
        let primary = Index { primary: true, ..index(7, &[1]) };
        assert_eq!(chosen(std::slice::from_ref(&nullable)), Some(("big".to_owned(), true)));
        assert_eq!(chosen(&[nullable.clone(), not_null.clone()]).unwrap().0, "small");
        assert_eq!(chosen(&[nullable, not_null, primary]).unwrap().0, "big");
    }

    #[test]
    fn relations_without_rows_of_their_own_have_no_key() {
        for kind in [TableKind::Partitioned, TableKind::Foreign] {
            let table = Table { kind, ..table() };
            assert_eq!(choose(&table, [&index(1, &[4])]), None);
        }
    }
}
