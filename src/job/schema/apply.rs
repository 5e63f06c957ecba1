//! Runs a section over our own sessions: exact resume, few round trips, the server's error with the
//! name of the entry.
//!
//! ```text
//! pg_restore --file=- ─► script::parse ─► begin; piece, piece, …; mark; commit   (many times)
//!                                        large sections and REFRESH on several sessions
//! ```
//!
//! Each transaction carries the marks of its pieces, so a piece is done if and only if its mark is
//! there: whatever interrupts us, the next start runs what is left, and nothing needs to be dropped
//! and made again (dropping a partitioned table's constraint would take the partitions' indexes
//! along, which other jobs have built).

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::restore::with_options;
use super::script::{self, Piece, PieceKind, Script, ScriptError};
use super::toc::Toc;
use super::{Section, Surroundings};
use crate::base::error::{Class, Error, Result};
use crate::base::ident::quote_literal;
use crate::config::SchemaOptions;
use crate::connect::client::Session;
use crate::local::child::pgtools::{PgVersion, Tool};

/// Pieces per transaction. Restoring one leaves up to four locks held until the end of its
/// transaction (table, TOAST table and index, sequence); 200 fit a server of the smallest
/// configuration beside everything else. 4000 tables took 7.4 s with 20 per transaction, 7.2 s with
/// 50, 7.3 s with 200 and 13.8 s with 1000 (18.4, two cores).
const BATCH_PIECES_MAX: usize = 50;

/// Pieces from which on a section is run on several sessions: creating 4000 tables keeps one backend
/// busy for five to seven seconds; for less than this the order of the script is worth more than
/// the tenths of a second.
const PARALLEL_PIECES_MIN: usize = 1000;

/// Bytes of SQL per transaction: one message to the server, which parses it as a whole.
const BATCH_BYTES_MAX: usize = 256 << 10;

/// SQLSTATE out_of_memory: the lock table is full, among others.
const OUT_OF_MEMORY: &str = "53200";

/// Writes down that pieces are done: makes the statement that is run in their transaction, of their
/// digests.
pub type Mark = dyn Fn(&[i64]) -> String + Send + Sync;

/// A section to run.
#[derive(Clone, Copy)]
pub struct Apply<'a> {
    /// What to run.
    pub script: &'a Script,
    /// Digests of pieces that an earlier start has run.
    pub done: &'a HashSet<i64>,
    /// Writes down what is done, in the same transaction; `None` keeps no record.
    pub mark: Option<&'a Mark>,
    /// The source's own `search_path`, for views whose text relies on it (D-17); may be empty.
    pub search_path: &'a str,
}

/// What was run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Pieces run now.
    pub run_count: u64,
    /// Pieces that an earlier start had run.
    pub done_count: u64,
}

/// What a section's SQL is made from.
#[derive(Debug, Clone, Copy)]
pub struct ScriptSource<'a> {
    /// `pg_restore`.
    pub tool: &'a Tool,
    /// The archive.
    pub archive: &'a Path,
    /// The edited list, with the entries of the section only: see [`super::section_entries`].
    pub list: &'a Path,
    /// The list before it was edited, with its dependencies.
    pub toc: &'a Toc<'a>,
    /// What the user wants to be left out.
    pub options: SchemaOptions,
    /// Begin by dropping what exists, unless something of the section is marked as done.
    pub clean: bool,
    /// The target's version.
    pub target: PgVersion,
}

/// Asks `pg_restore` for the SQL of a section and cuts it into pieces.
///
/// # Errors
/// `Child` when `pg_restore` fails. `Ok(Err(_))` when the script is nothing that we can run: then
/// [`super::restore()`] must.
pub async fn script(
    from: ScriptSource<'_>,
    section: Section,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<std::result::Result<Script, ScriptError>> {
    let command = surroundings.command(from.tool);
    let output = with_options(command, from.list, from.options, from.clean)
        .argument("--file=-")
        .argument("--verbose")
        .argument(from.archive)
        .run(cancel)
        .await
        .map_err(|error| error.during(format!("read {} of the schema", section.name())))?;
    Ok(script::parse(&output.stdout, from.toc, from.target))
}

impl Script {
    /// How many sessions are of use, `jobs` at most: several for a large section, and one for each
    /// REFRESH.
    pub fn session_count(&self, jobs: u32) -> usize {
        let refreshes = self.pieces.iter().filter(|piece| piece.kind == PieceKind::Refresh);
        let most = jobs.max(1) as usize;
        if self.pieces.len() >= PARALLEL_PIECES_MIN {
            most
        } else {
            refreshes.count().clamp(1, most)
        }
    }
}

/// Runs a section on one session or several.
///
/// The sessions are used up: they end with settings of the script. Not cancel safe; use `stop`,
/// which cancels the running statements.
///
/// # Errors
/// The server's error, with the entry; `Cancelled`. What was committed before is marked.
pub async fn apply(
    what: Apply<'_>,
    sessions: Vec<Session>,
    stop: &CancellationToken,
) -> Result<Applied> {
    let (done, left): (Vec<&Piece>, Vec<&Piece>) =
        what.script.pieces.iter().partition(|piece| what.done.contains(&piece.digest));
    let mut crew = Crew { idle: sessions, mark: what.mark, stop };
    for session in &mut crew.idle {
        run(session, &what.script.settings, stop).await?;
    }
    // Once something is restored, dropping would take away what is marked as done.
    if !what.script.drops.is_empty() && done.is_empty() {
        let dropped = drop_existing(crew.first()?, &what.script.drops, stop).await;
        dropped.map_err(|error| error.during("drop what exists"))?;
    }
    let Passes { ordinary, privileges, last, refreshes } = passes(&left);
    for pieces in [ordinary, privileges] {
        if pieces.len() >= PARALLEL_PIECES_MIN && crew.idle.len() > 1 {
            crew.run_side_by_side(&pieces).await?;
        } else {
            crew.run_in_order(&pieces).await?;
        }
    }
    crew.run_in_order(&last).await?;
    for level in levels(&refreshes) {
        crew.refresh(&level, what.search_path).await?;
    }
    let (run_count, done_count) = (left.len() as u64, done.len() as u64);
    tracing::info!(run_count, done_count, "restored a section of the schema");
    Ok(Applied { run_count, done_count })
}

/// Runs DROP statements: in one transaction, or, where the server's lock table has no room for all, one
/// by one. Each says IF EXISTS, so that an interrupted run just repeats them.
async fn drop_existing(session: &mut Session, drops: &str, stop: &CancellationToken) -> Result<()> {
    match run(session, &transaction(drops), stop).await {
        Err(error) if error.sqlstate() == Some(OUT_OF_MEMORY) && !session.is_broken() => {
            tracing::debug!(%error, "dropping one by one");
            run(session, "rollback", stop).await?;
            for statement in drop_statements(drops) {
                run(session, statement, stop).await?;
            }
            Ok(())
        }
        result => result,
    }
}

/// Cuts DROP and ALTER statements apart; each begins a line, and names may hold line breaks.
fn drop_statements(drops: &str) -> impl Iterator<Item = &str> {
    let mut rest = drops;
    std::iter::from_fn(move || {
        let begins = |at: &usize| {
            rest.get(*at..).is_some_and(|text| {
                ["DROP ", "ALTER ", "SET "].iter().any(|word| text.starts_with(word))
            })
        };
        let next = rest.match_indices(";\n").map(|(at, _)| at + 2).find(begins);
        let (statement, after) = rest.split_at_checked(next.unwrap_or(rest.len()))?;
        rest = after;
        (!statement.trim().is_empty()).then_some(statement)
    })
}

/// The pieces of a section in the order of `pg_restore`'s passes.
#[derive(Default)]
struct Passes<'p> {
    /// What makes objects.
    ordinary: Vec<&'p Piece>,
    /// Privileges.
    privileges: Vec<&'p Piece>,
    /// Ordinary ones from the first that stands after privileges on: event triggers, their comments.
    last: Vec<&'p Piece>,
    /// REFRESH statements.
    refreshes: Vec<&'p Piece>,
}

/// Sorts pieces into passes; each keeps the order of the script.
fn passes<'p>(pieces: &[&'p Piece]) -> Passes<'p> {
    let mut passes = Passes::default();
    for piece in pieces {
        match piece.kind {
            PieceKind::Ordinary => {
                let last = !passes.last.is_empty()
                    || !passes.privileges.is_empty()
                    || piece.name.starts_with("EVENT TRIGGER ");
                if last { &mut passes.last } else { &mut passes.ordinary }.push(piece);
            }
            PieceKind::Privileges => passes.privileges.push(piece),
            PieceKind::Refresh => passes.refreshes.push(piece),
        }
    }
    passes
}

/// What to do when a batch that runs beside others fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnError {
    /// Start nothing more and report it.
    Stop,
    /// Set it aside, to be run again in order.
    SetAside,
    /// Set it aside when it misses a name, report it otherwise.
    SetAsideWithoutName,
}

impl OnError {
    /// Whether a batch that failed is set aside.
    fn sets_aside(self, error: &Error) -> bool {
        match self {
            Self::Stop => false,
            Self::SetAside => error.class() != Class::Cancelled,
            // undefined_function, undefined_table, undefined_object, invalid_schema_name.
            Self::SetAsideWithoutName => {
                matches!(error.sqlstate(), Some("42883" | "42P01" | "42704" | "3F000"))
            }
        }
    }
}

/// The sessions of a restore.
struct Crew<'a> {
    idle: Vec<Session>,
    mark: Option<&'a Mark>,
    stop: &'a CancellationToken,
}

impl Crew<'_> {
    /// The session for what runs in order.
    fn first(&mut self) -> Result<&mut Session> {
        self.idle.first_mut().ok_or_else(|| Error::internal("a restore has no session"))
    }

    /// Runs pieces one batch after the other.
    async fn run_in_order(&mut self, pieces: &[&Piece]) -> Result<()> {
        for batch in batches(pieces) {
            if self.stop.is_cancelled() {
                return Err(Error::cancelled());
            }
            let (mark, stop) = (self.mark, self.stop);
            run_batch(self.first()?, batch, mark, stop).await?;
        }
        Ok(())
    }

    /// Runs pieces on all sessions, what depends on each other one level after the other.
    ///
    /// The archive's dependencies are not known to be complete for pre-data, and statements that run
    /// side by side may meet in a deadlock or in one catalog row. A batch that fails is rolled back
    /// and run again afterwards, in the order of the script.
    async fn run_side_by_side(&mut self, pieces: &[&Piece]) -> Result<()> {
        let mut aside: HashSet<u32> = HashSet::new();
        for level in levels(pieces) {
            let batches = batches(&level).map(<[&Piece]>::to_vec).collect();
            aside.extend(self.run_level(batches, OnError::SetAside).await?);
        }
        let again: Vec<&Piece> =
            pieces.iter().copied().filter(|piece| aside.contains(&piece.dump_id)).collect();
        if !again.is_empty() {
            tracing::debug!(count = again.len(), "running entries again in order");
        }
        self.run_in_order(&again).await
    }

    /// Refreshes views that do not depend on each other. One whose text misses a name under the empty
    /// `search_path` of the restore is refreshed under the source's own: queries in strings
    /// (`ts_stat('select …')`) and functions are not qualified by the server that prints them.
    async fn refresh(&mut self, views: &[&Piece], search_path: &str) -> Result<()> {
        let on_error =
            if search_path.is_empty() { OnError::Stop } else { OnError::SetAsideWithoutName };
        let aside = self.run_level(one_by_one(views), on_error).await?;
        if aside.is_empty() {
            return Ok(());
        }
        let path = quote_literal(search_path);
        for session in &mut self.idle {
            let sql = format!("select pg_catalog.set_config('search_path', {path}, false)");
            run(session, &sql, self.stop).await?;
        }
        let again: Vec<&Piece> =
            views.iter().copied().filter(|piece| aside.contains(&piece.dump_id)).collect();
        self.run_level(one_by_one(&again), OnError::Stop).await.map_err(|error| {
            error.hint(
                "Its text relies on the search_path; from version 17 on the server refreshes views \
                 with pg_catalog only. Qualify the names in it, or leave it out with \
                 [exclude-table-data] and refresh it by hand.",
            )
        })?;
        Ok(())
    }

    /// Runs batches that do not depend on each other, one on each session at a time. Returns the
    /// dump ids of what was set aside.
    async fn run_level(
        &mut self,
        batches: Vec<Vec<&Piece>>,
        on_error: OnError,
    ) -> Result<Vec<u32>> {
        let mut running = JoinSet::new();
        let mut waiting = batches.into_iter();
        let mut aside = Vec::new();
        let mut failure = None;
        loop {
            while failure.is_none() && !self.stop.is_cancelled() && !self.idle.is_empty() {
                let Some(batch) = waiting.next() else { break };
                let Some(mut session) = self.idle.pop() else { break };
                let (sql, stop) = (batch_sql(&batch, self.mark), self.stop.clone());
                let name = batch.first().map_or_else(String::new, |piece| piece.name.clone());
                let ids: Vec<u32> = batch.iter().map(|piece| piece.dump_id).collect();
                running.spawn(async move {
                    let mut result = run(&mut session, &sql, &stop).await;
                    if result.is_err() && !session.is_broken() {
                        result = run(&mut session, "rollback", &stop).await.and(result);
                    }
                    (session, ids, name, result)
                });
            }
            let Some(ended) = running.join_next().await else { break };
            let (session, ids, name, result) = ended.map_err(|error| {
                Error::internal(format!("a task of the restore ended: {error}"))
            })?;
            match result {
                Ok(()) => self.idle.push(session),
                Err(error) if !session.is_broken() && on_error.sets_aside(&error) => {
                    tracing::debug!(%error, "a batch of entries is set aside");
                    self.idle.push(session);
                    aside.extend(ids);
                }
                Err(error) => {
                    let error = match error.class() {
                        Class::Cancelled => error,
                        _ => error.during(format!("restore {name}")),
                    };
                    failure = failure.or(Some(error));
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None if self.stop.is_cancelled() => Err(Error::cancelled()),
            None => Ok(aside),
        }
    }
}

/// Runs several pieces in one transaction; when that fails, one by one, to find the one that does.
async fn run_batch(
    session: &mut Session,
    batch: &[&Piece],
    mark: Option<&Mark>,
    stop: &CancellationToken,
) -> Result<()> {
    let error = match run(session, &batch_sql(batch, mark), stop).await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    if session.is_broken() || error.class() == Class::Cancelled {
        return Err(error);
    }
    run(session, "rollback", stop).await?;
    if let [piece] = batch {
        return Err(error.during(format!("restore {}", piece.name)));
    }
    tracing::debug!(%error, "a batch of entries failed, running them one by one");
    for piece in batch {
        // What fails alone, too, ends the run; what does not had bad luck (a deadlock).
        Box::pin(run_batch(session, &[piece], mark, stop)).await?;
    }
    Ok(())
}

/// Runs SQL; a stop cancels it on the server.
async fn run(session: &mut Session, sql: &str, stop: &CancellationToken) -> Result<()> {
    if sql.is_empty() {
        return Ok(());
    }
    let cancel = session.cancel_handle();
    let running = session.execute(sql);
    tokio::pin!(running);
    tokio::select! {
        result = &mut running => result.map(drop),
        () = stop.cancelled() => {
            cancel.cancel().await;
            // It may have ended well before the request arrived.
            running.await.map(drop).map_err(|error| match error.class() {
                Class::Cancelled => Error::cancelled(),
                _ => error,
            })
        }
    }
}

/// A batch for each piece.
fn one_by_one<'p>(pieces: &[&'p Piece]) -> Vec<Vec<&'p Piece>> {
    pieces.iter().map(|piece| vec![*piece]).collect()
}

/// The SQL of a transaction that runs pieces and marks them.
fn batch_sql(batch: &[&Piece], mark: Option<&Mark>) -> String {
    let mut sql = String::new();
    let mut settings = "";
    for piece in batch {
        if piece.settings != settings {
            sql.push_str(&piece.settings);
            settings = &piece.settings;
        }
        sql.push_str(&piece.sql);
        sql.push('\n');
    }
    if let Some(mark) = mark {
        let digests: Vec<i64> = batch.iter().map(|piece| piece.digest).collect();
        sql.push_str(&mark(&digests));
    }
    transaction(&sql)
}

/// Wraps SQL into a transaction.
fn transaction(sql: &str) -> String {
    format!("begin;\n{}\n;\ncommit", sql.trim_end().trim_end_matches(';'))
}

/// Cuts pieces into batches within the limits.
fn batches<'a, 'p>(pieces: &'a [&'p Piece]) -> impl Iterator<Item = &'a [&'p Piece]> {
    let mut rest = pieces;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().take(BATCH_PIECES_MAX).take_while(|piece| {
            bytes += piece.sql.len();
            bytes <= BATCH_BYTES_MAX
        });
        // A piece larger than the limit goes alone.
        let count = fitting.count().max(1).min(rest.len());
        let (batch, after) = rest.split_at_checked(count)?;
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Sorts pieces into levels: each depends only on earlier ones. Dependencies on what is not among
/// them are met already.
fn levels<'p>(pieces: &[&'p Piece]) -> Vec<Vec<&'p Piece>> {
    let mut level_of: BTreeMap<u32, usize> =
        pieces.iter().map(|piece| (piece.dump_id, 0)).collect();
    // As many rounds as there are pieces is enough for any order, and ends on a cycle, too.
    for _ in 0..pieces.len() {
        let mut changed = false;
        for piece in pieces {
            let above = piece.depends_on.iter().filter(|id| **id != piece.dump_id);
            let level = above.filter_map(|id| level_of.get(id)).max().map_or(0, |level| level + 1);
            if level > level_of[&piece.dump_id] && level < pieces.len() {
                level_of.insert(piece.dump_id, level);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    let mut levels: BTreeMap<usize, Vec<&Piece>> = BTreeMap::new();
    for piece in pieces {
        levels.entry(level_of[&piece.dump_id]).or_default().push(piece);
    }
    levels.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(dump_id: u32, depends_on: &[u32], bytes: usize) -> Piece {
        Piece {
            dump_id,
            name: format!("TABLE s t{dump_id} joe"),
            kind: PieceKind::Ordinary,
            depends_on: depends_on.to_vec(),
            settings: String::new(),
            sql: "x".repeat(bytes),
            digest: i64::from(dump_id),
        }
    }

    #[test]
    fn batches_hold_everything_in_order_within_the_limits() {
        let mut pieces: Vec<Piece> = (0..120).map(|id| piece(id, &[], 10)).collect();
        pieces.insert(60, piece(500, &[], BATCH_BYTES_MAX + 1));
        pieces.insert(61, piece(501, &[], BATCH_BYTES_MAX - 10));
        let pieces: Vec<&Piece> = pieces.iter().collect();
        let cut: Vec<&[&Piece]> = batches(&pieces).collect();
        assert_eq!(cut.concat(), pieces);
        let lengths: Vec<usize> = cut.iter().map(|batch| batch.len()).collect();
        assert_eq!(lengths, [50, 10, 1, 2, 50, 9]);
        assert_eq!(batches(&[]).count(), 0);
    }

    #[test]
    fn drop_statements_are_cut_apart_at_their_ends() {
        let drops = "ALTER TABLE ONLY s.a DROP CONSTRAINT b;\nDROP TABLE IF EXISTS s.\"x;\ny\";\n\
                     DROP SCHEMA IF EXISTS s;\n\n";
        let cut: Vec<&str> = drop_statements(drops).map(str::trim).collect();
        assert_eq!(
            cut,
            [
                "ALTER TABLE ONLY s.a DROP CONSTRAINT b;",
                "DROP TABLE IF EXISTS s.\"x;\ny\";",
                "DROP SCHEMA IF EXISTS s;"
            ]
        );
        assert_eq!(drop_statements("").count(), 0);
    }

    #[test]
    fn views_are_refreshed_after_the_views_they_read() {
        // In the wrong order, with dependencies outside, on itself, and a cycle.
        let pieces =
            [piece(3, &[2, 99], 1), piece(2, &[1, 2], 1), piece(1, &[], 1), piece(4, &[1], 1)];
        let found: Vec<Vec<u32>> = levels(&pieces.iter().collect::<Vec<_>>())
            .iter()
            .map(|level| level.iter().map(|piece| piece.dump_id).collect())
            .collect();
        assert_eq!(found, [vec![1], vec![2, 4], vec![3]]);
        let cycle = [piece(1, &[2], 1), piece(2, &[1], 1)];
        let count: usize =
            levels(&cycle.iter().collect::<Vec<_>>()).iter().map(|level| level.len()).sum();
        assert_eq!(count, 2);
    }

    #[test]
    fn marks_and_settings_are_part_of_the_transaction() {
        let mut first = piece(1, &[], 0);
        first.sql = "create table a ();".into();
        first.settings = "SET default_tablespace = x;\n".into();
        let second = Piece { sql: "create table b ();".into(), digest: 2, ..first.clone() };
        let mark = |digests: &[i64]| format!("insert into m values {digests:?};");
        assert_eq!(
            batch_sql(&[&first, &second], Some(&mark)),
            "begin;\nSET default_tablespace = x;\ncreate table a ();\ncreate table b ();\n\
             insert into m values [1, 2]\n;\ncommit"
        );
    }
}
