//! The schema sections of a clone: tools, dump, edited lists, restores.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::control::{self, Control};
use super::extensions;
use super::pass::Pass;
use crate::base::error::{Error, ErrorKind, Result, Side};
use crate::catalog::model::{ServerFacts, SourceCatalog, TargetFacts};
use crate::config::CloneConfig;
use crate::connect::client::Session;
use crate::connect::conninfo::ConnInfo;
use crate::job::schema::apply::{self, Apply, ScriptSource};
use crate::job::schema::script::{MAINTAIN_MAJOR, Script};
use crate::job::schema::toc::{ObjectId, Toc};
use crate::job::schema::toc_filter::{self, Rules, catalog};
use crate::job::schema::{
    Dump, Endpoint, Restore, Section, Surroundings, Transactions, archive_encoding, dump, list,
    restore, roles, section_entries,
};
use crate::ledger;
use crate::local::child::pgtools::{
    Inventory, PgVersion, Places, Tool, ToolPair, usual_directories,
};
use crate::local::workdir::{WorkDir, replace_file};
use crate::plan::Plan;

/// How long `pg_dump` waits for a lock on a table before it gives up and says so.
///
/// It locks every table in ACCESS SHARE mode; a migration of the application that holds a table for
/// longer than this has to end first.
const LOCK_WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// SQLSTATE out_of_memory: the lock table is full, among others.
const OUT_OF_MEMORY: &str = "53200";

/// Tables per DROP statement: a bounded number of locks in one transaction.
const DROP_BATCH: usize = 200;

/// Whether the source's columns carry the internal option that older tools print (D-43).
pub(in crate::command) async fn has_attver(source: &mut Session) -> Result<bool> {
    let sql = "select exists (select from pg_catalog.pg_attribute a \
               where a.attoptions::pg_catalog.text like '%pg_attver=%')";
    source.query(sql, &[]).await?.one()?.flag(0)
}

/// Whether the target's server was built with lz4, from version 14 on.
async fn has_lz4(target: &mut Session) -> Result<bool> {
    let sql = "select exists (select from pg_catalog.pg_settings s \
               where s.name = 'default_toast_compression' and 'lz4' = any (s.enumvals))";
    target.query(sql, &[]).await?.one()?.flag(0)
}

/// Drops the tables that are going to be created, and whatever hangs on them; fewer at once where the
/// server's lock table has no room for as many.
pub(super) async fn drop_tables(target: &mut Session, plan: &Plan) -> Result<()> {
    let mut left = plan.tables.as_slice();
    let mut most = DROP_BATCH;
    while let Some((batch, after)) = left.split_at_checked(most.min(left.len()))
        && !batch.is_empty()
    {
        let names: Vec<String> = batch.iter().map(|table| table.name.sql()).collect();
        let sql = format!("drop table if exists {} cascade", names.join(", "));
        match target.execute(&sql).await {
            Ok(_) => left = after,
            Err(error) if most > 1 && error.sqlstate() == Some(OUT_OF_MEMORY) => most /= 2,
            Err(error) => return Err(error.during("drop tables of the target")),
        }
    }
    Ok(())
}

/// The client tools of a run and how they reach the servers.
pub(in crate::command) struct Tools {
    pair: ToolPair,
    /// `pg_dumpall`, with `--roles` only.
    dump_all: Option<Tool>,
    source: Endpoint,
    target: Endpoint,
    target_version: PgVersion,
    /// The source's own `search_path`.
    search_path: String,
    /// Encoding of the archive.
    encoding: &'static str,
    /// Rules that do not depend on the plan.
    rules: Rules,
    lock_slots_sql: &'static str,
    listing: tokio::sync::OnceCell<Listing>,
}

/// What the archive holds.
struct Listing {
    /// `pg_restore --list --verbose`.
    text: Vec<u8>,
    /// Dump ids of what belongs to pre-data; all else belongs to post-data.
    pre_data: HashSet<u32>,
}

impl Tools {
    /// Finds the tools that fit both servers.
    ///
    /// # Errors
    /// `Tool` when there are none.
    pub(in crate::command) async fn find(
        config: &CloneConfig,
        source: &SourceCatalog,
        target: &TargetFacts,
        attver: bool,
    ) -> Result<Self> {
        let inventory = inventory(config).await?;
        let pair = inventory.pair(version(&source.server), version(&target.server), attver)?;
        if let Some(reason) = &pair.reason {
            tracing::info!("{reason}");
        }
        tracing::info!("using {} and {}", pair.dump, pair.restore);
        let dump_all = match config.roles {
            true => Some(inventory.dump_all(version(&source.server))?.clone()),
            false => None,
        };
        let existing: HashSet<&str> = target.schemas.iter().map(String::as_str).collect();
        Ok(Self {
            pair,
            dump_all,
            source: endpoint(&config.source),
            target: endpoint(&config.target),
            target_version: version(&target.server),
            search_path: source.server.search_path.clone(),
            encoding: archive_encoding(&source.server.encoding),
            listing: tokio::sync::OnceCell::new(),
            rules: Rules {
                existing_schemas: (source.schemas.iter())
                    .filter(|schema| existing.contains(schema.name.as_str()))
                    // The entry of "public" never creates it: it only sets its owner.
                    .filter(|schema| schema.name != "public")
                    .map(|schema| schema.oid)
                    .collect(),
                skip_extensions: config.skip.extensions,
                extension_schemas: (source.extensions.iter())
                    .map(|extension| extension.schema.clone())
                    .filter(|schema| schema != "public")
                    .collect(),
                skip_extension_comments: config.skip.extension_comments || config.skip.extensions,
                skip_collations: config.skip.collations,
                ..Rules::default()
            },
            lock_slots_sql: "select current_setting('max_locks_per_transaction')::bigint * \
                             (current_setting('max_connections')::bigint + \
                             current_setting('max_prepared_transactions')::bigint)",
        })
    }

    /// The same, with objects that are not restored.
    pub(super) fn leaving_out(mut self, objects: HashSet<ObjectId>) -> Self {
        self.rules.excluded.extend(objects);
        self
    }

    /// Dumps the schema into the work directory.
    pub(super) async fn dump(&self, pass: &Pass<'_>, snapshot: Option<&str>) -> Result<()> {
        let what = Dump {
            tool: &self.pair.dump,
            source: &self.source,
            encoding: self.encoding,
            snapshot,
            schemas: &[],
            exclude_schemas: &[],
            // Our own job creates them, with their owners and privileges.
            no_large_objects: true,
            lock_wait_timeout: LOCK_WAIT_TIMEOUT,
        };
        let surroundings = surroundings_of(pass);
        dump(&what, &pass.directory.schema_dump(), &surroundings, &pass.stop.graceful).await
    }

    /// Dumps the roles into the work directory; `None` without `--roles`.
    pub(super) async fn dump_roles(
        &self,
        pass: &Pass<'_>,
        passwords: roles::Passwords,
    ) -> Result<Option<Zeroizing<String>>> {
        let Some(tool) = &self.dump_all else { return Ok(None) };
        let source = (&self.source, pass.config.source.dbname.as_str());
        let file = pass.directory.roles_sql();
        let surroundings = surroundings_of(pass);
        roles::dump(tool, source, passwords, &file, &surroundings, &pass.stop.graceful)
            .await
            .map(Some)
    }

    /// Restores what must exist before rows; `clean` drops what exists first.
    pub(super) async fn restore_pre_data(
        &self,
        pass: &Pass<'_>,
        plan: &Plan,
        target: &mut Control,
        clean: bool,
    ) -> Result<()> {
        let (out, filtered) = (pass.directory.pre_out_list(), pass.directory.pre_filtered_list());
        let (list, kept) = self.edit_list(pass, plan, Section::PreData, &out, &filtered).await?;
        let files = (list.as_slice(), filtered.as_path());
        if self.apply(pass, Section::PreData, files, target, clean).await? {
            return Ok(());
        }
        let slots = target.session().await?.query(self.lock_slots_sql, &[]).await?;
        let slots: u64 = slots.one()?.parse(0)?;
        let transactions = Transactions::for_pre_data(kept, slots, self.pair.restore.version);
        self.restore(pass, Section::PreData, &filtered, transactions, clean).await
    }

    /// Restores what comes after rows.
    pub(super) async fn restore_post_data(
        &self,
        pass: &Pass<'_>,
        plan: &Plan,
        target: &mut Control,
        repeat: bool,
    ) -> Result<()> {
        let (out, filtered) = (pass.directory.post_out_list(), pass.directory.post_filtered_list());
        let (list, kept) = self.edit_list(pass, plan, Section::PostData, &out, &filtered).await?;
        if kept == 0 {
            return Ok(());
        }
        let files = (list.as_slice(), filtered.as_path());
        let clean = pass.config.schema.drop_if_exists;
        if self.apply(pass, Section::PostData, files, target, clean).await? {
            return Ok(());
        }
        let transactions = Transactions::Each { jobs: pass.config.jobs.restore };
        self.restore(pass, Section::PostData, &filtered, transactions, repeat).await
    }

    /// Whether `pg_dump` is older than a privilege that the target has.
    fn dump_knows_no_maintain(&self) -> bool {
        self.pair.dump.version.major() < MAINTAIN_MAJOR
            && self.target_version.major() >= MAINTAIN_MAJOR
    }

    /// The statements that create event triggers, to be run after everything else of ours (D-22); empty
    /// when the schema has none.
    pub(super) async fn last_statements(&self, pass: &Pass<'_>, plan: &Plan) -> Result<String> {
        let listing = self.listing(pass, &pass.directory.post_out_list()).await?;
        let toc = Toc::parse(&listing.text);
        let last = toc_filter::last_of_all(&toc);
        if last.is_empty() {
            return Ok(String::new());
        }
        let edited = toc_filter::filter(&toc, &self.rules_of(plan));
        let (list, kept) = toc_filter::keep_only(&edited.list, &last);
        if kept == 0 {
            return Ok(String::new());
        }
        let path = pass.directory.post_filtered_list().with_file_name("last-filtered.list");
        replace_file(&path, &list)?;
        let from = ScriptSource {
            tool: &self.pair.restore,
            archive: &pass.directory.schema_dump(),
            list: &path,
            toc: &toc,
            options: pass.config.schema,
            clean: false,
            target: self.target_version,
        };
        let stop = &pass.stop.graceful;
        match apply::script(from, Section::PostData, &surroundings_of(pass), stop).await? {
            Ok(script) => Ok(script.statements()),
            Err(reason) => Err(Error::new(
                Side::Source,
                ErrorKind::Unsupported(format!("event triggers cannot be restored: {reason}")),
            )),
        }
    }

    /// Restores a section over our own sessions, what the ledger has left out; `false` when only
    /// `pg_restore` can. `files` are the list as printed and the path of the edited one.
    async fn apply(
        &self,
        pass: &Pass<'_>,
        section: Section,
        (printed, list): (&[u8], &Path),
        target: &mut Control,
        clean: bool,
    ) -> Result<bool> {
        let from = ScriptSource {
            tool: &self.pair.restore,
            archive: &pass.directory.schema_dump(),
            list,
            toc: &Toc::parse(printed),
            options: pass.config.schema,
            clean,
            target: self.target_version,
        };
        let stop = &pass.stop.graceful;
        let script = match apply::script(from, section, &surroundings_of(pass), stop).await? {
            Ok(mut script) => {
                if self.dump_knows_no_maintain() {
                    script = script.keeping_maintain();
                }
                if script.asks_for_lz4() && !has_lz4(target.session().await?).await? {
                    script = script.without_lz4();
                }
                pin_extensions(&mut script, pass.config);
                script
            }
            Err(reason) if section == Section::PreData && !pass.config.requirements.is_empty() => {
                return Err(Error::config(format!(
                    "option --requirements cannot be honoured: {reason}"
                ))
                .hint("Create the extensions on the target beforehand and leave the option out."));
            }
            Err(reason) => {
                tracing::warn!(%reason, section = section.name(), "leaving a section to pg_restore");
                return Ok(false);
            }
        };
        let done = ledger::statements(target.session().await?).await?;
        let wanted = script.session_count(pass.config.jobs.restore);
        let sessions = control::open_several(&pass.config.target, wanted).await?;
        let what = Apply {
            script: &script,
            done: &done,
            mark: Some(&ledger::statements_sql),
            search_path: &self.search_path,
        };
        apply::apply(what, sessions, stop).await?;
        Ok(true)
    }

    /// Lists the archive and comments out what is not restored. Returns the list as printed, and how
    /// many entries stay.
    async fn edit_list(
        &self,
        pass: &Pass<'_>,
        plan: &Plan,
        section: Section,
        out: &Path,
        filtered: &Path,
    ) -> Result<(Vec<u8>, u64)> {
        let listing = self.listing(pass, out).await?;
        replace_file(out, &listing.text)?;
        let toc = Toc::parse(&listing.text);
        let edited = toc_filter::filter(&toc, &self.rules_of(plan));
        for (entry, reason) in &edited.left_out {
            tracing::trace!(entry = entry.display(), ?reason, "left out of the restore");
        }
        let last = toc_filter::last_of_all(&toc);
        let wanted: HashSet<u32> = (toc.entries().map(|entry| entry.dump_id))
            .filter(|id| listing.pre_data.contains(id) == (section == Section::PreData))
            .filter(|id| !last.contains(id))
            .collect();
        let (edited, kept) = toc_filter::keep_only(&edited.list, &wanted);
        replace_file(filtered, &edited)?;
        Ok((listing.text.clone(), kept))
    }

    /// Leaves the lists of both sections in the work directory, and restores nothing.
    pub(super) async fn edit_lists(&self, pass: &Pass<'_>, plan: &Plan) -> Result<()> {
        let directory = &pass.directory;
        for (section, out, filtered) in [
            (Section::PreData, directory.pre_out_list(), directory.pre_filtered_list()),
            (Section::PostData, directory.post_out_list(), directory.post_filtered_list()),
        ] {
            let (_, kept) = self.edit_list(pass, plan, section, &out, &filtered).await?;
            tracing::info!(entries = kept, "wrote \"{}\"", filtered.display());
        }
        Ok(())
    }

    /// The archive's list, asked once: the archive does not change, and each question is a process.
    async fn listing(&self, pass: &Pass<'_>, out: &Path) -> Result<&Listing> {
        let ask = async || {
            let (tool, stop) = (&self.pair.restore, &pass.stop.graceful);
            let (archive, surroundings) = (pass.directory.schema_dump(), surroundings_of(pass));
            let (text, pre_data) = tokio::try_join!(
                list(tool, &archive, out, &surroundings, stop),
                section_entries(tool, &archive, Section::PreData, &surroundings, stop)
            )?;
            Ok(Listing { text, pre_data })
        };
        self.listing.get_or_try_init(ask).await
    }

    /// The rules of a plan.
    fn rules_of(&self, plan: &Plan) -> Rules {
        let object = |catalog, oid| ObjectId { catalog, oid };
        let indexes = plan.indexes.iter().map(|index| object(catalog::CLASS, index.oid));
        let constraints = (plan.constraints.iter().map(|constraint| constraint.oid))
            .chain(plan.parent_constraints.iter().map(|constraint| constraint.oid))
            .chain(plan.parent_constraints.iter().flat_map(|one| &one.parts).map(|part| part.oid))
            .chain(plan.foreign_keys.iter().map(|key| key.oid))
            .map(|oid| object(catalog::CONSTRAINT, oid));
        let built: HashSet<ObjectId> = indexes.chain(constraints).collect();
        let excluded = (plan.toc_excludes.objects().iter())
            .map(|(catalog, oid)| object(*catalog, *oid))
            .filter(|object| !built.contains(object))
            .chain(self.rules.excluded.iter().copied())
            .collect();
        let not_refreshed = plan.toc_excludes.not_refreshed.iter().copied().collect();
        Rules { excluded, built, not_refreshed, ..self.rules.clone() }
    }

    /// Restores a section.
    async fn restore(
        &self,
        pass: &Pass<'_>,
        section: Section,
        list: &Path,
        transactions: Transactions,
        repeat: bool,
    ) -> Result<()> {
        let what = Restore {
            tool: &self.pair.restore,
            target: &self.target,
            section,
            list,
            transactions,
            options: pass.config.schema,
            repeat,
        };
        let surroundings = surroundings_of(pass);
        restore(&what, &pass.directory.schema_dump(), &surroundings, &pass.stop.graceful).await
    }
}

/// Writes the versions that the user pinned into the statements that create extensions. Digests stay:
/// a piece is the same whichever version it makes.
fn pin_extensions(script: &mut Script, config: &CloneConfig) {
    for piece in &mut script.pieces {
        let Some(name) = piece.name.strip_prefix("EXTENSION - ").map(str::trim) else { continue };
        if let Some(version) = config.requirements.get(name)
            && let Some(at) = piece.sql.rfind(';')
        {
            piece.sql.insert_str(at, &extensions::pin(version));
        }
    }
}

/// The tools of this machine.
///
/// # Errors
/// `Tool` when a named `pg_config` does not work.
pub(in crate::command) async fn inventory(config: &CloneConfig) -> Result<Inventory> {
    let places = Places {
        pg_config: config.client_tools.pg_config.clone(),
        path: config.client_tools.path.clone(),
        more: usual_directories(),
    };
    Inventory::find(&places, &config.client_tools.environment).await
}

/// How the tools of a pass are started.
fn surroundings_of(pass: &Pass<'_>) -> Surroundings {
    surroundings(pass.config, &pass.directory)
}

/// How the tools are started.
pub(in crate::command) fn surroundings(config: &CloneConfig, directory: &WorkDir) -> Surroundings {
    Surroundings {
        environment: config.client_tools.environment.clone(),
        children: Some(std::sync::Arc::clone(directory.children())),
    }
}

/// The version of a server.
fn version(server: &ServerFacts) -> PgVersion {
    PgVersion::from_number(server.version)
}

/// Settings of roles and databases that would stop the tools and that they do not set themselves (P-9).
const TOOL_SETTINGS: &str = "-c default_transaction_read_only=off -c statement_timeout=0 \
                             -c lock_timeout=0 -c idle_in_transaction_session_timeout=0";

/// How a tool reaches a server.
pub(in crate::command) fn endpoint(info: &ConnInfo) -> Endpoint {
    let mut info = info.clone();
    let given = info.options.take().unwrap_or_default();
    info.options = Some(format!("{given} {TOOL_SETTINGS}").trim().to_owned());
    let child = info.child_conninfo();
    Endpoint {
        dbname: child.text,
        variables: child
            .variables
            .into_iter()
            .map(|(name, secret)| (name.to_owned(), secret))
            .collect(),
    }
}
