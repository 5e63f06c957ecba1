//! Foreign keys (K11): added NOT VALID, then validated in parallel.

use serde::{Deserialize, Serialize};

use super::job::Stage;
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::catalog::model::{Constraint, Oid};

/// A foreign key that we add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKeyPlan {
    /// `pg_constraint.oid` on the source.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// The referencing table.
    pub table: ForeignKeyTable,
    /// The referenced table.
    pub referenced: ForeignKeyTable,
    /// `ALTER TABLE … ADD CONSTRAINT … FOREIGN KEY …`, NOT VALID where it is validated later.
    pub add: String,
    /// When its rows are checked.
    pub validation: Validation,
    /// Whether it waits for post-data.
    pub stage: Stage,
    /// Finds up to five keys without a partner, for the report; `None` for temporal keys.
    pub orphans: Option<String>,
    /// The index on the referenced table that it stands on.
    pub referenced_index_oid: Option<Oid>,
}

/// One end of a foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKeyTable {
    /// `pg_class.oid` on the source.
    pub oid: Oid,
    /// Name.
    pub name: QualifiedName,
    /// Its position in [`super::Plan::tables`]; `None` for a partitioned table.
    pub table: Option<u32>,
    /// It is a partitioned table.
    pub partitioned: bool,
}

/// When the rows of a foreign key are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Validation {
    /// By VALIDATE CONSTRAINT, in its own job.
    Separate,
    /// By ADD CONSTRAINT itself: NOT VALID is refused there.
    WithAdd,
    /// Never: NOT VALID or NOT ENFORCED on the source, and so on the target (D-5).
    Never,
}

impl ForeignKeyPlan {
    /// `ALTER TABLE … VALIDATE CONSTRAINT …`.
    pub fn validate(&self) -> String {
        format!(
            "ALTER TABLE {} VALIDATE CONSTRAINT {}",
            self.table.name.sql(),
            quote_identifier(&self.name)
        )
    }
}

/// First major version that takes NOT VALID foreign keys on partitioned tables.
///
/// Source: PostgreSQL 18 release notes, "Allow NOT VALID foreign key constraints on partitioned
/// tables".
const NOT_VALID_ON_PARTITIONED_MAJOR: u32 = 18;

/// The plan of one foreign key; `check_rows` is false where the referenced rows are not copied (T-23).
pub(super) fn foreign_key_plan(
    constraint: &Constraint,
    table: ForeignKeyTable,
    referenced: ForeignKeyTable,
    target_major: u32,
    check_rows: bool,
) -> ForeignKeyPlan {
    let validated = constraint.validated && constraint.enforced;
    let may_be_not_valid = !table.partitioned || target_major >= NOT_VALID_ON_PARTITIONED_MAJOR;
    let (validation, suffix) = if !validated {
        // The definition says NOT VALID or NOT ENFORCED itself.
        (Validation::Never, "")
    } else if !may_be_not_valid {
        (Validation::WithAdd, "")
    } else if check_rows {
        (Validation::Separate, " NOT VALID")
    } else {
        (Validation::Never, " NOT VALID")
    };
    // PostgreSQL refuses ONLY here on a partitioned table: "cannot use ONLY for foreign key".
    let only = if table.partitioned { "" } else { "ONLY " };
    let stage = if table.partitioned || referenced.partitioned {
        Stage::AfterPostData
    } else {
        Stage::Data
    };
    let add = format!(
        "ALTER TABLE {only}{} ADD CONSTRAINT {} {}{suffix}",
        table.name.sql(),
        quote_identifier(&constraint.name),
        constraint.definition
    );
    let orphans = match constraint.temporal {
        true => None,
        false => orphan_query(&constraint.definition, &table, &referenced),
    };
    ForeignKeyPlan {
        oid: constraint.oid,
        name: constraint.name.clone(),
        add,
        validation,
        stage,
        orphans,
        referenced_index_oid: constraint.index_oid,
        table,
        referenced,
    }
}

/// A query for up to five keys of `table` that have no partner, read from a definition of the form
/// `FOREIGN KEY (a, b) REFERENCES s.t(c, d) [MATCH FULL] …`; `None` when it does not have that form.
///
/// Rows with a NULL in the key are no orphans (MATCH SIMPLE, which is the default). MATCH FULL also
/// refuses keys that are partly NULL; those are found too.
fn orphan_query(
    definition: &str,
    table: &ForeignKeyTable,
    referenced: &ForeignKeyTable,
) -> Option<String> {
    let rest = definition.strip_prefix("FOREIGN KEY ")?;
    let (columns, rest) = column_list(rest)?;
    let rest = rest.trim_start().strip_prefix("REFERENCES ")?;
    let open = unquoted(rest, b'(')?;
    let (keys, rest) = column_list(rest.get(open..)?)?;
    if columns.is_empty() || columns.len() != keys.len() {
        return None;
    }
    let only = |end: &ForeignKeyTable| if end.partitioned { "" } else { "only " };
    let each = |format: &dyn Fn(&str) -> String, separator: &str| {
        columns.iter().map(|column| format(column)).collect::<Vec<_>>().join(separator)
    };
    let list = each(&|column| format!("r.{column}"), ", ");
    let complete = each(&|column| format!("r.{column} is not null"), " and ");
    let equal: Vec<String> =
        columns.iter().zip(&keys).map(|(column, key)| format!("p.{key} = r.{column}")).collect();
    let mut condition = format!(
        "{complete} and not exists (select from {}{} p where {})",
        only(referenced),
        referenced.name.sql(),
        equal.join(" and ")
    );
    if rest.contains("MATCH FULL") && columns.len() > 1 {
        let partly = each(&|column| format!("r.{column} is null"), " or ");
        let some = each(&|column| format!("r.{column} is not null"), " or ");
        condition = format!("({condition}) or (({partly}) and ({some}))");
    }
    Some(format!(
        "select distinct {list} from {}{} r where {condition} limit 5",
        only(table),
        table.name.sql()
    ))
}

/// Splits `(a, "b, c") rest` into its columns, quoted as they are, and the rest.
fn column_list(text: &str) -> Option<(Vec<&str>, &str)> {
    let inner = text.strip_prefix('(')?;
    let close = unquoted(inner, b')')?;
    let (mut list, rest) = inner.split_at_checked(close)?;
    let mut columns = Vec::new();
    while let Some(comma) = unquoted(list, b',') {
        columns.push(list.get(..comma)?.trim());
        list = list.get(comma + 1..)?;
    }
    columns.push(list.trim());
    Some((columns, rest.get(1..)?))
}

/// Position of the first `wanted` outside double quotes.
fn unquoted(text: &str, wanted: u8) -> Option<usize> {
    let mut quoted = false;
    text.bytes().position(|byte| {
        // A doubled quote inside a name toggles twice, which is the same as not at all.
        quoted ^= byte == b'"';
        !quoted && byte == wanted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(name: &str, partitioned: bool) -> ForeignKeyTable {
        ForeignKeyTable { oid: 1, name: QualifiedName::new("s", name), table: None, partitioned }
    }

    fn constraint(definition: &str) -> Constraint {
        Constraint {
            name: "fk".into(),
            definition: definition.into(),
            validated: true,
            enforced: true,
            ..Constraint::default()
        }
    }

    #[test]
    fn plain_tables_get_not_valid_then_validate() {
        let plan = foreign_key_plan(
            &constraint("FOREIGN KEY (a) REFERENCES s.p(id) ON DELETE CASCADE"),
            end("r", false),
            end("p", false),
            14,
            true,
        );
        assert_eq!(
            plan.add,
            "ALTER TABLE ONLY \"s\".\"r\" ADD CONSTRAINT \"fk\" FOREIGN KEY (a) REFERENCES s.p(id) \
             ON DELETE CASCADE NOT VALID"
        );
        assert_eq!(plan.validate(), "ALTER TABLE \"s\".\"r\" VALIDATE CONSTRAINT \"fk\"");
        assert_eq!((plan.validation, plan.stage), (Validation::Separate, Stage::Data));
    }

    // trap D-7
    #[test]
    fn partitioned_tables_wait_for_post_data() {
        let fk = constraint("FOREIGN KEY (a) REFERENCES s.p(id)");
        let plan =
            |from, to, major| foreign_key_plan(&fk, end("r", from), end("p", to), major, true);
        let old = plan(true, false, 17);
        assert_eq!((old.validation, old.stage), (Validation::WithAdd, Stage::AfterPostData));
        assert_eq!(
            old.add,
            "ALTER TABLE \"s\".\"r\" ADD CONSTRAINT \"fk\" FOREIGN KEY (a) REFERENCES s.p(id)"
        );
        assert_eq!(plan(true, true, 18).validation, Validation::Separate);
        let to_partitioned = plan(false, true, 15);
        assert_eq!(to_partitioned.stage, Stage::AfterPostData);
        assert_eq!(to_partitioned.validation, Validation::Separate);
    }

    // trap D-4 D-5
    #[test]
    fn unvalidated_and_unenforced_keys_stay_so() {
        for (validated, enforced, definition) in [
            (false, true, "FOREIGN KEY (a) REFERENCES s.p(id) NOT VALID"),
            (false, false, "FOREIGN KEY (a) REFERENCES s.p(id) NOT ENFORCED"),
        ] {
            let fk = Constraint { validated, enforced, ..constraint(definition) };
            let plan = foreign_key_plan(&fk, end("r", false), end("p", false), 18, true);
            assert_eq!(plan.validation, Validation::Never);
            assert!(plan.add.ends_with(definition), "{}", plan.add);
        }
    }

    // trap D-6
    #[test]
    fn orphans_are_sampled_with_the_key_columns() {
        let query =
            |definition| orphan_query(definition, &end("r", false), &end("p", true)).unwrap();
        assert_eq!(
            query("FOREIGN KEY (a, \"B, (\"\"x\") REFERENCES s.\"p(\"(id, k) ON UPDATE CASCADE"),
            "select distinct r.a, r.\"B, (\"\"x\" from only \"s\".\"r\" r where r.a is not null and \
             r.\"B, (\"\"x\" is not null and not exists (select from \"s\".\"p\" p where p.id = r.a \
             and p.k = r.\"B, (\"\"x\") limit 5"
        );
        assert!(query("FOREIGN KEY (a, b) REFERENCES s.p(id, k) MATCH FULL").contains(
            "or ((r.a is null or r.b is null) and (r.a is not null or r.b is not null))"
        ));
        for broken in ["", "CHECK (a > 0)", "FOREIGN KEY (a", "FOREIGN KEY (a) REFERENCES s.p"] {
            assert_eq!(orphan_query(broken, &end("r", false), &end("p", false)), None);
        }
    }
}
