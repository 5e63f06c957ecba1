//! Privileges of large objects: from `pg_largeobject_metadata.lomacl` of the source to GRANT.

use crate::base::ident::quote_identifier;
use crate::catalog::model::Oid;

/// Who has or gave a privilege.
///
/// The owner is no name here: with `--no-owner` the owners of the two ends differ, and what the
/// owner had there is what the owner gets here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// The object's owner.
    Owner,
    /// Everybody.
    Public,
    /// A role.
    Role(String),
}

/// One privilege that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grant {
    /// Who gave it.
    pub grantor: Party,
    /// Who has it.
    pub grantee: Party,
    /// `SELECT` or `UPDATE`.
    pub privilege: String,
    /// WITH GRANT OPTION.
    pub grantable: bool,
}

/// What the owner has while nobody granted or revoked anything.
pub(super) fn default_grants() -> Vec<Grant> {
    ["SELECT", "UPDATE"]
        .map(|privilege| Grant {
            grantor: Party::Owner,
            grantee: Party::Owner,
            privilege: privilege.to_owned(),
            grantable: false,
        })
        .into()
}

/// The statements that turn the privileges `found` on the target into the `wanted` ones; empty when
/// they are the same. `owner` is the object's owner on the target by then.
pub(super) fn statements(oid: Oid, owner: &str, wanted: &[Grant], found: &[Grant]) -> Vec<String> {
    if sorted(wanted) == sorted(found) {
        return Vec::new();
    }
    let mut statements = Vec::new();
    // Everything goes first, so that the entries end up in the source's order.
    let mut grantees: Vec<&Party> = found.iter().map(|grant| &grant.grantee).collect();
    grantees.sort();
    grantees.dedup();
    for grantee in grantees {
        let grantee = party(grantee, owner);
        statements.push(format!("revoke all on large object {oid} from {grantee} cascade"));
    }
    for grant in wanted {
        let grantee = party(&grant.grantee, owner);
        let option = if grant.grantable { " with grant option" } else { "" };
        let statement =
            format!("grant {} on large object {oid} to {grantee}{option}", grant.privilege);
        match &grant.grantor {
            Party::Role(grantor) => {
                statements.push(format!("set local role {}", quote_identifier(grantor)));
                statements.push(statement);
                statements.push("reset role".to_owned());
            }
            // A superuser and a member of the owner's role grant in the owner's name.
            Party::Owner | Party::Public => statements.push(statement),
        }
    }
    statements
}

/// Grants in an order that does not depend on their history.
fn sorted(grants: &[Grant]) -> Vec<Grant> {
    let mut grants = grants.to_vec();
    grants.sort();
    grants
}

/// A party as SQL names it.
fn party(party: &Party, owner: &str) -> String {
    match party {
        Party::Owner => quote_identifier(owner),
        Party::Public => "public".to_owned(),
        Party::Role(name) => quote_identifier(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(grantor: Party, grantee: Party, privilege: &str, grantable: bool) -> Grant {
        Grant { grantor, grantee, privilege: privilege.into(), grantable }
    }

    #[test]
    fn equal_privileges_need_no_statement_whatever_their_order() {
        let mut reversed = default_grants();
        reversed.reverse();
        assert!(statements(1, "o", &default_grants(), &reversed).is_empty());
    }

    #[test]
    fn grants_of_others_are_made_in_their_name() {
        let alice = || Party::Role("alice".into());
        let mut wanted = default_grants();
        wanted.push(grant(Party::Owner, alice(), "SELECT", true));
        wanted.push(grant(alice(), Party::Public, "SELECT", false));
        assert_eq!(
            statements(9, "O w", &wanted, &default_grants()),
            [
                "revoke all on large object 9 from \"O w\" cascade",
                "grant SELECT on large object 9 to \"O w\"",
                "grant UPDATE on large object 9 to \"O w\"",
                "grant SELECT on large object 9 to \"alice\" with grant option",
                "set local role \"alice\"",
                "grant SELECT on large object 9 to public",
                "reset role",
            ]
        );
    }

    #[test]
    fn an_owner_without_any_privilege_stays_without() {
        assert_eq!(
            statements(9, "o", &[], &default_grants()),
            ["revoke all on large object 9 from \"o\" cascade"]
        );
    }
}
