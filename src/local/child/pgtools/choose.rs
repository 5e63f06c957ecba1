//! Which `pg_dump` and `pg_restore` fit a source and a target: a pure decision.

use std::cmp::Reverse;

use super::{PgVersion, Program, Tool};
use crate::base::error::{Error, ErrorKind, Result, Side};

/// First major whose `pg_restore` opens with `SET transaction_timeout`, which older servers refuse.
const TRANSACTION_TIMEOUT_MAJOR: u32 = 17;

/// The tools of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolPair {
    /// Writes the archive.
    pub dump: Tool,
    /// Reads it.
    pub restore: Tool,
    /// Why the pair is not the one that people would expect; for the log.
    pub reason: Option<String>,
}

/// Chooses the pair.
///
/// `pg_dump` must not be of an older major than the source (it refuses such servers). Where the
/// source's columns carry the internal option `pg_attver` (`source_has_attver`), it must also not
/// be of an older release than the source: an older one prints the option as `ALTER COLUMN … SET`,
/// and every server refuses that. Among the fit ones the one from the user's `pg_config` wins, then
/// the target's major, then the nearest below it, then the nearest above.
///
/// `pg_restore` must not be of an older major than `pg_dump`, because it could not read the archive;
/// among the fit ones the same order holds. Facts behind this: `docs/decisions/0001-pg-dump-choice.md`.
///
/// # Errors
/// `Tool`, naming the versions found and the package to install.
pub fn choose(
    tools: &[Tool],
    source: PgVersion,
    target: PgVersion,
    source_has_attver: bool,
) -> Result<ToolPair> {
    let new_enough = |tool: &&Tool| tool.version.major() >= source.major();
    let harmless =
        |tool: &&Tool| !source_has_attver || tool.version.is_released_with_or_after(source);
    let dumps = || tools.iter().filter(|tool| tool.program == Program::Dump);
    let restores = || tools.iter().filter(|tool| tool.program == Program::Restore);
    if dumps().next().is_none() {
        return Err(missing(Program::Dump, target.max(source)));
    }
    let expected = best(dumps().filter(new_enough), target)
        .ok_or_else(|| too_old(dumps(), "the source", source))?;
    // Every pair that works, not only the best pg_dump: it may have no pg_restore to read it.
    let mut candidates: Vec<&Tool> = dumps().filter(new_enough).filter(harmless).collect();
    candidates.sort_by_key(|tool| rank(tool, target));
    for dump in &candidates {
        let readers = restores().filter(|tool| tool.version.major() >= dump.version.major());
        if let Some(restore) = best(readers, target) {
            let reason = (*dump != expected).then(|| explain(expected, dump, source));
            return Ok(ToolPair { dump: (*dump).clone(), restore: restore.clone(), reason });
        }
    }
    Err(match candidates.first() {
        None => prints_attver(expected, source),
        Some(_) if restores().next().is_none() => missing(Program::Restore, target.max(source)),
        Some(dump) => too_old(restores(), "the archive of pg_dump", dump.version),
    })
}

/// The best of several fit tools for a target.
fn best<'a>(tools: impl Iterator<Item = &'a Tool>, target: PgVersion) -> Option<&'a Tool> {
    tools.min_by_key(|tool| rank(tool, target))
}

/// Order of preference, smallest first: asked for by the user; not above the target; near to it;
/// newest minor. The sort is stable, so the order of the places decides the rest.
fn rank(tool: &Tool, target: PgVersion) -> (bool, bool, u32, Reverse<PgVersion>) {
    let (ours, theirs) = (tool.version.major(), target.major());
    // A newer pg_restore sends settings that an older target does not know.
    let too_new = ours >= TRANSACTION_TIMEOUT_MAJOR && theirs < TRANSACTION_TIMEOUT_MAJOR;
    (!tool.asked_for || too_new, ours > theirs, ours.abs_diff(theirs), Reverse(tool.version))
}

/// Why another `pg_dump` than the expected one was taken.
fn explain(expected: &Tool, dump: &Tool, source: PgVersion) -> String {
    if expected.version.is_released_with_or_after(source) {
        return format!("no pg_restore reads the archives of {expected}: took {dump}");
    }
    format!(
        "{expected} is of an older release than the source ({source}) and would print its \
         columns' internal option pg_attver, which the target refuses: took {dump}"
    )
}

/// The error for a machine whose every `pg_dump` prints `pg_attver`.
fn prints_attver(expected: &Tool, source: PgVersion) -> Error {
    tool_error(format!(
        "{expected} is of an older release than the source ({source}) and would print its \
         columns' internal option pg_attver, which the target refuses"
    ))
    .hint(format!(
        "Install the client tools of the source's own version ({source}): \
         `apt-get install postgresql-client-{major}` or `dnf install postgresql{major}`.",
        major = source.major()
    ))
}

/// The error for a machine that has none of a program.
pub(super) fn missing(program: Program, version: PgVersion) -> Error {
    tool_error(format!("{} is not installed", program.name())).hint(install(version))
}

/// The error for a machine whose every version of a program is too old.
fn too_old<'a>(tools: impl Iterator<Item = &'a Tool>, than: &str, version: PgVersion) -> Error {
    let found: Vec<String> = tools.map(ToString::to_string).collect();
    tool_error(format!(
        "every version found is older than {than} ({version}): {}",
        found.join(", ")
    ))
    .hint(install(version))
}

/// What to install.
fn install(version: PgVersion) -> String {
    let major = version.major();
    format!(
        "Install the client tools of version {major} or newer: \
         `apt-get install postgresql-client-{major}` or `dnf install postgresql{major}`; or set \
         PG_CONFIG to the pg_config of an installation that has them."
    )
}

/// An error about the tools.
fn tool_error(message: String) -> Error {
    Error::new(Side::Local, ErrorKind::Tool(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(dumps: &[&str], restores: &[&str]) -> Vec<Tool> {
        let tool = |program| {
            move |version: &&str| {
                let (version, asked_for) = match version.strip_suffix('!') {
                    Some(version) => (version, true),
                    None => (*version, false),
                };
                let path = format!("/{version}/bin/{}", Program::name(program)).into();
                Tool { program, path, version: PgVersion::parse(version).unwrap(), asked_for }
            }
        };
        let dumps = dumps.iter().map(tool(Program::Dump));
        dumps.chain(restores.iter().map(tool(Program::Restore))).collect()
    }

    /// Chooses and shows the pair as "dump restore", "!" for a reason given.
    fn pair(dumps: &[&str], restores: &[&str], ends: &str, attver: bool) -> Result<String> {
        let (source, target) = ends.split_once(' ').unwrap();
        let [source, target] = [source, target].map(|v| PgVersion::parse(v).unwrap());
        choose(&tools(dumps, restores), source, target, attver).map(|pair| {
            let mark = if pair.reason.is_some() { "!" } else { "" };
            format!("{} {}{mark}", pair.dump.version, pair.restore.version)
        })
    }

    // trap D-43
    #[test]
    fn the_pair_follows_the_rule() {
        let all = ["15.20", "16.14", "18.4"];
        for (dumps, restores, ends, attver, expected) in [
            // The target's major by default.
            (&all[..], &all[..], "15.18 18.4", false, "18.4 18.4"),
            (&all, &all, "15.20 16.14", false, "16.14 16.14"),
            // The option is there: dump with the source's release, restore with the target's tools.
            (&all, &all, "15.20 18.4", true, "15.20 18.4!"),
            (&all, &all, "15.20 16.14", true, "15.20 16.14!"),
            // A newer release of the target's major knows the option.
            (&["15.20", "18.6"], &all, "15.20 18.6", true, "18.6 18.4"),
            (&["15.20", "18.5"], &all, "15.20 18.5", true, "15.20 18.4!"),
            // Without the target's major: the nearest below it, then the nearest above.
            (&["15.18", "16.14", "19.1"], &all, "15.18 18.4", false, "16.14 18.4"),
            (&["18.4", "19.1"], &["18.4", "19.1"], "15.18 16.14", false, "18.4 18.4"),
            // To an older server: never an older pg_dump than the source.
            (&all, &all, "18.4 15.20", false, "18.4 18.4"),
            // pg_restore must read the archive.
            (&all, &["15.20"], "15.18 18.4", false, "15.20 15.20!"),
            // What the user asks for wins where it is fit.
            (&["16.14!", "18.4"], &["16.14!", "18.4"], "15.18 18.4", false, "16.14 16.14"),
            (&["15.1!", "18.4"], &["15.1!", "18.4"], "16.1 18.4", false, "18.4 18.4"),
            // The newest minor of a major.
            (&["18.1", "18.4"], &["18.4", "18.1"], "15.18 18.4", false, "18.4 18.4"),
        ] {
            let found = pair(dumps, restores, ends, attver).unwrap();
            assert_eq!(found, expected, "{dumps:?} {restores:?} {ends} {attver}");
        }
    }

    #[test]
    fn refusals_name_what_was_found_and_what_to_install() {
        for (dumps, restores, ends, attver, message, hint) in [
            (&[][..], &[][..], "15.20 18.4", false, "pg_dump is not installed", "client-18"),
            (&["15.20"], &[], "15.18 15.18", false, "pg_restore is not installed", "client-15"),
            (
                &["15.20"],
                &["15.20"],
                "16.1 18.4",
                false,
                "older than the source (16.1)",
                "client-16",
            ),
            (&["18.4"], &["15.20"], "16.1 18.4", false, "archive of pg_dump (18.4)", "client-18"),
            (&["18.4"], &["18.4"], "15.20 18.4", true, "pg_attver", "client-15"),
        ] {
            let error = pair(dumps, restores, ends, attver).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Tool(_)), "{error:?}");
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.detail_lines()[0].contains(hint), "{:?}", error.detail_lines());
        }
    }
}
