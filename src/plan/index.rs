//! Indexes and the constraints that stand on them (K10).
//!
//! | on the source | built by |
//! |---|---|
//! | index of an ordinary table or leaf partition | us, under its own name: pg_restore's ATTACH finds it |
//! | PRIMARY KEY, UNIQUE of the same | us: CREATE UNIQUE INDEX, then ADD CONSTRAINT … USING INDEX |
//! | EXCLUDE, WITHOUT OVERLAPS of the same | us: ADD CONSTRAINT from the definition, no index of its own |
//! | index or constraint of a partitioned table, ATTACH | pg_restore, post-data |
//! | index of a materialized view | pg_restore, post-data, with the REFRESH |
//! | invalid index | nobody: skipped and named, as pg_dump does |
//!
//! pg_dump writes a leaf's key as one CONSTRAINT entry (catalog 2606) and its other indexes as INDEX
//! entries (1259); those are what we leave out. The parent's `ALTER TABLE ONLY … ADD CONSTRAINT` makes
//! an invalid index without children, and each INDEX ATTACH entry then finds the leaf's index and its
//! constraint by name, whoever built them.

use serde::{Deserialize, Serialize};

use crate::base::ident::{QualifiedName, quote_identifier, quote_literal};
use crate::catalog::model::{Constraint, ConstraintKind, Index, Oid};

/// An index that we build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPlan {
    /// `pg_class.oid` on the source.
    pub oid: Oid,
    /// Name, the same on both ends.
    pub name: QualifiedName,
    /// Its table in [`super::Plan::tables`].
    pub table: u32,
    /// `CREATE [UNIQUE] INDEX …`.
    pub create: String,
    /// Tablespace to set as `default_tablespace` around `create`; `None` leaves the database's.
    pub tablespace: Option<String>,
    /// Statements after `create`, in the same transaction; they lock the index only.
    pub after: Vec<String>,
    /// Bytes on the source's disk.
    pub bytes: u64,
}

impl IndexPlan {
    /// `SET LOCAL default_tablespace`, when the index has a tablespace of its own.
    pub fn tablespace_statement(&self) -> Option<String> {
        let name = self.tablespace.as_ref()?;
        Some(format!("SET LOCAL default_tablespace = {}", quote_literal(name)))
    }
}

/// A primary key, unique, exclusion or temporal constraint that we add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstraintPlan {
    /// `pg_constraint.oid` on the source.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Its table in [`super::Plan::tables`].
    pub table: u32,
    /// What it is.
    pub kind: ConstraintKind,
    /// `ALTER TABLE … ADD CONSTRAINT …`.
    pub add: String,
    /// Adding it builds an index, instead of taking one that exists: exclusion and temporal
    /// constraints.
    pub own_index: bool,
    /// Tablespace to set as `default_tablespace` around `add`, for constraints that make their own
    /// index.
    pub tablespace: Option<String>,
}

impl ConstraintPlan {
    /// `SET LOCAL default_tablespace`, when its index has a tablespace of its own.
    pub fn tablespace_statement(&self) -> Option<String> {
        let name = self.tablespace.as_ref()?;
        Some(format!("SET LOCAL default_tablespace = {}", quote_literal(name)))
    }
}

/// The constraint makes its own index: it cannot be attached USING INDEX (D-1, D-3).
pub(super) fn makes_own_index(constraint: &Constraint) -> bool {
    constraint.temporal || constraint.kind == ConstraintKind::Exclusion
}

/// The plan of an index that we build.
pub(super) fn index_plan(index: &Index, table: u32, keep_tablespace: bool) -> IndexPlan {
    IndexPlan {
        oid: index.oid,
        name: index.name.clone(),
        table,
        create: index.definition.clone(),
        tablespace: index.tablespace.clone().filter(|_| keep_tablespace),
        after: index_statements(index),
        bytes: index.bytes,
    }
}

/// The plan of a key, unique, exclusion or temporal constraint.
///
/// `index` is the index that stands for it on the source.
pub(super) fn constraint_plan(
    constraint: &Constraint,
    index: &Index,
    table: (u32, &QualifiedName),
    keep_tablespace: bool,
) -> ConstraintPlan {
    let (position, table_name) = table;
    let own_index = makes_own_index(constraint);
    let body = if own_index {
        // The definition says DEFERRABLE itself.
        constraint.definition.clone()
    } else {
        let kind =
            if constraint.kind == ConstraintKind::PrimaryKey { "PRIMARY KEY" } else { "UNIQUE" };
        let deferral = match (constraint.deferrable, constraint.deferred) {
            (false, _) => "",
            (true, false) => " DEFERRABLE",
            (true, true) => " DEFERRABLE INITIALLY DEFERRED",
        };
        format!("{kind} USING INDEX {}{deferral}", quote_identifier(&index.name.name))
    };
    ConstraintPlan {
        oid: constraint.oid,
        name: constraint.name.clone(),
        table: position,
        kind: constraint.kind,
        add: format!(
            "ALTER TABLE ONLY {} ADD CONSTRAINT {} {body}",
            table_name.sql(),
            quote_identifier(&constraint.name)
        ),
        own_index,
        tablespace: index.tablespace.clone().filter(|_| own_index && keep_tablespace),
    }
}

/// What pg_dump hides inside an index entry and that locks the index only (D-12).
pub(super) fn index_statements(index: &Index) -> Vec<String> {
    let name = index.name.sql();
    let statistics = index.statistics.iter().map(|(column, target)| {
        format!("ALTER INDEX {name} ALTER COLUMN {column} SET STATISTICS {target}")
    });
    let extensions = index.depends_on_extensions.iter().map(|extension| {
        format!("ALTER INDEX {name} DEPENDS ON EXTENSION {}", quote_identifier(extension))
    });
    statistics.chain(extensions).collect()
}

/// What pg_dump hides inside an index entry and that locks the whole table (D-12).
pub(super) fn table_statements(index: &Index, table: &QualifiedName, out: &mut Vec<String>) {
    let index_name = quote_identifier(&index.name.name);
    if index.clustered {
        out.push(format!("ALTER TABLE {} CLUSTER ON {index_name}", table.sql()));
    }
    if index.replica_identity {
        out.push(format!(
            "ALTER TABLE ONLY {} REPLICA IDENTITY USING INDEX {index_name}",
            table.sql()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        Index {
            name: QualifiedName::new("s", "T_pkey"),
            tablespace: Some("fast".into()),
            ..Index::default()
        }
    }

    fn added(constraint: Constraint) -> ConstraintPlan {
        constraint_plan(&constraint, &index(), (0, &QualifiedName::new("s", "T")), true)
    }

    // trap D-2
    #[test]
    fn keys_keep_their_deferral_when_attached() {
        let key = |deferrable, deferred, kind| Constraint {
            name: "T_pkey".into(),
            kind,
            deferrable,
            deferred,
            definition: "ignored".into(),
            ..Constraint::default()
        };
        let sql = |d, i, kind| added(key(d, i, kind)).add;
        let head = "ALTER TABLE ONLY \"s\".\"T\" ADD CONSTRAINT \"T_pkey\"";
        assert_eq!(
            sql(false, false, ConstraintKind::PrimaryKey),
            format!("{head} PRIMARY KEY USING INDEX \"T_pkey\"")
        );
        assert_eq!(
            sql(true, false, ConstraintKind::Unique),
            format!("{head} UNIQUE USING INDEX \"T_pkey\" DEFERRABLE")
        );
        assert_eq!(
            sql(true, true, ConstraintKind::Unique),
            format!("{head} UNIQUE USING INDEX \"T_pkey\" DEFERRABLE INITIALLY DEFERRED")
        );
    }

    // trap D-1 D-3
    #[test]
    fn exclusion_and_temporal_constraints_come_from_their_definition() {
        for (kind, temporal, definition) in [
            (ConstraintKind::Exclusion, false, "EXCLUDE USING gist (r WITH &&) DEFERRABLE"),
            (ConstraintKind::PrimaryKey, true, "PRIMARY KEY (id, p WITHOUT OVERLAPS)"),
        ] {
            let plan = added(Constraint {
                name: "c".into(),
                kind,
                temporal,
                deferrable: kind == ConstraintKind::Exclusion,
                definition: definition.into(),
                ..Constraint::default()
            });
            assert_eq!(
                plan.add,
                format!("ALTER TABLE ONLY \"s\".\"T\" ADD CONSTRAINT \"c\" {definition}")
            );
            assert_eq!(plan.tablespace.as_deref(), Some("fast"));
        }
    }

    // trap D-12
    #[test]
    fn hidden_statements_of_an_index_are_issued_again() {
        let index = Index {
            name: QualifiedName::new("s", "i"),
            clustered: true,
            replica_identity: true,
            statistics: vec![(1, 500), (3, 0)],
            depends_on_extensions: vec!["post\"gis".into()],
            ..Index::default()
        };
        assert_eq!(
            index_statements(&index),
            [
                "ALTER INDEX \"s\".\"i\" ALTER COLUMN 1 SET STATISTICS 500",
                "ALTER INDEX \"s\".\"i\" ALTER COLUMN 3 SET STATISTICS 0",
                "ALTER INDEX \"s\".\"i\" DEPENDS ON EXTENSION \"post\"\"gis\"",
            ]
        );
        let mut statements = Vec::new();
        table_statements(&index, &QualifiedName::new("s", "t"), &mut statements);
        assert_eq!(
            statements,
            [
                "ALTER TABLE \"s\".\"t\" CLUSTER ON \"i\"",
                "ALTER TABLE ONLY \"s\".\"t\" REPLICA IDENTITY USING INDEX \"i\"",
            ]
        );
    }

    #[test]
    fn tablespace_names_travel_as_literals() {
        let plan = index_plan(&index(), 0, true);
        assert_eq!(plan.tablespace_statement().unwrap(), "SET LOCAL default_tablespace = 'fast'");
        assert_eq!(index_plan(&index(), 0, false).tablespace_statement(), None);
    }
}
