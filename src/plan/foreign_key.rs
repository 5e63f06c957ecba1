//! Foreign keys (K11): added NOT VALID, then validated in parallel.

use serde::{Deserialize, Serialize};

use super::job::Stage;
use crate::base::ident::QualifiedName;
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
    /// `pg_get_constraintdef` of the source, schema-qualified; ends with NOT VALID or NOT ENFORCED
    /// where it is never validated.
    pub definition: String,
    /// When its rows are checked.
    pub validation: Validation,
    /// Whether it waits for post-data.
    pub stage: Stage,
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
    /// By VALIDATE CONSTRAINT, after it was added NOT VALID.
    Separate,
    /// By ADD CONSTRAINT, where NOT VALID is refused. There is no [`super::JobKind::ForeignKey`],
    /// [`super::JobKind::ValidateForeignKey`] adds it.
    WithAdd,
    /// Never: NOT VALID or NOT ENFORCED on the source and so on the target (D-5), or the rows it
    /// references are left out (T-23).
    Never,
}

/// First major version that takes NOT VALID foreign keys on partitioned tables.
///
/// Source: PostgreSQL 18 release notes.
const NOT_VALID_ON_PARTITIONED_MAJOR: u32 = 18;

/// The plan of one foreign key; `check_rows` is false where the referenced rows are not copied.
///
/// What touches a partitioned table waits for post-data: its key is valid only when pg_restore has
/// attached the indexes of all its partitions.
pub(super) fn foreign_key_plan(
    constraint: &Constraint,
    table: ForeignKeyTable,
    referenced: ForeignKeyTable,
    target_major: u32,
    check_rows: bool,
) -> ForeignKeyPlan {
    let validated = constraint.validated && constraint.enforced;
    let may_be_not_valid = !table.partitioned || target_major >= NOT_VALID_ON_PARTITIONED_MAJOR;
    // A key that references a partitioned table has a copy for each of its partitions, which VALIDATE
    // leaves marked as not valid (seen on 15.20 and 18.4).
    let may_become_valid = may_be_not_valid && !referenced.partitioned;
    let validation = match validated {
        false => Validation::Never,
        true if may_be_not_valid && !check_rows => Validation::Never,
        true if may_become_valid => Validation::Separate,
        true => Validation::WithAdd,
    };
    let mut definition = constraint.definition.clone();
    if validated && validation == Validation::Never {
        definition.push_str(" NOT VALID");
    }
    let stage = if table.partitioned || referenced.partitioned {
        Stage::AfterPostData
    } else {
        Stage::Data
    };
    ForeignKeyPlan {
        oid: constraint.oid,
        name: constraint.name.clone(),
        table,
        referenced,
        definition,
        validation,
        stage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &str = "FOREIGN KEY (a) REFERENCES s.p(id) ON DELETE CASCADE";

    fn end(partitioned: bool) -> ForeignKeyTable {
        let name = QualifiedName::new("s", "t");
        ForeignKeyTable { oid: 1, name, table: None, partitioned }
    }

    fn constraint(definition: &str, validated: bool, enforced: bool) -> Constraint {
        Constraint { definition: definition.into(), validated, enforced, ..Default::default() }
    }

    fn plan(from: bool, to: bool, target_major: u32, check_rows: bool) -> ForeignKeyPlan {
        let key = constraint(DEFINITION, true, true);
        foreign_key_plan(&key, end(from), end(to), target_major, check_rows)
    }

    // trap D-7
    #[test]
    fn partitioned_tables_wait_for_post_data_and_are_not_valid_from_18_on() {
        for (from, to, major, validation, stage) in [
            (false, false, 12, Validation::Separate, Stage::Data),
            (false, true, 12, Validation::WithAdd, Stage::AfterPostData),
            (true, false, 18, Validation::Separate, Stage::AfterPostData),
            (true, false, 17, Validation::WithAdd, Stage::AfterPostData),
            (true, true, 17, Validation::WithAdd, Stage::AfterPostData),
            (true, true, 18, Validation::WithAdd, Stage::AfterPostData),
        ] {
            let plan = plan(from, to, major, true);
            assert_eq!((plan.validation, plan.stage), (validation, stage), "{from} {to} {major}");
            assert_eq!(plan.definition, DEFINITION);
        }
    }

    // trap D-4 D-5
    #[test]
    fn unvalidated_and_unenforced_keys_stay_so() {
        for (enforced, definition) in [
            (true, "FOREIGN KEY (a) REFERENCES s.p(id) NOT VALID"),
            (false, "FOREIGN KEY (a) REFERENCES s.p(id) NOT ENFORCED"),
        ] {
            let key = constraint(definition, false, enforced);
            let plan = foreign_key_plan(&key, end(false), end(false), 18, true);
            assert_eq!(plan.validation, Validation::Never);
            assert_eq!(plan.definition, definition);
        }
    }

    // trap T-23
    #[test]
    fn key_to_rows_that_are_left_out_is_never_validated() {
        for to_partitioned in [false, true] {
            let plan = plan(false, to_partitioned, 15, false);
            assert_eq!(plan.validation, Validation::Never);
            assert_eq!(plan.definition, format!("{DEFINITION} NOT VALID"));
        }
        // Where NOT VALID is refused there is no such key: the caller leaves it out.
        assert_eq!(plan(true, false, 15, false).validation, Validation::WithAdd);
    }
}
