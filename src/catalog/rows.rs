//! One row of a catalog query to one value of the model: one function per query, columns in the
//! order of the query's header.

use super::model::{
    Column, Constraint, ConstraintKind, Database, Extension, Generated, Identity, Index,
    LocaleProvider, Oid, Persistence, ReplicaIdentity, Schema, Sequence, ServerFacts, Table,
    TableKind, TypeInfo, TypeKind,
};
use super::query::Fields;
use crate::base::error::Result;
use crate::base::ident::QualifiedName;

/// What `server.sql` says: the facts, and whether `system_identifier.sql` may be run.
#[derive(Debug)]
pub(super) struct ServerRow {
    /// The facts; `system_identifier` is still 0.
    pub(super) facts: ServerFacts,
    /// Our role may call `pg_control_system()`.
    pub(super) may_read_control: bool,
}

/// `server.sql`.
pub(super) fn server(fields: &mut Fields<'_>) -> Result<ServerRow> {
    let version = fields.parse()?;
    let version_text = fields.string()?;
    let may_read_control = fields.flag()?;
    let facts = ServerFacts {
        version,
        version_text,
        system_identifier: 0,
        database: fields.string()?,
        database_oid: fields.parse()?,
        encoding: fields.string()?,
        collate: fields.string()?,
        block_size: fields.parse()?,
        standby: fields.flag()?,
        role: fields.string()?,
        superuser: fields.flag()?,
        bypass_rls: fields.flag()?,
        may_create: fields.flag()?,
        replication: fields.flag()?,
        connections_max: fields.parse()?,
        integer_datetimes: fields.flag()?,
        parallel_maintenance_workers: fields.parse()?,
        worker_processes: fields.parse()?,
        maintenance_work_mem: fields.parse()?,
        shared_buffers: fields.parse()?,
        wal_level: fields.string()?,
        max_wal_size: fields.parse()?,
        frozen_xid_age: fields.parse()?,
        old_snapshot_threshold: fields.parse_optional()?,
        statement_timeout: fields.string()?,
        search_path: fields.string()?,
    };
    Ok(ServerRow { facts, may_read_control })
}

/// `databases.sql`.
pub(super) fn database(fields: &mut Fields<'_>) -> Result<Database> {
    Ok(Database {
        name: fields.string()?,
        owner: fields.string()?,
        encoding: fields.string()?,
        collate: fields.string()?,
        ctype: fields.string()?,
        provider: fields.code(|letter| match letter {
            "c" => Some(LocaleProvider::Libc),
            "i" => Some(LocaleProvider::Icu),
            "b" => Some(LocaleProvider::Builtin),
            _ => None,
        })?,
        locale: fields.optional_string()?,
        rules: fields.optional_string()?,
        tablespace: fields.optional_string()?,
        connection_limit: fields.parse()?,
        is_template: fields.flag()?,
        grants: fields.optional_text()?.map(|text| {
            let all = text.split('\u{1f}').filter(|grant| !grant.is_empty());
            all.map(str::to_owned).collect()
        }),
        comment: fields.optional_string()?,
    })
}

/// `system_identifier.sql`: an unsigned number that SQL shows as a signed one.
pub(super) fn system_identifier(fields: &mut Fields<'_>) -> Result<u64> {
    Ok(fields.parse::<i64>()?.cast_unsigned())
}

/// `schemas.sql`.
pub(super) fn schema(fields: &mut Fields<'_>) -> Result<Schema> {
    Ok(Schema {
        oid: fields.parse()?,
        name: fields.string()?,
        owner: fields.string()?,
        extension: fields.optional_string()?,
    })
}

/// `tables.sql`; sizes, columns and split key are still empty.
pub(super) fn table(fields: &mut Fields<'_>) -> Result<Table> {
    Ok(Table {
        oid: fields.parse()?,
        name: qualified_name(fields)?,
        kind: fields.code(table_kind)?,
        persistence: fields.code(|code| match code {
            "p" => Some(Persistence::Permanent),
            "u" => Some(Persistence::Unlogged),
            _ => None,
        })?,
        owner: fields.string()?,
        access_method: fields.optional_string()?,
        file_node: fields.parse()?,
        row_estimate: fields.parse_optional()?,
        partition_of: fields.parse_optional()?,
        inherits: fields.list()?,
        replica_identity: fields.code(|code| match code {
            "d" => Some(ReplicaIdentity::Default),
            "n" => Some(ReplicaIdentity::Nothing),
            "f" => Some(ReplicaIdentity::Full),
            "i" => Some(ReplicaIdentity::Index),
            _ => None,
        })?,
        with_oids: fields.flag()?,
        row_security: fields.flag()?,
        may_select: fields.flag()?,
        populated: fields.flag()?,
        extension: fields.optional_string()?,
        heap_bytes: 0,
        bytes: 0,
        columns: Vec::new(),
        split_key: None,
    })
}

/// Schema and name, two columns.
pub(super) fn qualified_name(fields: &mut Fields<'_>) -> Result<QualifiedName> {
    Ok(QualifiedName { schema: fields.string()?, name: fields.string()? })
}

/// `pg_class.relkind`; never fails, so that a newer server's kinds pass.
#[expect(clippy::unnecessary_wraps, reason = "the shape that Fields::code takes")]
pub(super) fn table_kind(code: &str) -> Option<TableKind> {
    Some(match code {
        "r" => TableKind::Ordinary,
        "p" => TableKind::Partitioned,
        "m" => TableKind::MaterializedView,
        "f" => TableKind::Foreign,
        "v" => TableKind::View,
        "S" => TableKind::Sequence,
        _ => TableKind::Other,
    })
}

/// Sizes of a table, in bytes.
#[derive(Debug)]
pub(super) struct TableSize {
    /// The table.
    pub(super) oid: Oid,
    /// Main fork.
    pub(super) heap_bytes: u64,
    /// All forks, TOAST included.
    pub(super) bytes: u64,
}

/// `table_sizes.sql`, `table_sizes_estimate.sql`.
pub(super) fn table_size(fields: &mut Fields<'_>) -> Result<TableSize> {
    Ok(TableSize { oid: fields.parse()?, heap_bytes: fields.parse()?, bytes: fields.parse()? })
}

/// `columns.sql`: the table and one of its columns.
pub(super) fn column(fields: &mut Fields<'_>) -> Result<(Oid, Column)> {
    let table_oid = fields.parse()?;
    let column = Column {
        number: fields.parse()?,
        name: fields.string()?,
        type_oid: fields.parse()?,
        type_name: fields.string()?,
        not_null: fields.flag()?,
        generated: fields.code(|code| match code {
            "" => Some(Generated::No),
            "s" => Some(Generated::Stored),
            "v" => Some(Generated::Virtual),
            _ => None,
        })?,
        identity: fields.code(|code| match code {
            "" => Some(Identity::No),
            "a" => Some(Identity::Always),
            "d" => Some(Identity::ByDefault),
            _ => None,
        })?,
    };
    Ok((table_oid, column))
}

/// `indexes.sql`; `None` for an index that was dropped since the snapshot.
pub(super) fn index(fields: &mut Fields<'_>) -> Result<Option<Index>> {
    let oid = fields.parse()?;
    let name = qualified_name(fields)?;
    let table_oid = fields.parse()?;
    let Some(definition) = fields.optional_string()? else { return Ok(None) };
    let primary = fields.flag()?;
    let unique = fields.flag()?;
    let valid = fields.flag()?;
    let partitioned = fields.flag()?;
    let parent = fields.parse_optional()?;
    let replica_identity = fields.flag()?;
    let clustered = fields.flag()?;
    let key_count = fields.parse()?;
    let mut key_columns: Vec<i16> = fields.list()?;
    key_columns.truncate(key_count);
    Ok(Some(Index {
        oid,
        name,
        table_oid,
        definition,
        primary,
        unique,
        valid,
        partitioned,
        parent,
        replica_identity,
        clustered,
        key_columns,
        partial: fields.flag()?,
        tablespace: fields.optional_string()?,
        constraint_oid: fields.parse_optional()?,
        access_method: fields.string()?,
        statistics: Vec::new(),
        depends_on_extensions: Vec::new(),
        bytes: 0,
    }))
}

/// `index_sizes.sql`, `index_sizes_estimate.sql`: the index and its bytes.
pub(super) fn index_size(fields: &mut Fields<'_>) -> Result<(Oid, u64)> {
    Ok((fields.parse()?, fields.parse()?))
}

/// `index_statistics.sql`: the index, the column's number and its target.
pub(super) fn index_statistics(fields: &mut Fields<'_>) -> Result<(Oid, (i16, i32))> {
    Ok((fields.parse()?, (fields.parse()?, fields.parse()?)))
}

/// `index_extensions.sql`: the index and an extension.
pub(super) fn index_extension(fields: &mut Fields<'_>) -> Result<(Oid, String)> {
    Ok((fields.parse()?, fields.string()?))
}

/// `constraints.sql`; `None` for a constraint that was dropped since the snapshot.
pub(super) fn constraint(fields: &mut Fields<'_>) -> Result<Option<Constraint>> {
    let oid = fields.parse()?;
    let name = fields.string()?;
    let kind = fields.code(|code| match code {
        "p" => Some(ConstraintKind::PrimaryKey),
        "u" => Some(ConstraintKind::Unique),
        "x" => Some(ConstraintKind::Exclusion),
        "f" => Some(ConstraintKind::ForeignKey),
        _ => None,
    })?;
    let table_oid = fields.parse()?;
    let index_oid = fields.parse_optional()?;
    let referenced_oid = fields.parse_optional()?;
    let Some(definition) = fields.optional_string()? else { return Ok(None) };
    Ok(Some(Constraint {
        oid,
        name,
        kind,
        table_oid,
        index_oid,
        referenced_oid,
        definition,
        deferrable: fields.flag()?,
        deferred: fields.flag()?,
        validated: fields.flag()?,
        parent: fields.parse_optional()?,
        temporal: fields.flag()?,
        enforced: fields.flag()?,
        local: fields.flag()?,
    }))
}

/// `sequences.sql`; users are still empty.
pub(super) fn sequence(fields: &mut Fields<'_>) -> Result<Sequence> {
    Ok(Sequence {
        oid: fields.parse()?,
        name: qualified_name(fields)?,
        owned_by: fields.parse_optional()?,
        may_select: fields.flag()?,
        extension: fields.optional_string()?,
        used_by: Vec::new(),
    })
}

/// `sequence_users.sql`: the sequence and a table.
pub(super) fn sequence_user(fields: &mut Fields<'_>) -> Result<(Oid, Oid)> {
    Ok((fields.parse()?, fields.parse()?))
}

/// `extensions.sql`; configuration tables are still empty.
pub(super) fn extension(fields: &mut Fields<'_>) -> Result<Extension> {
    Ok(Extension {
        oid: fields.parse()?,
        name: fields.string()?,
        version: fields.string()?,
        schema: fields.string()?,
        config_tables: Vec::new(),
    })
}

/// `extension_config.sql`: the extension, a table and its condition.
pub(super) fn extension_config(fields: &mut Fields<'_>) -> Result<(Oid, (Oid, String))> {
    Ok((fields.parse()?, (fields.parse()?, fields.string()?)))
}

/// `types.sql`; binary input and output are the type's own, what it is made of not yet regarded.
pub(super) fn type_info(fields: &mut Fields<'_>) -> Result<TypeInfo> {
    let oid = fields.parse()?;
    let name = fields.string()?;
    let code = fields.string()?;
    let built_in = fields.flag()?;
    let binary_io = fields.flag()?;
    let element = fields.parse_optional()?;
    let base = fields.parse_optional()?;
    let range_subtype = fields.parse_optional()?;
    let range_of_multirange = fields.parse_optional()?;
    let attributes = fields.list()?;
    let extension = fields.optional_string()?;
    let extension_version = fields.optional_string()?;
    let kind = match code.as_str() {
        "b" => element.map_or(TypeKind::Base, TypeKind::Array),
        "c" => TypeKind::Composite(attributes),
        "d" => base.map_or(TypeKind::Other, TypeKind::Domain),
        "e" => TypeKind::Enum,
        "r" => range_subtype.map_or(TypeKind::Other, TypeKind::Range),
        "m" => range_of_multirange.map_or(TypeKind::Other, TypeKind::Multirange),
        _ => TypeKind::Other,
    };
    Ok(TypeInfo {
        oid,
        name,
        kind,
        built_in,
        binary_io,
        extension: extension.zip(extension_version),
    })
}

/// `target_relations.sql`.
pub(super) fn target_relation(fields: &mut Fields<'_>) -> Result<(QualifiedName, TableKind)> {
    Ok((qualified_name(fields)?, fields.code(table_kind)?))
}

/// `available_extensions.sql`: name and default version.
pub(super) fn available_extension(fields: &mut Fields<'_>) -> Result<(String, String)> {
    Ok((fields.string()?, fields.optional_string()?.unwrap_or_default()))
}

/// `target_schemas.sql`, `tablespaces.sql`, `roles.sql` and the like: one text.
pub(super) fn name(fields: &mut Fields<'_>) -> Result<String> {
    fields.string()
}
