//! Which publications are needed, so that the stream holds what the selection keeps and no statement of
//! the source's application ever fails because of them (K16).
//!
//! From the moment a table is in a publication that publishes updates or deletes, the server refuses
//! those statements on a table whose rows it cannot identify. So there are up to three:
//!
//! | publication | publishes | holds |
//! |---|---|---|
//! | `<name>` | everything | tables whose rows can be identified |
//! | `<name>_inserts` | inserts and truncations | tables whose rows cannot |
//! | `<name>_generated` | everything, stored generated columns included | version 18: tables identified by such columns |
//!
//! Partitions are published under their own identity, not their root's: only so a TRUNCATE of one
//! partition is in the stream. Where every partition, present and future, can be identified, the root is
//! named, and partitions that are attached later are in the stream without anybody's doing.

use std::collections::{BTreeMap, HashSet};

use crate::base::error::{Error, Result, Side};
use crate::base::ident::{QualifiedName, quote_identifier, quote_literal};
use crate::base::summary::{Finding, Severity};
use crate::connect::client::{Row, Session};

/// First version that publishes truncations.
const VERSION_TRUNCATE: u32 = 110_000;
/// First version that takes partitioned tables.
const VERSION_PARTITIONED: u32 = 130_000;
/// First version that refuses updates of tables identified by generated columns.
const VERSION_GENERATED: u32 = 180_000;

/// Tables added by one statement: each is locked until the end of its transaction, and the lock table
/// has room for 64 per connection.
const BATCH_LENGTH: usize = 500;

/// Longest name, in bytes: NAMEDATALEN − 1.
const NAME_BYTES_MAX: usize = 63;

/// Comment on our publications: tells them from those of others, also after the work directory is lost.
const MARK: &str = "made by pgcopydb";

/// How the stream tells which row is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// By a unique index.
    Index,
    /// By all its columns.
    Full,
    /// Not at all.
    None,
}

/// A table that may be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishable {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Name.
    pub name: QualifiedName,
    /// It is a partitioned table.
    pub partitioned: bool,
    /// For a partition: its topmost partitioned table.
    pub root: Option<u32>,
    /// Our role counts as its owner.
    pub owned: bool,
    /// How rows are identified.
    pub identity: Identity,
    /// It has a primary key that identifies rows: partitions made later will have one too.
    pub has_primary_key: bool,
    /// The index that identifies rows holds a generated column.
    pub generated_key: bool,
    /// It has stored generated columns.
    pub stored_column: bool,
    /// It has virtual generated columns.
    pub virtual_column: bool,
}

/// Where a table goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Everything is published.
    Main,
    /// Inserts and truncations only.
    Inserts,
    /// Everything, with stored generated columns.
    Generated,
}

impl Class {
    /// All of them.
    const ALL: [Self; 3] = [Self::Main, Self::Inserts, Self::Generated];

    /// Name of the publication.
    fn publication(self, base: &str) -> String {
        let suffix = match self {
            Self::Main => "",
            Self::Inserts => "_inserts",
            Self::Generated => "_generated",
        };
        let mut end = base.len().min(NAME_BYTES_MAX - suffix.len());
        while !base.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{suffix}", base.get(..end).unwrap_or_default())
    }

    /// The options behind WITH.
    fn options(self, version: u32) -> &'static str {
        match (self, version >= VERSION_TRUNCATE) {
            (Self::Inserts, true) => "publish = 'insert, truncate'",
            (Self::Inserts, false) => "publish = 'insert'",
            (Self::Main, true) => "publish = 'insert, update, delete, truncate'",
            (Self::Main, false) => "publish = 'insert, update, delete'",
            (Self::Generated, _) => {
                "publish = 'insert, update, delete, truncate', publish_generated_columns = stored"
            }
        }
    }
}

impl Publishable {
    /// Where it goes by itself.
    fn class(&self, version: u32) -> Class {
        let checks_generated = version >= VERSION_GENERATED;
        match self.identity {
            Identity::None => Class::Inserts,
            // Virtual columns cannot be published: an update would be refused.
            Identity::Full if checks_generated && self.virtual_column => Class::Inserts,
            Identity::Full if checks_generated && self.stored_column => Class::Generated,
            Identity::Index if checks_generated && self.generated_key => Class::Generated,
            Identity::Full | Identity::Index => Class::Main,
        }
    }

    /// Reads a row of `publishable.sql`.
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            oid: row.parse(0)?,
            name: QualifiedName::new(row.text(1)?, row.text(2)?),
            partitioned: row.flag(3)?,
            root: row.parse_optional(4)?,
            owned: row.flag(5)?,
            identity: match row.text(6)? {
                "full" => Identity::Full,
                "index" => Identity::Index,
                _ => Identity::None,
            },
            has_primary_key: row.flag(7)?,
            generated_key: row.flag(8)?,
            stored_column: row.flag(9)?,
            virtual_column: row.flag(10)?,
        })
    }
}

/// Which tables are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableChoice {
    /// All.
    All,
    /// Those with these identifiers.
    Only(HashSet<u32>),
}

impl TableChoice {
    /// Whether a table is followed.
    pub(super) fn keeps(&self, oid: u32) -> bool {
        match self {
            Self::All => true,
            Self::Only(oids) => oids.contains(&oid),
        }
    }
}

/// Publications to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicationPlan {
    /// What each holds; never without [`Class::Main`], which may be empty.
    pub tables: BTreeMap<Class, Vec<QualifiedName>>,
    /// Tables of which updates and deletes are not followed.
    pub inserts_only: Vec<QualifiedName>,
    /// Tables that are followed but that our role does not own.
    pub not_owned: Vec<QualifiedName>,
}

/// Decides what goes where.
pub fn plan(tables: &[Publishable], choice: &TableChoice, version: u32) -> PublicationPlan {
    let mut plan = PublicationPlan::default();
    let mut put = |class: Class, table: &Publishable| {
        plan.tables.entry(class).or_default().push(table.name.clone());
    };
    let mut partitions: BTreeMap<u32, Vec<&Publishable>> = BTreeMap::new();
    for table in tables {
        match table.root {
            Some(root) => partitions.entry(root).or_default().push(table),
            None if table.partitioned || !choice.keeps(table.oid) => {}
            None => put(table.class(version), table),
        }
    }
    for root in tables.iter().filter(|table| table.partitioned && table.root.is_none()) {
        let below = partitions.remove(&root.oid).unwrap_or_default();
        plan_tree(root, &below, choice, version, &mut put);
    }
    // A root that is no permanent table, or belongs to an extension.
    for leaf in partitions.into_values().flatten().filter(|table| !table.partitioned) {
        if choice.keeps(leaf.oid) {
            put(leaf.class(version), leaf);
        }
    }
    let kept = || tables.iter().filter(|table| choice.keeps(table.oid));
    plan.inserts_only = kept()
        .filter(|table| !table.partitioned && table.class(version) == Class::Inserts)
        .map(|table| table.name.clone())
        .collect();
    plan.not_owned = kept().filter(|table| !table.owned).map(|table| table.name.clone()).collect();
    plan.tables.entry(Class::Main).or_default();
    for names in plan.tables.values_mut() {
        names.sort();
    }
    plan.inserts_only.sort();
    plan
}

/// Decides for a partitioned table and everything below it.
fn plan_tree(
    root: &Publishable,
    below: &[&Publishable],
    choice: &TableChoice,
    version: u32,
    put: &mut impl FnMut(Class, &Publishable),
) {
    let leaves = || below.iter().copied().filter(|table| !table.partitioned);
    // Only a root whose every partition is wanted may stand for all of them.
    let whole = version >= VERSION_PARTITIONED
        && choice.keeps(root.oid)
        && below.iter().all(|table| choice.keeps(table.oid));
    let all_main = leaves().all(|leaf| leaf.class(version) == Class::Main);
    if whole && all_main && root.has_primary_key {
        return put(Class::Main, root);
    }
    // Partitions made later are at least inserted into; not beside one with other columns published.
    let later = whole && leaves().all(|leaf| leaf.class(version) != Class::Generated);
    if later {
        put(Class::Inserts, root);
    }
    for leaf in leaves().filter(|leaf| choice.keeps(leaf.oid)) {
        match leaf.class(version) {
            // The root stands for it.
            Class::Inserts if later => {}
            class => put(class, leaf),
        }
    }
}

impl PublicationPlan {
    /// What a person should know.
    pub fn findings(&self) -> Vec<Finding> {
        let inserts = self.inserts_only.iter().map(|name| Finding {
            severity: Severity::Warning,
            object: name.to_string(),
            reason: "has no replica identity: inserts and truncations are followed, updates and \
                     deletes are not"
                .into(),
            hint: Some(format!(
                "Give it a primary key, or run ALTER TABLE {} REPLICA IDENTITY FULL; before the \
                 migration begins.",
                name.sql()
            )),
        });
        let owned = self.not_owned.iter().map(|name| Finding {
            severity: Severity::Error,
            object: name.to_string(),
            reason: "belongs to another role: only its owner may publish it".into(),
            hint: Some(
                "Grant our role membership in the owner (GRANT owner TO role;), or let the owner \
                 create a publication and name it with --publication."
                    .into(),
            ),
        });
        inserts.chain(owned).collect()
    }
}

/// Reads the tables that may be published.
///
/// # Errors
/// The server's.
pub async fn read_tables(session: &mut Session) -> Result<Vec<Publishable>> {
    let mut tables = Vec::new();
    let sql = include_str!("sql/publishable.sql");
    session
        .query_each(sql, &[], |row| {
            tables.push(Publishable::read(&row)?);
            Ok(())
        })
        .await
        .map_err(|error| error.during("read the tables to publish"))?;
    Ok(tables)
}

/// Names of the publications that a plan makes, the main one first.
pub fn names(base: &str, plan: &PublicationPlan) -> Vec<String> {
    plan.tables.keys().map(|class| class.publication(base)).collect()
}

/// Makes the publications of a plan, or completes those that an interrupted run began.
///
/// # Errors
/// `State` when a publication of the name exists that we did not make; the server's.
pub async fn create(
    session: &mut Session,
    base: &str,
    plan: &PublicationPlan,
    version: u32,
) -> Result<()> {
    for (class, tables) in &plan.tables {
        let name = class.publication(base);
        let quoted = quote_identifier(&name);
        let mut missing: Vec<&QualifiedName> = tables.iter().collect();
        match mark(session, &name).await? {
            Some(comment) if comment.as_deref() == Some(MARK) => {
                let there = members(session, &name).await?;
                missing.retain(|table| !there.contains(*table));
            }
            Some(_) => {
                return Err(Error::new(
                    Side::Source,
                    crate::base::error::ErrorKind::State(format!(
                        "publication {quoted} exists and was not made by pgcopydb"
                    )),
                )
                .hint(format!(
                    "Use it with --publication, drop it (DROP PUBLICATION {quoted};), or choose \
                     another --slot-name."
                )));
            }
            None => {
                let create = format!(
                    "create publication {quoted} with ({}); comment on publication {quoted} is {}",
                    class.options(version),
                    quote_literal(MARK)
                );
                session.execute(&create).await.map_err(hint_create)?;
            }
        }
        for batch in missing.chunks(BATCH_LENGTH) {
            let list: Vec<String> =
                batch.iter().map(|name| format!("only {}", name.sql())).collect();
            let add = format!("alter publication {quoted} add table {}", list.join(", "));
            session.execute(&add).await.map_err(hint_create)?;
        }
        tracing::info!(publication = name, tables = tables.len(), "publication is ready");
    }
    Ok(())
}

/// Says what a refused publication needs.
fn hint_create(error: Error) -> Error {
    error.hint(
        "The role needs CREATE on the database (GRANT CREATE ON DATABASE … TO …;) and must own the \
         tables, or name an existing publication with --publication.",
    )
}

/// Comment of a publication; outer `None` when there is none of this name.
async fn mark(session: &mut Session, name: &str) -> Result<Option<Option<String>>> {
    let sql = "select pg_catalog.obj_description(p.oid, 'pg_publication') \
               from pg_catalog.pg_publication p where p.pubname = $1";
    let rows = session.query(sql, &[Some(name)]).await?;
    match rows.rows.first() {
        None => Ok(None),
        Some(row) => Ok(Some(row.optional_text(0)?.map(str::to_owned))),
    }
}

/// Tables that a publication names.
async fn members(session: &mut Session, name: &str) -> Result<HashSet<QualifiedName>> {
    let sql = "select n.nspname, c.relname from pg_catalog.pg_publication p \
               join pg_catalog.pg_publication_rel r on r.prpubid = p.oid \
               join pg_catalog.pg_class c on c.oid = r.prrelid \
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace where p.pubname = $1";
    let rows = session.query(sql, &[Some(name)]).await?;
    rows.rows.iter().map(|row| Ok(QualifiedName::new(row.text(0)?, row.text(1)?))).collect()
}

/// Drops our publications of a base name; returns their names.
///
/// # Errors
/// The server's.
pub async fn drop_ours(session: &mut Session, base: &str) -> Result<Vec<String>> {
    let mut dropped = Vec::new();
    for class in Class::ALL {
        let name = class.publication(base);
        match mark(session, &name).await? {
            Some(comment) if comment.as_deref() == Some(MARK) => {
                let drop = format!("drop publication if exists {}", quote_identifier(&name));
                session.execute(&drop).await?;
                dropped.push(name);
            }
            Some(_) => tracing::warn!(
                publication = name,
                "the publication was not made by pgcopydb: it stays"
            ),
            None => {}
        }
    }
    Ok(dropped)
}

/// Checks a publication that the user named: it must exist; tables that it lacks are findings.
///
/// # Errors
/// `Config` when it does not exist.
pub async fn check_given(
    session: &mut Session,
    name: &str,
    tables: &[Publishable],
    choice: &TableChoice,
) -> Result<Vec<Finding>> {
    if mark(session, name).await?.is_none() {
        let quoted = quote_identifier(name);
        let text = format!("publication {quoted} does not exist");
        return Err(Error::new(Side::Source, crate::base::error::ErrorKind::Config(text))
            .hint("Create it first, or leave --publication out: one is made then."));
    }
    let sql =
        "select schemaname, tablename from pg_catalog.pg_publication_tables where pubname = $1";
    let rows = session.query(sql, &[Some(name)]).await?;
    let there: HashSet<QualifiedName> = rows
        .rows
        .iter()
        .map(|row| Ok(QualifiedName::new(row.text(0)?, row.text(1)?)))
        .collect::<Result<_>>()?;
    let by_oid: BTreeMap<u32, &Publishable> =
        tables.iter().map(|table| (table.oid, table)).collect();
    let is_there = |table: &Publishable| {
        let root = table.root.and_then(|root| by_oid.get(&root));
        there.contains(&table.name) || root.is_some_and(|root| there.contains(&root.name))
    };
    Ok(tables
        .iter()
        .filter(|table| !table.partitioned && choice.keeps(table.oid) && !is_there(table))
        .map(|table| Finding {
            severity: Severity::Warning,
            object: table.name.to_string(),
            reason: format!(
                "is not in publication {}: its changes are not followed",
                quote_identifier(name)
            ),
            hint: Some(format!(
                "ALTER PUBLICATION {} ADD TABLE {};",
                quote_identifier(name),
                table.name.sql()
            )),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: u32, name: &str) -> Publishable {
        Publishable {
            oid,
            name: QualifiedName::new("s", name),
            partitioned: false,
            root: None,
            owned: true,
            identity: Identity::Index,
            has_primary_key: true,
            generated_key: false,
            stored_column: false,
            virtual_column: false,
        }
    }

    fn bare(oid: u32, name: &str) -> Publishable {
        Publishable { identity: Identity::None, has_primary_key: false, ..table(oid, name) }
    }

    fn listed(plan: &PublicationPlan, class: Class) -> Vec<&str> {
        plan.tables.get(&class).into_iter().flatten().map(|name| name.name.as_str()).collect()
    }

    // trap C-27
    #[test]
    fn tables_without_identity_never_publish_updates() {
        for version in [100_000, 150_000, 180_000] {
            let plan = plan(&[table(1, "a"), bare(2, "b")], &TableChoice::All, version);
            assert_eq!(listed(&plan, Class::Main), ["a"]);
            assert_eq!(listed(&plan, Class::Inserts), ["b"]);
            assert_eq!(plan.inserts_only, [QualifiedName::new("s", "b")]);
        }
    }

    #[test]
    fn generated_identities_are_published_with_their_columns_from_version_18_on() {
        let tables = [
            Publishable { identity: Identity::Full, stored_column: true, ..table(1, "full") },
            Publishable { generated_key: true, ..table(2, "key") },
            Publishable { identity: Identity::Full, virtual_column: true, ..table(3, "virtual") },
            Publishable { stored_column: true, ..table(4, "beside") },
        ];
        let old = plan(&tables, &TableChoice::All, 170_000);
        assert_eq!(listed(&old, Class::Main), ["beside", "full", "key", "virtual"]);
        let new = plan(&tables, &TableChoice::All, 180_000);
        assert_eq!(listed(&new, Class::Main), ["beside"]);
        assert_eq!(listed(&new, Class::Generated), ["full", "key"]);
        assert_eq!(listed(&new, Class::Inserts), ["virtual"]);
    }

    fn tree(leaves: [Publishable; 2]) -> Vec<Publishable> {
        let root = Publishable { partitioned: true, ..table(10, "root") };
        let middle = Publishable { partitioned: true, root: Some(10), ..table(11, "middle") };
        let mut all = vec![root, middle];
        all.extend(leaves.map(|leaf| Publishable { root: Some(10), ..leaf }));
        all
    }

    // trap C-35
    #[test]
    fn a_root_stands_for_partitions_to_come_where_all_can_be_identified() {
        let whole = plan(&tree([table(1, "a"), table(2, "b")]), &TableChoice::All, 150_000);
        assert_eq!(listed(&whole, Class::Main), ["root"]);
        let old = plan(&tree([table(1, "a"), table(2, "b")]), &TableChoice::All, 120_000);
        assert_eq!(listed(&old, Class::Main), ["a", "b"]);
        let mixed = plan(&tree([table(1, "a"), bare(2, "b")]), &TableChoice::All, 150_000);
        assert_eq!(listed(&mixed, Class::Main), ["a"]);
        assert_eq!(listed(&mixed, Class::Inserts), ["root"]);
        assert_eq!(mixed.inserts_only, [QualifiedName::new("s", "b")]);
    }

    #[test]
    fn a_root_without_primary_key_is_never_published_with_updates() {
        let mut tables = tree([table(1, "a"), table(2, "b")]);
        tables[0].has_primary_key = false;
        tables[0].identity = Identity::Full;
        let plan = plan(&tables, &TableChoice::All, 150_000);
        assert_eq!(listed(&plan, Class::Main), ["a", "b"]);
        assert_eq!(listed(&plan, Class::Inserts), ["root"]);
        assert!(plan.inserts_only.is_empty());
    }

    #[test]
    fn a_root_with_a_partition_that_is_left_out_is_not_named() {
        let choice = TableChoice::Only([10, 11, 1].into());
        let plan = plan(&tree([table(1, "a"), table(2, "b")]), &choice, 150_000);
        assert_eq!(listed(&plan, Class::Main), ["a"]);
        assert_eq!(listed(&plan, Class::Inserts), Vec::<&str>::new());
    }

    #[test]
    fn nothing_to_follow_is_still_a_publication() {
        let plan = plan(&[table(1, "a")], &TableChoice::Only(HashSet::new()), 150_000);
        assert_eq!(names("p", &plan), ["p"]);
        assert_eq!(listed(&plan, Class::Main), Vec::<&str>::new());
    }

    #[test]
    fn long_names_are_cut_before_the_suffix() {
        let base = "é".repeat(40);
        for class in Class::ALL {
            let name = class.publication(&base);
            assert!(name.len() <= NAME_BYTES_MAX, "{name}");
        }
        assert!(Class::Inserts.publication(&base).ends_with("_inserts"));
    }
}
