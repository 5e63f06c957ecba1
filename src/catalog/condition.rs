//! Reads in what condition both servers are: what the preflight looks at beyond the plan's facts.
//!
//! Each query stands alone: one that the server refuses (a cloud that hides a view, a library that
//! does not know a locale) leaves its part empty and is named in `unchecked`. So the sessions must be
//! in no transaction, where one refusal would refuse all that follows.

use std::collections::BTreeSet;

use super::model::condition::{
    ExtensionVersion, NeededRole, OpenTransaction, SourceCondition, SourceFacts, SuperuserObject,
    TargetCondition, TargetSettings, UsedCollation,
};
use super::model::{SourceCatalog, TargetFacts};
use super::query::{self, Fields, Query, ServerVersion};
use super::rows;
use crate::base::error::{ErrorKind, Result};
use crate::base::ident::{QualifiedName, array_literal};
use crate::connect::client::Session;

/// Reads the condition of a source. Changes nothing; the session is in no transaction.
///
/// Not cancel safe: a dropped future leaves the session in the middle of a result.
///
/// # Errors
/// Only when the session is lost; what the server refuses ends in `unchecked`.
pub async fn source(session: &mut Session) -> Result<SourceCondition> {
    let mut reader = Reader::new(session);
    let facts = reader.rows(&query::CONDITION_SOURCE, &[], source_facts).await?;
    Ok(SourceCondition {
        facts: facts.into_iter().next().unwrap_or_default(),
        transactions: reader.rows(&query::CONDITION_TRANSACTIONS, &[], transaction).await?,
        roles: reader.rows(&query::CONDITION_ROLES, &[], needed_role).await?,
        collations: reader.rows(&query::CONDITION_COLLATIONS, &[], collation).await?,
        superuser_objects: reader.rows(&query::CONDITION_SUPERUSER, &[], superuser_object).await?,
        tablespaces: reader.rows(&query::CONDITION_TABLESPACES, &[], rows::name).await?,
        row_security: reader
            .rows(&query::CONDITION_ROW_SECURITY, &[], rows::qualified_name)
            .await?,
        hashed_by_identifier: reader
            .rows(&query::CONDITION_PARTITIONS, &[], |fields| fields.parse())
            .await?,
        search_path: reader
            .rows(&query::CONDITION_SEARCH_PATH, &[], |fields| {
                Ok((fields.string()?, fields.string()?))
            })
            .await?,
        lost_features: reader
            .rows(&query::CONDITION_LOST_FEATURES, &[], |fields| {
                Ok((fields.parse()?, fields.string()?, fields.string()?))
            })
            .await?,
        dependents: Vec::new(),
        touched: Vec::new(),
        unchecked: reader.unchecked,
    })
}

/// Adds the members of extensions that a user may have changed, as far as the source alone can say.
///
/// # Errors
/// Only when the session is lost.
pub async fn touched(
    extensions: &[&str],
    condition: &mut SourceCondition,
    session: &mut Session,
) -> Result<()> {
    if extensions.is_empty() {
        return Ok(());
    }
    let names = array_literal(extensions.iter().copied());
    let mut reader = Reader::new(session);
    let pair = |fields: &mut Fields<'_>| Ok((fields.string()?, fields.string()?));
    condition.touched = reader.rows(&query::EXTENSION_TOUCHED, &[Some(&names)], pair).await?;
    condition.unchecked.append(&mut reader.unchecked);
    Ok(())
}

/// Adds what depends on extensions of the source that the target cannot have.
///
/// # Errors
/// Only when the session is lost.
pub async fn dependents(
    missing: &[&str],
    condition: &mut SourceCondition,
    session: &mut Session,
) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let names = array_literal(missing.iter().copied());
    let mut reader = Reader::new(session);
    let pair = |fields: &mut Fields<'_>| Ok((fields.string()?, fields.string()?));
    condition.dependents = reader.rows(&query::CONDITION_DEPENDENTS, &[Some(&names)], pair).await?;
    condition.unchecked.append(&mut reader.unchecked);
    Ok(())
}

/// Keeps of some configuration relations of extensions the sequences, and the tables that have rows to
/// copy on the source.
///
/// # Errors
/// Only when the session is lost; a table that cannot be read is kept.
pub async fn with_rows(
    tables: Vec<QualifiedName>,
    catalog: &SourceCatalog,
    session: &mut Session,
) -> Result<Vec<QualifiedName>> {
    let mut kept = Vec::new();
    for name in tables {
        if catalog.sequences.iter().any(|sequence| sequence.name == name) {
            kept.push(name);
            continue;
        }
        let table = catalog.tables.iter().find(|table| table.name == name);
        let Some(table) = table.filter(|table| table.may_select) else { continue };
        let configs = catalog.extensions.iter().flat_map(|one| &one.config_tables);
        let condition = configs.into_iter().find(|(oid, _)| *oid == table.oid);
        let Some((_, condition)) = condition else { continue };
        // The condition is a whole WHERE clause.
        let sql = format!("select exists (select from only {} {condition})", name.sql());
        match session.query(&sql, &[]).await {
            Ok(rows) if !rows.one()?.flag(0)? => {}
            Err(error) if error.as_server().is_none() || session.is_broken() => return Err(error),
            _ => kept.push(name),
        }
    }
    Ok(kept)
}

/// Reads the condition of a target, as far as what the source needs goes. Changes nothing; the session
/// is in no transaction.
///
/// Not cancel safe: a dropped future leaves the session in the middle of a result.
///
/// # Errors
/// Only when the session is lost; what the server refuses ends in `unchecked`.
pub async fn target(
    source: &SourceCondition,
    catalog: &SourceCatalog,
    session: &mut Session,
) -> Result<TargetCondition> {
    let roles = array_literal(source.roles.iter().map(|role| role.name.as_str()));
    let collations: BTreeSet<&str> =
        source.collations.iter().map(|collation| collation.name.name.as_str()).collect();
    let collations = array_literal(collations);
    let extensions = array_literal(catalog.extensions.iter().map(|found| found.name.as_str()));
    let schemas = array_literal(catalog.schemas.iter().map(|schema| schema.name.as_str()));
    let mut reader = Reader::new(session);
    let facts = reader.rows(&query::CONDITION_TARGET, &[], target_settings).await?;
    let mut facts = facts.into_iter().next().unwrap_or_default();
    facts.xml = source.facts.xml_columns == 0 || reader.has_xml().await?;
    let trigger = |fields: &mut Fields<'_>| Ok((fields.string()?, fields.string()?));
    let role = |fields: &mut Fields<'_>| Ok((fields.string()?, fields.flag()?));
    Ok(TargetCondition {
        facts,
        event_triggers: reader.rows(&query::CONDITION_EVENT_TRIGGERS, &[], trigger).await?,
        roles: reader.rows(&query::CONDITION_TARGET_ROLES, &[Some(&roles)], role).await?,
        collations: reader
            .rows(&query::CONDITION_TARGET_COLLATIONS, &[Some(&collations)], collation)
            .await?,
        extensions: reader
            .rows(&query::CONDITION_TARGET_EXTENSIONS, &[Some(&extensions)], extension_version)
            .await?,
        closed_schemas: reader
            .rows(&query::CONDITION_CLOSED_SCHEMAS, &[Some(&schemas)], rows::name)
            .await?,
        creators: reader
            .rows(&query::CONDITION_OWNERS, &[Some(&schemas), Some(&roles)], |fields| {
                Ok((fields.string()?, fields.string()?))
            })
            .await?,
        closed_config: reader
            .rows(&query::CONDITION_CLOSED_CONFIG, &[], rows::qualified_name)
            .await?,
        access_methods: reader.rows(&query::CONDITION_ACCESS_METHODS, &[], rows::name).await?,
        unchecked: reader.unchecked,
    })
}

/// Extensions of the source that the target neither has nor could install.
pub fn missing_extensions<'a>(catalog: &'a SourceCatalog, target: &TargetFacts) -> Vec<&'a str> {
    let there = |name: &str| {
        target.extensions.iter().any(|(found, _)| found == name)
            || target.available_extensions.iter().any(|(found, _)| found == name)
    };
    let names = catalog.extensions.iter().map(|extension| extension.name.as_str());
    names.filter(|name| !there(name)).collect()
}

/// Extensions of the source that the target does not have yet.
pub fn extensions_to_create<'a>(catalog: &'a SourceCatalog, target: &TargetFacts) -> Vec<&'a str> {
    let there = |name: &str| target.extensions.iter().any(|(found, _)| found == name);
    let names = catalog.extensions.iter().map(|extension| extension.name.as_str());
    names.filter(|name| !there(name)).collect()
}

/// Runs queries one by one and remembers which were refused.
pub(super) struct Reader<'a> {
    session: &'a mut Session,
    version: ServerVersion,
    pub(super) unchecked: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader that has refused nothing.
    pub(super) fn new(session: &'a mut Session) -> Self {
        let version = ServerVersion::of(session);
        Self { session, version, unchecked: Vec::new() }
    }

    /// All rows of a query; none where the server refuses it.
    pub(super) async fn rows<T: Send>(
        &mut self,
        query: &Query,
        params: &[Option<&str>],
        mut read: impl FnMut(&mut Fields<'_>) -> Result<T> + Send,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let keep = |fields: &mut Fields<'_>| read(fields).map(|value| all.push(value));
        match query.each(params, self.version, self.session, keep).await {
            Ok(()) => Ok(all),
            Err(error) if is_refusal(error.kind()) && !self.session.is_broken() => {
                self.unchecked.push(error.to_string());
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

impl Reader<'_> {
    /// Whether the server was built with libxml, by trying: only then it can read a value.
    async fn has_xml(&mut self) -> Result<bool> {
        let sql = "select pg_catalog.xml_is_well_formed_document('<a/>')";
        match self.session.query(sql, &[]).await {
            Ok(_) => Ok(true),
            // feature_not_supported.
            Err(error) if error.sqlstate() == Some("0A000") => Ok(false),
            Err(error) if is_refusal(error.kind()) && !self.session.is_broken() => {
                self.unchecked.push(error.to_string());
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the server answered, and only refused this one query.
fn is_refusal(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::Server(_) | ErrorKind::Unsupported(_) | ErrorKind::Internal(_))
}

/// `condition_source.sql`.
fn source_facts(fields: &mut Fields<'_>) -> Result<SourceFacts> {
    Ok(SourceFacts {
        wal_senders_left: fields.parse()?,
        slots_left: fields.parse()?,
        slot_wal_keep_bytes: fields.parse()?,
        lock_slots: fields.parse()?,
        collation_recorded: fields.optional_string()?,
        collation_actual: fields.optional_string()?,
        publications: fields.parse()?,
        subscriptions: fields.parse()?,
        may_read_passwords: fields.flag()?,
        lz4_columns: fields.parse()?,
        lz4_example: fields.optional_string()?,
        label_providers: fields.optional_string()?,
        large_objects_unreadable: fields.parse()?,
        large_object_example: fields.parse_optional()?,
        foreign_tables: fields.parse()?,
        xml_columns: fields.parse()?,
        xml_example: fields.optional_string()?,
        xml_defaults: fields.parse()?,
    })
}

/// `condition_transactions.sql`.
fn transaction(fields: &mut Fields<'_>) -> Result<OpenTransaction> {
    Ok(OpenTransaction {
        pid: fields.parse_optional()?,
        gid: fields.optional_string()?,
        role: fields.string()?,
        application: fields.string()?,
        database: fields.string()?,
        seconds: fields.parse()?,
    })
}

/// `condition_roles.sql`.
fn needed_role(fields: &mut Fields<'_>) -> Result<NeededRole> {
    Ok(NeededRole {
        name: fields.string()?,
        owns: fields.flag()?,
        granted: fields.flag()?,
        in_policy: fields.flag()?,
    })
}

/// `condition_collations.sql` and `condition_target_collations.sql`.
fn collation(fields: &mut Fields<'_>) -> Result<UsedCollation> {
    Ok(UsedCollation {
        name: rows::qualified_name(fields)?,
        provider: fields.string()?,
        locale: fields.string()?,
        recorded: fields.optional_string()?,
        actual: fields.optional_string()?,
        of_user: fields.flag()?,
    })
}

/// `condition_superuser.sql`.
fn superuser_object(fields: &mut Fields<'_>) -> Result<SuperuserObject> {
    Ok(SuperuserObject { class: fields.string()?, name: fields.string()? })
}

/// `condition_target.sql`.
fn target_settings(fields: &mut Fields<'_>) -> Result<TargetSettings> {
    Ok(TargetSettings {
        log_statement: fields.string()?,
        auto_explain: fields.flag()?,
        read_only: fields.flag()?,
        lz4: fields.flag()?,
        icu: fields.flag()?,
        xml: true,
        managed_role: fields.optional_string()?,
        collation_recorded: fields.optional_string()?,
        collation_actual: fields.optional_string()?,
    })
}

/// `condition_target_extensions.sql`.
fn extension_version(fields: &mut Fields<'_>) -> Result<ExtensionVersion> {
    Ok(ExtensionVersion {
        name: fields.string()?,
        version: fields.string()?,
        superuser: fields.flag()?,
        trusted: fields.flag()?,
    })
}
