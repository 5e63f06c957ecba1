//! Reads the source's catalog under its snapshot, and what the target holds.
//!
//! Few set-based queries, whatever the number of objects (D-40); rows are turned into the model as
//! they arrive. Every list is read ordered by identifier, so that what belongs to an object finds it
//! by binary search, without a map of all objects beside the model.

use std::collections::{BTreeMap, BTreeSet};

use super::lookup::order_tables;
use super::model::{
    Database, Extension, Index, Oid, ServerFacts, SourceCatalog, Table, TargetFacts, TypeInfo,
};
use super::query::{self, Fields, Query, ServerVersion};
use super::{rows, split_key, type_graph, version};
use crate::base::error::{ErrorKind, Result};
use crate::connect::client::Session;

/// Where sizes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SizeSource {
    /// The files: exact; opens every relation and waits for ACCESS EXCLUSIVE locks of others.
    #[default]
    Files,
    /// `relpages`, as the last VACUUM or ANALYZE left it: 0 for what was never analyzed.
    Estimate,
}

/// Reads everything the plan needs to know of the source.
///
/// The session is in a REPEATABLE READ, READ ONLY transaction on the run's snapshot. Nothing is
/// written and no temporary table is made, so a standby will do (S-21). Tables come largest first, all
/// else by identifier. Indexes and constraints that were dropped since the snapshot are left out.
/// Definitions of indexes open their table on the server, so an ACCESS EXCLUSIVE lock of another
/// session is waited for, as long as `lock_timeout` allows.
///
/// On very large catalogs the server's backend keeps what it looked at in its caches, about 7 KiB per
/// relation until the session ends: read them in a session of their own that imports the snapshot.
///
/// Not cancel safe: a dropped future leaves the session in the middle of a result.
///
/// # Errors
/// The server's, naming the query's file; class `Unsupported` for a server older than 10 and for names
/// that are no UTF-8 text.
pub async fn source(session: &mut Session, sizes: SizeSource) -> Result<SourceCatalog> {
    let server = server(session).await?;
    let version = ServerVersion(server.version);
    let mut catalog = SourceCatalog {
        server,
        schemas: collect(&query::SCHEMAS, version, session, rows::schema).await?,
        tables: tables(sizes, version, session).await?,
        indexes: indexes(sizes, version, session).await?,
        ..SourceCatalog::default()
    };
    choose_split_keys(&mut catalog.tables, &catalog.indexes);
    order_tables(&mut catalog.tables);

    query::CONSTRAINTS
        .each(&[], version, session, |fields| {
            catalog.constraints.extend(rows::constraint(fields)?);
            Ok(())
        })
        .await?;
    catalog.sequences = collect(&query::SEQUENCES, version, session, rows::sequence).await?;
    let sequences = &mut catalog.sequences;
    query::SEQUENCE_USERS
        .each(&[], version, session, |fields| {
            let (oid, table_oid) = rows::sequence_user(fields)?;
            if let Ok(at) = sequences.binary_search_by_key(&oid, |sequence| sequence.oid) {
                sequences[at].used_by.push(table_oid);
            }
            Ok(())
        })
        .await?;
    catalog.extensions = extensions(version, session).await?;
    catalog.large_objects =
        query::LARGE_OBJECTS.one(&[], version, session, |fields| fields.parse()).await?;
    catalog.types = types(&catalog.tables, version, session).await?;
    tracing::debug!(
        tables = catalog.tables.len(),
        indexes = catalog.indexes.len(),
        constraints = catalog.constraints.len(),
        sequences = catalog.sequences.len(),
        types = catalog.types.len(),
        "read the source's catalog"
    );
    Ok(catalog)
}

/// Reads which tables and sequences the source has, tables without columns and sizes, by identifier: all
/// that following needs as long as no filter asks for more.
///
/// Not cancel safe: a dropped future leaves the session in the middle of a result.
///
/// # Errors
/// Those of [`source`].
pub async fn source_names(session: &mut Session) -> Result<SourceCatalog> {
    let server = server(session).await?;
    let version = ServerVersion(server.version);
    Ok(SourceCatalog {
        server,
        tables: collect(&query::TABLES, version, session, rows::table).await?,
        sequences: collect(&query::SEQUENCES, version, session, rows::sequence).await?,
        ..SourceCatalog::default()
    })
}

/// Reads what the plan needs to know of the target before anything is created there.
///
/// The session is in no transaction: trying `session_replication_role` may be refused.
///
/// Not cancel safe: a dropped future leaves the session in the middle of a result.
///
/// # Errors
/// The server's, naming the query's file; class `Unsupported` for a server older than 10.
pub async fn target(session: &mut Session) -> Result<TargetFacts> {
    let server = server(session).await?;
    let version = ServerVersion(server.version);
    let extension = |fields: &mut Fields<'_>| rows::extension(fields).map(|e| (e.name, e.version));
    Ok(TargetFacts {
        schemas: collect(&query::TARGET_SCHEMAS, version, session, rows::name).await?,
        relations: collect(&query::TARGET_RELATIONS, version, session, rows::target_relation)
            .await?,
        extensions: collect(&query::EXTENSIONS, version, session, extension).await?,
        available_extensions: collect(
            &query::AVAILABLE_EXTENSIONS,
            version,
            session,
            rows::available_extension,
        )
        .await?,
        tablespaces: collect(&query::TABLESPACES, version, session, rows::name).await?,
        roles: collect(&query::ROLES, version, session, rows::name).await?,
        may_set_replication_role: may_set_replication_role(version, session).await?,
        server,
    })
}

/// Reads the facts about the server, the database and our role.
///
/// # Errors
/// The server's, naming the query's file; class `Unsupported` for a server older than 10.
pub async fn server(session: &mut Session) -> Result<ServerFacts> {
    // The first query fits every version, and cannot know which one it meets.
    let first = ServerVersion(version::VERSION_MIN);
    let rows::ServerRow { mut facts, may_read_control } =
        query::SERVER.one(&[], first, session, rows::server).await?;
    version::check(session.side(), facts.version, &facts.version_text)?;
    if may_read_control {
        facts.system_identifier =
            query::SYSTEM_IDENTIFIER.one(&[], first, session, rows::system_identifier).await?;
    }
    Ok(facts)
}

/// Reads the databases of the server that can be connected to, `template1` left out, by name.
///
/// # Errors
/// The server's, naming the query's file; class `Unsupported` for a server older than 10.
pub async fn databases(session: &mut Session) -> Result<Vec<Database>> {
    let version = ServerVersion(server(session).await?.version);
    collect(&query::DATABASES, version, session, rows::database).await
}

/// Reads tables with their columns and sizes, by identifier.
async fn tables(
    sizes: SizeSource,
    version: ServerVersion,
    session: &mut Session,
) -> Result<Vec<Table>> {
    let mut tables = collect(&query::TABLES, version, session, rows::table).await?;
    query::COLUMNS
        .each(&[], version, session, |fields| {
            let (oid, column) = rows::column(fields)?;
            if let Some(table) = find_table(&mut tables, oid) {
                table.columns.push(column);
            }
            Ok(())
        })
        .await?;
    let query = match sizes {
        SizeSource::Files => &query::TABLE_SIZES,
        SizeSource::Estimate => &query::TABLE_SIZES_ESTIMATE,
    };
    query
        .each(&[], version, session, |fields| {
            let size = rows::table_size(fields)?;
            if let Some(table) = find_table(&mut tables, size.oid) {
                table.heap_bytes = size.heap_bytes;
                table.bytes = size.bytes;
            }
            Ok(())
        })
        .await?;
    for table in &mut tables {
        table.columns.shrink_to_fit();
    }
    Ok(tables)
}

/// Reads indexes with everything that their definition does not say, by identifier.
async fn indexes(
    sizes: SizeSource,
    version: ServerVersion,
    session: &mut Session,
) -> Result<Vec<Index>> {
    let mut indexes = Vec::new();
    query::INDEXES
        .each(&[], version, session, |fields| {
            indexes.extend(rows::index(fields)?);
            Ok(())
        })
        .await?;
    let query = match sizes {
        SizeSource::Files => &query::INDEX_SIZES,
        SizeSource::Estimate => &query::INDEX_SIZES_ESTIMATE,
    };
    query
        .each(&[], version, session, |fields| {
            let (oid, bytes) = rows::index_size(fields)?;
            if let Some(index) = find_index(&mut indexes, oid) {
                index.bytes = bytes;
            }
            Ok(())
        })
        .await?;
    query::INDEX_STATISTICS
        .each(&[], version, session, |fields| {
            let (oid, target) = rows::index_statistics(fields)?;
            if let Some(index) = find_index(&mut indexes, oid) {
                index.statistics.push(target);
            }
            Ok(())
        })
        .await?;
    query::INDEX_EXTENSIONS
        .each(&[], version, session, |fields| {
            let (oid, extension) = rows::index_extension(fields)?;
            if let Some(index) = find_index(&mut indexes, oid) {
                index.depends_on_extensions.push(extension);
            }
            Ok(())
        })
        .await?;
    Ok(indexes)
}

/// Reads extensions with their configuration tables, by identifier.
async fn extensions(version: ServerVersion, session: &mut Session) -> Result<Vec<Extension>> {
    let mut extensions = collect(&query::EXTENSIONS, version, session, rows::extension).await?;
    query::EXTENSION_CONFIG
        .each(&[], version, session, |fields| {
            let (oid, config) = rows::extension_config(fields)?;
            if let Ok(at) = extensions.binary_search_by_key(&oid, |extension| extension.oid) {
                extensions[at].config_tables.push(config);
            }
            Ok(())
        })
        .await?;
    Ok(extensions)
}

/// Reads the types of all columns and what they are made of.
async fn types(
    tables: &[Table],
    version: ServerVersion,
    session: &mut Session,
) -> Result<BTreeMap<Oid, TypeInfo>> {
    // Few types, very many columns: the server need not walk them once more.
    let used: BTreeSet<Oid> =
        tables.iter().flat_map(|table| &table.columns).map(|column| column.type_oid).collect();
    let used = query::oid_array(used);
    let mut types = BTreeMap::new();
    query::TYPES
        .each(&[Some(&used)], version, session, |fields| {
            let info = rows::type_info(fields)?;
            types.insert(info.oid, info);
            Ok(())
        })
        .await?;
    type_graph::complete(&mut types);
    Ok(types)
}

/// Chooses every table's split key; both lists are ordered by identifier.
fn choose_split_keys(tables: &mut [Table], indexes: &[Index]) {
    let mut by_table: Vec<&Index> = indexes.iter().collect();
    by_table.sort_by_key(|index| (index.table_oid, index.oid));
    for own in by_table.chunk_by(|a, b| a.table_oid == b.table_oid) {
        let Some(first) = own.first() else { continue };
        if let Some(table) = find_table(tables, first.table_oid) {
            table.split_key = split_key::choose(table, own.iter().copied());
        }
    }
}

/// Finds a table in a list that is ordered by identifier.
fn find_table(tables: &mut [Table], oid: Oid) -> Option<&mut Table> {
    let at = tables.binary_search_by_key(&oid, |table| table.oid).ok()?;
    tables.get_mut(at)
}

/// Finds an index in a list that is ordered by identifier.
fn find_index(indexes: &mut [Index], oid: Oid) -> Option<&mut Index> {
    let at = indexes.binary_search_by_key(&oid, |index| index.oid).ok()?;
    indexes.get_mut(at)
}

/// Whether `session_replication_role` can be set, by trying (P-6).
async fn may_set_replication_role(version: ServerVersion, session: &mut Session) -> Result<bool> {
    let tried = query::TRY_REPLICATION_ROLE.one(&[], version, session, rows::name).await;
    match tried {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::Server(server) if server.sqlstate == "42501" => Ok(false),
            _ => Err(error),
        },
    }
}

/// Runs a query and keeps every row.
async fn collect<T: Send>(
    query: &Query,
    version: ServerVersion,
    session: &mut Session,
    mut read: impl FnMut(&mut Fields<'_>) -> Result<T> + Send,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    query
        .each(&[], version, session, |fields| {
            all.push(read(fields)?);
            Ok(())
        })
        .await?;
    all.shrink_to_fit();
    Ok(all)
}
