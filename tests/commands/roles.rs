//! Roles: copied at once, or dumped and restored.

use testbed::process::Output;

use crate::support::Pair;

/// What the target has of the roles whose names begin with a prefix.
fn roles(pair: &Pair, prefix: &str) -> String {
    pair.on_target(&format!(
        "select string_agg(rolname || ':' || rolcanlogin || ':' || rolconnlimit, ',' order by rolname) \
         from pg_roles where rolname like '{prefix}%'"
    ))
}

/// A source with two roles, one a member of the other.
fn pair_with_roles(prefix: &str) -> Pair {
    let pair = Pair::new(&format!("roles{prefix}"));
    for database in [&pair.source, &pair.target] {
        database
            .psql(&format!("drop role if exists {prefix}_1; drop role if exists {prefix}_2"))
            .unwrap();
    }
    let sql = format!(
        "create role {prefix}_1 login connection limit 7 password 'secret-{prefix}'; \
         create role {prefix}_2; grant {prefix}_2 to {prefix}_1"
    );
    pair.source.psql(&sql).unwrap();
    pair
}

/// Nothing is printed, and no password is logged.
fn assert_silent(output: &Output, prefix: &str) {
    assert_eq!(output.stdout, "", "{output}");
    assert!(!output.stderr.contains(&format!("secret-{prefix}")), "{output}");
}

// trap P-3
#[test]
fn roles_are_copied_with_attributes_memberships_and_passwords() {
    let pair = pair_with_roles("rca");
    assert_silent(&pair.ok("copy roles"), "rca");
    assert_eq!(roles(&pair, "rca_"), "rca_1:true:7,rca_2:false:-1");
    assert_eq!(pair.on_target("select pg_has_role('rca_1', 'rca_2', 'member')"), "t");
    let password = "select rolpassword is not null from pg_authid where rolname = 'rca_1'";
    assert_eq!(pair.on_target(password), "t");
    // What is there already stays as it is.
    pair.ok("copy roles");
    assert_eq!(roles(&pair, "rca_"), "rca_1:true:7,rca_2:false:-1");
}

// trap P-4
#[test]
fn roles_are_dumped_without_passwords_and_restored_from_the_dump() {
    let pair = pair_with_roles("rdu");
    let missing = pair.run("restore roles").exit_code(1).unwrap();
    assert!(missing.stderr.contains("pgcopydb dump roles"), "{missing}");
    assert_silent(&pair.ok("dump roles --no-role-passwords"), "rdu");
    let text = std::fs::read_to_string(pair.work().join("schema/roles.sql")).unwrap();
    assert!(text.contains("CREATE ROLE rdu_1") && !text.contains("SCRAM"), "{text}");
    assert_silent(&pair.ok("restore roles --no-owner"), "rdu");
    assert_eq!(roles(&pair, "rdu_"), "rdu_1:true:7,rdu_2:false:-1");
}
