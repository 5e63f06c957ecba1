//! Catalogs and options for the tests of this module.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::options::PlanOptions;
use crate::base::ident::QualifiedName;
use crate::catalog::model::{
    Column, Constraint, ConstraintKind, Index, Oid, Sequence, ServerFacts, SourceCatalog, Table,
    TableKind, TargetFacts, TypeInfo, TypeKind,
};
use crate::config::clone::{CopyFormat, Jobs, SchemaOptions, Skip, Split, SplitThreshold};

/// `int4`.
pub(super) const INT4: Oid = 23;

/// Bytes in a mebibyte.
pub(super) const MIB: u64 = 1 << 20;

/// Four workers of each kind, every choice left to the program.
pub(super) fn options() -> PlanOptions {
    PlanOptions {
        jobs: Jobs { table: 4, index: 4, restore: 4, large_objects: 4 },
        split: Split::default(),
        copy_format: CopyFormat::Auto,
        skip: Skip::default(),
        schema: SchemaOptions::default(),
        extension_versions: BTreeMap::new(),
    }
}

/// The same with a threshold.
pub(super) fn options_with_threshold(threshold: SplitThreshold) -> PlanOptions {
    let options = options();
    PlanOptions { split: Split { threshold, ..options.split }, ..options }
}

/// A server of a major version.
pub(super) fn server(major: u32) -> ServerFacts {
    ServerFacts {
        version: major * 10_000,
        encoding: "UTF8".into(),
        block_size: 8192,
        integer_datetimes: true,
        ..ServerFacts::default()
    }
}

/// An empty target of a major version.
pub(super) fn target(major: u32) -> TargetFacts {
    TargetFacts { server: server(major), ..TargetFacts::default() }
}

/// A heap table of `bytes` in schema `s` with one `int4` column.
pub(super) fn table(oid: Oid, bytes: u64) -> Table {
    Table {
        oid,
        name: QualifiedName::new("s", format!("t{oid}")),
        access_method: Some("heap".into()),
        file_node: oid,
        heap_bytes: bytes,
        bytes,
        may_select: true,
        columns: vec![column("id", INT4)],
        ..Table::default()
    }
}

/// A column.
pub(super) fn column(name: &str, type_oid: Oid) -> Column {
    Column {
        name: name.into(),
        type_oid,
        type_name: format!("type {type_oid}"),
        ..Column::default()
    }
}

/// A valid index.
pub(super) fn index(oid: Oid, table_oid: Oid, bytes: u64) -> Index {
    Index {
        oid,
        name: QualifiedName::new("s", format!("i{oid}")),
        table_oid,
        definition: format!("CREATE INDEX i{oid} ON s.t{table_oid} USING btree (id)"),
        valid: true,
        bytes,
        ..Index::default()
    }
}

/// A primary key on an index; the index must be told too.
pub(super) fn key(oid: Oid, index: &mut Index) -> Constraint {
    index.constraint_oid = Some(oid);
    Constraint {
        oid,
        name: index.name.name.clone(),
        kind: ConstraintKind::PrimaryKey,
        table_oid: index.table_oid,
        index_oid: Some(index.oid),
        definition: "PRIMARY KEY (id)".into(),
        validated: true,
        enforced: true,
        ..Constraint::default()
    }
}

/// A foreign key between two tables.
pub(super) fn foreign_key(oid: Oid, from: Oid, to: Oid) -> Constraint {
    Constraint {
        oid,
        name: format!("f{oid}"),
        kind: ConstraintKind::ForeignKey,
        table_oid: from,
        referenced_oid: Some(to),
        definition: format!("FOREIGN KEY (id) REFERENCES s.t{to}(id)"),
        validated: true,
        enforced: true,
        ..Constraint::default()
    }
}

/// A catalog of version 15 with these tables, largest first.
pub(super) fn catalog(tables: Vec<Table>) -> SourceCatalog {
    let int4 = TypeInfo {
        oid: INT4,
        name: "integer".into(),
        kind: TypeKind::Base,
        built_in: true,
        binary_io: true,
        extension: None,
    };
    SourceCatalog {
        server: server(15),
        tables,
        types: [(INT4, int4)].into(),
        ..SourceCatalog::default()
    }
}

/// A catalog of some tables with indexes, keys, foreign keys and all else that becomes a job. Tables
/// are 0.5 MiB to 4 GiB, so that small ones, whole ones and split ones occur.
pub(super) fn any_catalog() -> impl Strategy<Value = SourceCatalog> {
    let one = (
        prop_oneof![Just(MIB / 2), 2 * MIB..8 * MIB, 512 * MIB..4096 * MIB],
        prop::collection::vec(0..64 * MIB, 0..4),
        prop::bool::ANY,
        prop::bool::weighted(0.2),
    );
    let edges = prop::collection::vec((any::<usize>(), any::<usize>()), 0..6);
    (prop::collection::vec(one, 1..8), edges, 0_u64..5000, prop::bool::ANY).prop_map(
        |(tables, edges, large_objects, sequences)| {
            let mut built = catalog(Vec::new());
            for (number, (bytes, indexes, keyed, partitioned)) in (1..).zip(tables) {
                let oid = number * 100;
                let kind = if partitioned { TableKind::Partitioned } else { TableKind::Ordinary };
                let bytes = if partitioned { 0 } else { bytes };
                built.tables.push(Table { kind, ..table(oid, bytes) });
                for (position, bytes) in (1..).zip(indexes) {
                    let mut index = Index {
                        partitioned,
                        clustered: keyed,
                        ..index(oid + position, oid, bytes)
                    };
                    if keyed && position == 1 {
                        built.constraints.push(key(oid + 50, &mut index));
                    }
                    built.indexes.push(index);
                }
            }
            let oids: Vec<Oid> = built.tables.iter().map(|table| table.oid).collect();
            for (number, (from, to)) in (5000..).zip(edges) {
                let (from, to) = (oids[from % oids.len()], oids[to % oids.len()]);
                built.constraints.push(foreign_key(number, from, to));
            }
            built.large_objects = large_objects;
            if sequences {
                built.sequences.push(Sequence { may_select: true, ..Sequence::default() });
            }
            built
        },
    )
}
