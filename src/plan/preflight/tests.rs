//! Facts to findings: one fact wrong at a time.

use super::*;
use crate::base::error::Side;
use crate::base::preflight::Topic;
use crate::base::summary::Severity;
use crate::catalog::model::condition::{
    ExtensionVersion, OpenTransaction, SuperuserObject, TargetSettings,
};
use crate::catalog::model::{Extension, ServerFacts};
use crate::plan::fixture;

/// Everything that a finding is made of; healthy at first.
struct World {
    catalog: SourceCatalog,
    target: TargetFacts,
    source_condition: SourceCondition,
    target_condition: TargetCondition,
    wishes: Wishes,
}

impl World {
    /// A healthy pair.
    fn healthy() -> Self {
        let server = |major: u32| ServerFacts {
            version_text: format!("{major}.1"),
            database: "app".into(),
            role: "me".into(),
            superuser: true,
            bypass_rls: true,
            may_create: true,
            replication: true,
            connections_max: 100,
            wal_level: "logical".into(),
            collate: "C".into(),
            ..fixture::server(major)
        };
        let mut catalog = fixture::catalog(vec![fixture::table(1, 1)]);
        catalog.server = server(15);
        let mut source_condition = SourceCondition::default();
        source_condition.facts.wal_senders_left = 5;
        source_condition.facts.slots_left = 5;
        source_condition.facts.slot_wal_keep_bytes = -1;
        let options = fixture::options();
        Self {
            catalog,
            target: TargetFacts {
                server: server(18),
                may_set_replication_role: true,
                ..TargetFacts::default()
            },
            source_condition,
            target_condition: TargetCondition {
                facts: TargetSettings {
                    lz4: true,
                    icu: true,
                    xml: true,
                    ..TargetSettings::default()
                },
                ..TargetCondition::default()
            },
            wishes: Wishes {
                schema: options.schema,
                skip: options.skip,
                jobs: options.jobs,
                roles: false,
                no_role_passwords: false,
                follow: false,
            },
        }
    }

    /// All findings.
    fn findings(&self) -> Vec<Concern> {
        findings(&Facts {
            catalog: &self.catalog,
            selection: &Selection::everything(),
            target: &self.target,
            source_condition: &self.source_condition,
            target_condition: &self.target_condition,
            members: (&Members::default(), &Members::default()),
            wishes: self.wishes,
        })
    }
}

/// Changes a healthy pair and demands one finding of this severity, topic and side whose fix holds
/// these words.
#[track_caller]
fn expect(
    severity: Severity,
    topic: Topic,
    side: Side,
    words: &str,
    change: impl FnOnce(&mut World),
) {
    let mut world = World::healthy();
    change(&mut world);
    let found = world.findings();
    let hit = found.iter().any(|concern| {
        concern.severity == severity
            && concern.topic == topic
            && concern.side == side
            && concern.fix.as_deref().unwrap_or_default().contains(words)
    });
    assert!(hit, "{severity:?} {topic:?} {words}: {found:#?}");
}

#[test]
fn a_healthy_pair_has_no_error_and_no_warning() {
    for follow in [false, true] {
        let mut world = World::healthy();
        world.wishes.follow = follow;
        // A table without key is a warning where changes are followed.
        world.catalog.tables[0].replica_identity = crate::catalog::model::ReplicaIdentity::Full;
        let worst = world.findings().into_iter().map(|concern| concern.severity).max();
        assert_eq!(worst, Some(Severity::Notice), "{follow}");
    }
}

// trap D-42
#[test]
fn an_older_target_is_an_error() {
    expect(Severity::Error, Topic::Version, Side::Target, "18 or newer", |world| {
        world.catalog.server.version = 180_000;
        world.target.server.version = 150_000;
    });
}

// trap S-23
#[test]
fn wraparound_warns_from_three_quarters_and_blocks_near_the_end() {
    for (age, severity) in [
        (1_600_000_000, None),
        (1_700_000_000, Some(Severity::Warning)),
        (2_100_000_000, Some(Severity::Error)),
    ] {
        let mut world = World::healthy();
        world.catalog.server.frozen_xid_age = age;
        let found = world.findings();
        let concern = found.iter().find(|concern| concern.topic == Topic::Wraparound);
        assert_eq!(concern.map(|concern| concern.severity), severity, "{age}");
    }
}

// trap S-24
#[test]
fn a_snapshot_that_grows_too_old_is_an_error() {
    let fix = "ALTER SYSTEM SET old_snapshot_threshold = -1";
    expect(Severity::Error, Topic::Setting, Side::Source, fix, |world| {
        world.catalog.server.old_snapshot_threshold = Some(10);
    });
}

// trap D-32
#[test]
fn an_extension_that_the_target_cannot_have_lists_its_dependents() {
    let mut world = World::healthy();
    world.catalog.extensions =
        vec![Extension { name: "postgis".into(), version: "3.1".into(), ..Extension::default() }];
    world.source_condition.dependents =
        vec![("postgis".into(), "column g of table t".into()), ("other".into(), "x".into())];
    let found = world.findings();
    let concern = found.iter().find(|concern| concern.topic == Topic::Extension).unwrap();
    assert_eq!(concern.severity, Severity::Error);
    assert!(concern.reason.ends_with("1 object depends on it: column g of table t"));
    world.wishes.skip.extensions = true;
    assert!(world.findings().iter().all(|concern| concern.topic != Topic::Extension));
}

#[test]
fn an_extension_that_only_a_superuser_can_install_blocks_others() {
    let with = |trusted: bool, installed: bool| {
        let mut world = World::healthy();
        world.target.server.superuser = false;
        world.catalog.extensions =
            vec![Extension { name: "x".into(), version: "1".into(), ..Extension::default() }];
        world.target.available_extensions = vec![("x".into(), "1".into())];
        if installed {
            world.target.extensions = vec![("x".into(), "1".into())];
        }
        world.target_condition.extensions = vec![ExtensionVersion {
            name: "x".into(),
            version: "1".into(),
            superuser: true,
            trusted,
        }];
        world.findings().iter().any(|concern| concern.topic == Topic::Extension)
    };
    assert!(with(false, false));
    assert!(!with(true, false));
    assert!(!with(false, true));
}

#[test]
fn what_only_a_superuser_creates_is_a_warning_for_a_clouds_administrator() {
    let change = |world: &mut World| {
        world.target.server.superuser = false;
        world.source_condition.superuser_objects =
            vec![SuperuserObject { class: "event triggers".into(), name: "e".into() }];
    };
    expect(Severity::Error, Topic::Privilege, Side::Target, "SUPERUSER", change);
    expect(Severity::Warning, Topic::Privilege, Side::Target, "SUPERUSER", |world| {
        change(world);
        world.target_condition.facts.managed_role = Some("rds_superuser".into());
    });
}

// trap S-22
#[test]
fn transactions_that_a_slot_waits_for_matter_when_changes_are_followed() {
    let transactions = || {
        vec![
            OpenTransaction { gid: Some("g".into()), seconds: 1, ..OpenTransaction::default() },
            OpenTransaction { pid: Some(7), seconds: 61, ..OpenTransaction::default() },
            OpenTransaction { pid: Some(8), seconds: 59, ..OpenTransaction::default() },
        ]
    };
    for (follow, expected) in [
        (false, vec![Severity::Notice, Severity::Notice]),
        (true, vec![Severity::Error, Severity::Warning]),
    ] {
        let mut world = World::healthy();
        world.wishes.follow = follow;
        world.source_condition.transactions = transactions();
        let found: Vec<Severity> = world
            .findings()
            .iter()
            .filter(|concern| concern.topic == Topic::Transaction)
            .map(|concern| concern.severity)
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn what_a_slot_needs_blocks_only_when_changes_are_followed() {
    type Change = (&'static str, fn(&mut World));
    let changes: [Change; 4] = [
        ("wal_level = logical", |world| world.catalog.server.wal_level = "replica".into()),
        ("pg_drop_replication_slot", |world| world.source_condition.facts.slots_left = 0),
        ("max_wal_senders", |world| world.source_condition.facts.wal_senders_left = 0),
        ("REPLICATION", |world| world.catalog.server.replication = false),
    ];
    for (words, change) in changes {
        expect(Severity::Notice, Topic::Replication, Side::Source, words, change);
        expect(Severity::Error, Topic::Replication, Side::Source, words, |world| {
            change(world);
            world.wishes.follow = true;
        });
    }
}

#[test]
fn source_and_target_must_be_two_databases() {
    expect(Severity::Error, Topic::Connection, Side::Target, "--target", |world| {
        world.catalog.server.system_identifier = 77;
        world.target.server.system_identifier = 77;
    });
}

#[test]
fn too_few_sessions_and_locks_are_warnings() {
    expect(Severity::Warning, Topic::Limit, Side::Target, "--table-jobs", |world| {
        world.target.server.connections_max = 5;
    });
    expect(Severity::Warning, Topic::Limit, Side::Source, "max_locks_per_transaction", |world| {
        world.catalog.tables = (1..=20).map(|oid| fixture::table(oid, 1)).collect();
        world.source_condition.facts.lock_slots = 10;
    });
}

#[test]
fn what_the_targets_server_was_built_without_is_found() {
    use crate::catalog::model::condition::UsedCollation;
    let mut world = World::healthy();
    world.source_condition.facts.xml_columns = 3;
    world.source_condition.facts.xml_example = Some("s.docs".into());
    world.source_condition.collations = vec![UsedCollation {
        name: crate::base::ident::QualifiedName::new("public", "ci"),
        provider: "i".into(),
        of_user: true,
        ..UsedCollation::default()
    }];
    assert!(world.findings().iter().all(|found| found.severity != Severity::Error));
    world.target_condition.facts.xml = false;
    world.target_condition.facts.icu = false;
    let found = |world: &World, object: &str| {
        let findings = world.findings();
        let found = findings.iter().find(|found| found.object == object).expect(object);
        assert!(found.fix.is_some());
        found.severity
    };
    assert_eq!(found(&world, "type xml"), Severity::Warning);
    assert_eq!(found(&world, "collation public.ci"), Severity::Error);
    world.source_condition.facts.xml_defaults = 1;
    assert_eq!(found(&world, "type xml"), Severity::Error);
}
