//! Tests of the plan in words.

use super::*;
use crate::filter::{MatchedOids, parse, select};
use crate::plan::fixture::{MIB, catalog, column, index, options, table, target};
use crate::plan::{SplitFacts, build};

fn plan(tables: u32, rules: &str) -> Plan {
    let mut catalog = catalog((1..=tables).map(|oid| table(oid, u64::from(oid) * MIB)).collect());
    if let Some(first) = catalog.tables.first_mut() {
        first.columns.push(column("odd", 999));
    }
    catalog.indexes.push(index(5000, tables, 3 * MIB));
    let selection = select(&catalog, &parse(rules).unwrap(), &MatchedOids::default()).unwrap();
    build(&catalog, &selection, &target(15), &SplitFacts::default(), &options()).unwrap()
}

#[test]
fn totals_come_first_then_the_largest_tables() {
    let text = text(&plan(60, ""), Detail::Short);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("tables ") && lines[0].contains("60"), "{text}");
    let first = lines.iter().position(|line| line.contains("s.t60")).unwrap();
    assert!(lines[first].contains("60 MB") && lines[first].contains("1 index"), "{text}");
    assert!(lines[first + 1].contains("s.t59"));
    // 50 are shown; the other ten hold 1 to 10 MiB.
    assert!(text.contains("and 10 more, 55 MB"), "{text}");
    assert!(!text.contains("s.t10 "));
}

#[test]
fn full_detail_shows_every_table_part_and_index() {
    let text = text(&plan(400, ""), Detail::Full);
    assert!(text.contains("s.t1 ") && !text.contains(" more, "));
    assert!(text.contains("CREATE INDEX i5000 ON s.t400"));
}

#[test]
fn reasons_are_shown() {
    let text = text(&plan(3, "[exclude-table]\ns.t2\n"), Detail::Short);
    assert!(text.contains("text because of column \"odd\": type type 999 is not in the catalog"));
    assert!(text.contains("table s.t2: [exclude-table] s.t2 (line 2)"), "{text}");
}

#[test]
fn empty_plan_is_explained() {
    let plan = Plan::default();
    assert!(text(&plan, Detail::Full).starts_with("tables "));
    assert!(json(&plan).unwrap().contains("\"tables\": []"));
}
