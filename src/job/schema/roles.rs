//! Roles: dumped by `pg_dumpall`, cut into statements, run on the target in one transaction.
//!
//! ```text
//! dump() ─► roles.sql (mode 0600) ─► parse() ─► apply(): begin; create, alter, grant, …; commit
//! ```
//!
//! A role that the target has keeps its attributes and its password. The statements hold password
//! hashes: none is ever logged or shown.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::Path;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{Endpoint, Surroundings};
use crate::base::error::{Error, Result};
use crate::base::ident::quote_identifier;
use crate::base::summary::{Finding, Severity};
use crate::connect::client::Session;
use crate::local::child::pgtools::Tool;
use crate::local::workdir::replace_file;

/// Whether the passwords of roles are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passwords {
    /// Needs to read `pg_authid`, which only superusers may.
    Copied,
    /// `--no-role-passwords`.
    LeftOut,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    /// CREATE ROLE.
    Create(String),
    /// ALTER ROLE … WITH: attributes and password.
    Attributes(String),
    /// GRANT role TO member.
    Membership {
        /// The role that is granted.
        role: String,
        /// Who becomes its member.
        member: String,
    },
    /// A setting, comment or label of a role.
    Property(String),
    /// Anything else: privileges on parameters.
    Other,
}

/// One statement of `roles.sql`.
pub struct Statement {
    subject: Subject,
    sql: Zeroizing<String>,
}

/// Shows what the statement is about, never its text.
impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Statement {
    /// The statement for the log: without a password.
    fn shown(&self) -> &str {
        match self.subject {
            Subject::Attributes(_) => {
                self.sql.split_once(" PASSWORD '").map_or(self.sql.as_str(), |(head, _)| head)
            }
            _ => &self.sql,
        }
    }

    /// The role can log in.
    fn is_login(&self) -> bool {
        self.shown().split(' ').any(|word| word.trim_end_matches(';') == "LOGIN")
    }
}

/// Dumps the roles of a server into a file that only we may read, and returns its text.
///
/// `database` is what `pg_dumpall` connects to: the one database that we know we may.
///
/// # Errors
/// `Child` with what `pg_dumpall` says; `Cancelled`; `File`; `Data` for names that are no UTF-8.
pub async fn dump(
    tool: &Tool,
    (source, database): (&Endpoint, &str),
    passwords: Passwords,
    file: &Path,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Zeroizing<String>> {
    let output = surroundings
        .command_to(tool, source)
        .argument("--database")
        .argument(database)
        .argument("--roles-only")
        .argument("--encoding=UTF8")
        .argument_if(passwords == Passwords::LeftOut, "--no-role-passwords")
        .run(cancel)
        .await
        .map_err(|error| error.during("dump the roles"))?;
    let written = replace_file(file, &output.stdout);
    let text = String::from_utf8(output.stdout).map(Zeroizing::new);
    written?;
    // The bytes stay out of the message: they may be a password.
    text.map_err(|_| Error::data(crate::base::error::Side::Source, "roles are not UTF-8 text"))
}

/// Cuts the text of `pg_dumpall --roles-only` into statements. Comments, empty lines, lines for psql
/// and the settings of the session, which ours has pinned, are left out.
pub fn parse(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.split('\n').next().unwrap_or(rest);
        let skipped = line.trim().is_empty() || line.starts_with("--") || line.starts_with('\\');
        let end = if skipped { line.len() } else { statement_end(rest) };
        let (statement, next) = rest.split_at(end);
        rest = next.strip_prefix('\n').unwrap_or(next);
        let preamble = ["SET default_", "SET client_encoding", "SET standard_conforming_strings"];
        if !skipped && !preamble.iter().any(|start| statement.starts_with(start)) {
            statements.push(read(statement));
        }
    }
    statements
}

/// Where the statement at the beginning of the text ends: after the semicolon that ends a line and
/// stands outside quotes, or at the end of the text.
fn statement_end(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    let mut previous = '\n';
    for (at, character) in text.char_indices() {
        match quote {
            // A doubled quote ends the text and begins another one, which comes to the same. Only
            // after an E does a backslash hide what follows it.
            Some((mark, escapes)) => {
                if escaped {
                    escaped = false;
                } else if escapes && character == '\\' {
                    escaped = true;
                } else if character == mark {
                    quote = None;
                }
            }
            None if character == '\'' || character == '"' => {
                quote = Some((character, character == '\'' && matches!(previous, 'E' | 'e')));
            }
            None if character == ';' => {
                let after = at + 1;
                if text.get(after..).is_none_or(|rest| rest.is_empty() || rest.starts_with('\n')) {
                    return after;
                }
            }
            None => {}
        }
        previous = character;
    }
    text.len()
}

/// Attributes that a new role has anyway. Saying so needs a superuser, which no managed service gives.
const DEFAULT_ATTRIBUTES: [&str; 3] = [" NOSUPERUSER", " NOREPLICATION", " NOBYPASSRLS"];

/// Finds out what a statement is about.
fn read(sql: &str) -> Statement {
    let statement = |subject| Statement { subject, sql: Zeroizing::new(sql.to_owned()) };
    if let Some((role, _)) = sql.strip_prefix("CREATE ROLE ").and_then(identifier) {
        return statement(Subject::Create(role));
    }
    if let Some((role, rest)) = sql.strip_prefix("ALTER ROLE ").and_then(identifier) {
        if !rest.starts_with(" WITH ") {
            return statement(Subject::Property(role));
        }
        let (words, value) = rest.split_at(rest.find('\'').unwrap_or(rest.len()));
        let mut words = words.to_owned();
        for attribute in DEFAULT_ATTRIBUTES {
            words = words.replace(attribute, "");
        }
        let sql = format!("ALTER ROLE {}{words}{value}", quote_identifier(&role));
        return Statement { subject: Subject::Attributes(role), sql: Zeroizing::new(sql) };
    }
    if let Some((role, _)) = sql.strip_prefix("COMMENT ON ROLE ").and_then(identifier) {
        return statement(Subject::Property(role));
    }
    let membership = sql.strip_prefix("GRANT ").and_then(identifier).and_then(|(role, rest)| {
        let (member, _) = identifier(rest.strip_prefix(" TO ")?)?;
        Some(Subject::Membership { role, member })
    });
    statement(membership.unwrap_or(Subject::Other))
}

/// Reads the name at the beginning of a text; returns it unquoted, and what follows.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ';' || c == ',' || c.is_whitespace())?;
        let (name, rest) = text.split_at(end);
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        let Some(more) = after.strip_prefix('"') else { return Some((name, after)) };
        name.push('"');
        rest = more;
    }
}

/// Whether a role belongs to a managed service, which makes its own (P-3).
fn is_managed(role: &str) -> bool {
    let exact = ["rdsadmin", "rdsrepladmin", "rdstopmgr", "rdswriteforwarduser", "azuresu"];
    let prefixes = ["rds_", "cloudsql", "azure_", "supabase_"];
    exact.contains(&role) || prefixes.iter().any(|prefix| role.starts_with(prefix))
}

/// Creates the roles that the target lacks, and gives all of them their memberships and settings, in
/// one transaction. Returns what was left out.
///
/// Not cancel safe.
///
/// # Errors
/// The server's for a role that cannot be created; nothing is changed then.
pub async fn apply(
    session: &mut Session,
    statements: &[Statement],
    passwords: Passwords,
) -> Result<Vec<Finding>> {
    session.execute("begin").await?;
    match apply_all(session, statements, passwords).await {
        Ok(findings) => session.execute("commit").await.map(|_| findings),
        Err(error) => {
            if !session.is_broken() {
                session.execute("rollback").await?;
            }
            Err(error.during("create roles"))
        }
    }
}

/// The same inside the transaction.
async fn apply_all(
    session: &mut Session,
    statements: &[Statement],
    passwords: Passwords,
) -> Result<Vec<Finding>> {
    let rows = session.query("select r.rolname from pg_catalog.pg_roles r", &[]).await?;
    let existing: HashSet<String> =
        rows.rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_>>()?;
    let mut created: HashSet<&str> = HashSet::new();
    let mut without_password = BTreeSet::new();
    let mut findings = Vec::new();
    for statement in statements {
        let there = |role: &str| existing.contains(role) || created.contains(role);
        match &statement.subject {
            Subject::Create(role) if existing.contains(role) => {
                tracing::info!(target: crate::base::log::NOTICE, role, "the target has the role");
            }
            Subject::Create(role) if is_managed(role) => findings.push(managed(role)),
            Subject::Create(role) => {
                session.execute(&statement.sql).await.map_err(|e| named(e, role))?;
                created.insert(role);
            }
            Subject::Attributes(role) => {
                if created.contains(role.as_str()) {
                    run_secret(session, statement).await.map_err(|e| named(e, role))?;
                    if statement.is_login() {
                        without_password.insert(role.as_str());
                    }
                }
            }
            Subject::Membership { role, member } if there(role) && there(member) => {
                findings.extend(grant(session, statement, (role, member)).await?);
            }
            Subject::Membership { role, member } => {
                let missing = if there(role) { member } else { role };
                findings.push(left_out(
                    format!("membership of {} in {}", shown(member), shown(role)),
                    &format!("the target has no role {}", shown(missing)),
                    &statement.sql,
                ));
            }
            // Of a role that was left out, with its own finding.
            Subject::Property(role) if !there(role) => {}
            Subject::Property(role) => {
                if let Err(error) = attempt(session, &statement.sql).await? {
                    let object = format!("property of role {}", shown(role));
                    findings.push(left_out(object, &error.to_string(), &statement.sql));
                }
            }
            Subject::Other => {
                if let Err(error) = attempt(session, &statement.sql).await? {
                    let object = "privilege of a role".to_owned();
                    findings.push(left_out(object, &error.to_string(), &statement.sql));
                }
            }
        }
    }
    if passwords == Passwords::LeftOut && !without_password.is_empty() {
        findings.push(no_passwords(&without_password));
    }
    tracing::info!(created = created.len(), "copied the roles");
    Ok(findings)
}

/// Runs a statement that may hold a password.
async fn run_secret(session: &mut Session, statement: &Statement) -> Result<()> {
    session.execute_secret(&statement.sql, statement.shown()).await.map(|_| ())
}

/// Grants a membership; as ourselves where the grantor may not on the target.
///
/// Before version 16 anybody could be named as grantor; since then it must hold the ADMIN option.
async fn grant(
    session: &mut Session,
    statement: &Statement,
    (role, member): (&str, &str),
) -> Result<Option<Finding>> {
    let Err(error) = attempt(session, &statement.sql).await? else { return Ok(None) };
    let object = format!("membership of {} in {}", shown(member), shown(role));
    let Some((head, _)) = statement.sql.rsplit_once(" GRANTED BY ") else {
        return Ok(Some(left_out(object, &error.to_string(), &statement.sql)));
    };
    let ours = format!("{head};");
    Ok(Some(match attempt(session, &ours).await? {
        Ok(()) => Finding {
            severity: Severity::Notice,
            object,
            reason: format!("it is granted by the connecting role: {error}"),
            hint: None,
        },
        Err(error) => left_out(object, &error.to_string(), &ours),
    }))
}

/// Runs a statement behind a savepoint: what the server refuses leaves the transaction usable.
///
/// # Errors
/// Only when the session is lost; the server's refusal is the inner error.
async fn attempt(session: &mut Session, sql: &str) -> Result<std::result::Result<(), Error>> {
    session.execute("savepoint pgcopydb_role").await?;
    match session.execute(sql).await {
        Ok(_) => {
            session.execute("release savepoint pgcopydb_role").await?;
            Ok(Ok(()))
        }
        Err(error) if session.is_broken() || error.as_server().is_none() => Err(error),
        Err(error) => {
            session.execute("rollback to savepoint pgcopydb_role").await?;
            Ok(Err(error))
        }
    }
}

/// Names the role in an error.
fn named(error: Error, role: &str) -> Error {
    error.during(format!("role {}", shown(role))).hint(
        "Let the target's role create roles: ALTER ROLE … CREATEROLE, or connect as superuser.",
    )
}

/// A role for messages.
fn shown(role: &str) -> String {
    quote_identifier(role)
}

/// The finding for a statement that was not run.
fn left_out(object: String, reason: &str, sql: &str) -> Finding {
    Finding {
        severity: Severity::Warning,
        object,
        reason: reason.to_owned(),
        hint: Some(format!("Run `{sql}` on the target where it is wanted.")),
    }
}

/// The finding for a role of a managed service.
fn managed(role: &str) -> Finding {
    Finding {
        severity: Severity::Notice,
        object: format!("role {}", shown(role)),
        reason: "it belongs to a managed service and is not copied".into(),
        hint: None,
    }
}

/// The finding for roles that cannot log in yet.
fn no_passwords(roles: &BTreeSet<&str>) -> Finding {
    let names: Vec<String> = roles.iter().map(|role| shown(role)).collect();
    Finding {
        severity: Severity::Warning,
        object: format!("roles {}", names.join(", ")),
        reason: "they were created without a password".into(),
        hint: Some("Set their passwords with `ALTER ROLE … PASSWORD` on the target.".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of all statements.
    fn texts(text: &str) -> Vec<String> {
        parse(text).iter().map(|statement| statement.sql.to_string()).collect()
    }

    #[test]
    fn comments_settings_and_lines_for_psql_are_left_out() {
        let text = "--\n-- dump\n--\n\n\\restrict abc\n\nSET default_transaction_read_only = off;\n\n\
                    SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n\n\
                    CREATE ROLE a;\nSET SESSION AUTHORIZATION a;\nRESET SESSION AUTHORIZATION;\n\
                    \\unrestrict abc\n";
        let expected =
            ["CREATE ROLE a;", "SET SESSION AUTHORIZATION a;", "RESET SESSION AUTHORIZATION;"];
        assert_eq!(texts(text), expected);
    }

    #[test]
    fn quoted_line_ends_and_semicolons_do_not_cut() {
        let comment = "COMMENT ON ROLE a IS 'one;\n-- two''s;\n\nthree';";
        let escaped = "COMMENT ON ROLE a IS  E'x\\\\'';\n\\\\';";
        let quoted = "ALTER ROLE \"q;'\"\"x\" SET app.a TO 'b;\nc';";
        let text = format!("{comment}\n{escaped}\n{quoted}\nCREATE ROLE b;");
        assert_eq!(texts(&text), [comment, escaped, quoted, "CREATE ROLE b;"]);
    }

    #[test]
    fn subjects_are_told_by_unquoted_names() {
        let subjects: Vec<Subject> = parse(
            "CREATE ROLE \"a WITH \"\"b\";\nALTER ROLE \"a WITH \"\"b\" WITH NOSUPERUSER LOGIN;\n\
             ALTER ROLE a SET x TO 'y';\nGRANT \"A\" TO b WITH INHERIT TRUE GRANTED BY c;\n\
             GRANT SET ON PARAMETER x TO a;\n",
        )
        .into_iter()
        .map(|statement| statement.subject)
        .collect();
        let expected = [
            Subject::Create("a WITH \"b".into()),
            Subject::Attributes("a WITH \"b".into()),
            Subject::Property("a".into()),
            Subject::Membership { role: "A".into(), member: "b".into() },
            Subject::Other,
        ];
        assert_eq!(subjects, expected);
    }

    #[test]
    fn default_attributes_go_and_values_stay() {
        let text = "ALTER ROLE \"a NOSUPERUSER\" WITH NOSUPERUSER INHERIT LOGIN NOREPLICATION \
                    NOBYPASSRLS PASSWORD 'x NOSUPERUSER' VALID UNTIL 'infinity';\n";
        let expected = "ALTER ROLE \"a NOSUPERUSER\" WITH INHERIT LOGIN PASSWORD 'x NOSUPERUSER' \
                        VALID UNTIL 'infinity';";
        assert_eq!(texts(text), [expected]);
    }

    #[test]
    fn passwords_are_neither_shown_nor_debugged() {
        let text = "ALTER ROLE a WITH LOGIN PASSWORD 'SCRAM-SHA-256$x' VALID UNTIL 'infinity';\n";
        let [statement] = parse(text).try_into().expect("one statement");
        assert_eq!(statement.shown(), "ALTER ROLE \"a\" WITH LOGIN");
        assert!(statement.is_login());
        assert!(!format!("{statement:?}").contains("SCRAM"));
    }

    #[test]
    fn roles_of_managed_services_are_known_and_others_are_not() {
        for role in ["rdsadmin", "rds_superuser", "cloudsqladmin", "azure_pg_admin", "supabase_x"] {
            assert!(is_managed(role), "{role}");
        }
        for role in ["rdsmith", "postgres", "azurite", "app_rds_user"] {
            assert!(!is_managed(role), "{role}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_cut_without_losing_a_character(text in "(CREATE ROLE a;|'|\"|E'|\\\\|;|\n|--|é| ){0,30}") {
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let end = statement_end(rest);
                proptest::prop_assert!(end > 0 && rest.is_char_boundary(end));
                rest = &rest[end..];
            }
            let _ = parse(&text);
        }
    }
}
