//! The writing side: objects come into being, contents arrive, owners and privileges follow.

use super::acl;
use super::source::{Contents, Description, GRANTS_SQL, METADATA_SQL, descriptions, oid_array};
use super::{Metadata, array};
use crate::base::error::{Error, Result};
use crate::base::ident::{quote_identifier, quote_literal};
use crate::connect::client::{PipelineStatement, Session};

/// Creates what is missing and empties the rest.
const PREPARE_SQL: &str = include_str!("sql/prepare.sql");
/// Writes contents.
const WRITE_SQL: &str = include_str!("sql/write.sql");

/// Makes sure that the objects exist and are empty; returns what they are like then.
///
/// They may exist because `pg_restore` made them, or because an earlier run got this far.
pub(super) async fn prepare(
    session: &mut Session,
    objects: &[Description],
) -> Result<Vec<Description>> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let oids = oid_array(objects.iter().map(|object| object.oid));
    let statements = [PREPARE_SQL, METADATA_SQL, GRANTS_SQL].map(|sql| PipelineStatement {
        sql,
        params: vec![Some(oids.as_bytes())],
        binary: false,
    });
    let results = session
        .pipeline(&statements)
        .await
        .map_err(|error| error.during("create large objects"))?;
    let [_, metadata, grants] = results.as_slice() else {
        return Err(Error::internal(
            "a pipeline of three statements gave another number of results",
        ));
    };
    descriptions(metadata, grants)
}

/// Writes chunks in one transaction.
pub(super) async fn write(session: &mut Session, contents: Contents) -> Result<()> {
    if contents.oids.is_empty() {
        return Ok(());
    }
    queue(session, contents)?;
    let sent = session.run_queue(&mut Vec::new()).await;
    sent.map_err(|error| error.during("write large objects"))
}

/// Queues the statement that writes chunks; they are in the session's buffer alone then.
fn queue(session: &mut Session, contents: Contents) -> Result<()> {
    let oids = array::oids(contents.oids.into_iter());
    let offsets = array::bigints(contents.offsets.into_iter());
    let bytes = contents.bytes.finish();
    session.queue_binary(WRITE_SQL, &[Some(&oids), Some(&offsets), Some(&bytes)])
}

/// The statements that make owners, privileges and comments what they are on the source.
///
/// # Errors
/// `Internal` when an object that was just created is missing.
pub(super) fn differences(
    wanted: &[Description],
    found: &[Description],
    metadata: Metadata,
) -> Result<Vec<String>> {
    let mut statements = Vec::new();
    for wanted in wanted {
        let oid = wanted.oid;
        let found = found
            .binary_search_by_key(&oid, |object| object.oid)
            .ok()
            .and_then(|index| found.get(index))
            .ok_or_else(|| Error::internal(format!("large object {oid} was not created")))?;
        let owner = if metadata.owner { &wanted.owner } else { &found.owner };
        if *owner != found.owner {
            let owner = quote_identifier(owner);
            statements.push(format!("alter large object {oid} owner to {owner}"));
        }
        if metadata.acl {
            // A change of owner takes the old owner's privileges along, so `found` still says it.
            statements.extend(acl::statements(oid, owner, &wanted.grants, &found.grants));
        }
        if metadata.comment && wanted.comment != found.comment {
            let comment = wanted.comment.as_deref().map_or("null".to_owned(), quote_literal);
            statements.push(format!("comment on large object {oid} is {comment}"));
        }
    }
    Ok(statements)
}

/// Runs the last statements of a range in one transaction.
pub(super) async fn finish(session: &mut Session, statements: &[String]) -> Result<()> {
    if statements.is_empty() {
        return Ok(());
    }
    let sql = format!("begin;\n{};\ncommit", statements.join(";\n"));
    match session.execute(&sql).await {
        Ok(_) => Ok(()),
        Err(error) => {
            if error.as_server().is_some() {
                // A failure here says less than the first one.
                session.execute("rollback").await.ok();
            }
            Err(error.during("set owners, privileges and comments of large objects"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::large_object::acl::{Grant, Party, default_grants};

    const ALL: Metadata = Metadata { owner: true, acl: true, comment: true };

    fn object(owner: &str) -> Description {
        Description {
            oid: 5,
            owner: owner.into(),
            grants: default_grants(),
            comment: None,
            size: None,
        }
    }

    #[test]
    fn what_is_equal_needs_no_statement() {
        assert!(differences(&[object("a")], &[object("a")], ALL).unwrap().is_empty());
    }

    #[test]
    fn owner_and_comment_follow_the_source() {
        let wanted = Description { comment: Some("it's".into()), ..object("bob") };
        assert_eq!(
            differences(std::slice::from_ref(&wanted), &[object("a")], ALL).unwrap(),
            ["alter large object 5 owner to \"bob\"", "comment on large object 5 is 'it''s'"]
        );
        assert_eq!(
            differences(&[object("bob")], &[wanted], ALL).unwrap(),
            ["comment on large object 5 is null"]
        );
    }

    #[test]
    fn switches_leave_things_alone() {
        let mut wanted = Description { comment: Some("c".into()), ..object("bob") };
        wanted.grants.push(Grant {
            grantor: Party::Owner,
            grantee: Party::Public,
            privilege: "SELECT".into(),
            grantable: false,
        });
        let nothing = Metadata { owner: false, acl: false, comment: false };
        assert!(
            differences(std::slice::from_ref(&wanted), &[object("a")], nothing).unwrap().is_empty()
        );
        // Without the owner, the owner's privileges are those of whoever owns it here.
        let no_owner = Metadata { owner: false, ..ALL };
        let statements = differences(&[wanted], &[object("a")], no_owner).unwrap();
        assert!(statements.iter().all(|sql| !sql.contains("bob")), "{statements:?}");
        assert!(statements.contains(&"grant SELECT on large object 5 to public".to_owned()));
    }

    #[test]
    fn an_object_that_vanished_is_an_error() {
        assert!(differences(&[object("a")], &[], ALL).is_err());
    }
}
