//! Lists, compared with the source's own catalogs.

use testbed::fixtures;

use crate::support::{Pair, cells, json, rows};

/// A schema with something of everything that a filter can meet.
const FARM: &str = "
    create schema farm; create schema \"Odd\";
    create table farm.cow (id serial primary key, name text);
    create table farm.calf (id int primary key, cow int references farm.cow, note text);
    create index calf_note on farm.calf (note);
    create table farm.log (line text collate \"C\");
    create table \"Odd\".\"Table\" (\"Key\" int primary key, v text);
    create table farm.part (k int) partition by range (k);
    create table farm.part1 partition of farm.part for values from (0) to (10);
    create view farm.herd as select c.name, f.note from farm.cow c join farm.calf f on f.cow = c.id;
    create materialized view farm.count as select count(*) from farm.cow;
    insert into farm.cow (name) select 'c' || g from generate_series(1, 2000) g;
    insert into farm.calf select g, g, 'n' from generate_series(1, 1000) g;
    analyze;";

#[test]
fn databases_are_those_of_the_server() {
    let pair = Pair::new("listdb");
    let listed: Vec<[String; 2]> = cells(&pair.ok("list databases"))
        .into_iter()
        .map(|row| [row[0].clone(), row[1].clone()])
        .collect();
    let own = [
        pair.on_source("select oid from pg_database where datname = current_database()"),
        pair.source.name().to_owned(),
    ];
    assert!(listed.contains(&own), "{listed:?}");
    assert!(listed.iter().all(|[_, name]| !name.starts_with("template")), "{listed:?}");
    assert!(listed.is_sorted_by_key(|[_, name]| name), "{listed:?}");
}

#[test]
fn tables_come_largest_first_with_the_sizes_of_the_server() {
    let pair = Pair::with("listtab", FARM);
    let listed: Vec<Vec<String>> =
        cells(&pair.ok("list tables")).iter().map(|row| row[..3].to_vec()).collect();
    let expected = "select c.oid, n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        where c.relkind = 'r' and n.nspname in ('farm', 'Odd') \
        order by pg_table_size(c.oid) desc, n.nspname, c.relname";
    let mut expected = rows(&pair.source.psql(expected).unwrap());
    assert_eq!(listed[..2], expected[..2]);
    let mut sorted = listed.clone();
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
    let document = json(&pair.ok("list tables --json"));
    let cow = document.as_array().unwrap().iter().find(|table| table["name"] == "cow").unwrap();
    let size = pair.on_source("select pg_table_size('farm.cow')");
    assert_eq!((cow["bytes"].to_string(), cow["reltuples"].as_u64()), (size, Some(2000)));
    let without: Vec<String> = cells(&pair.ok("list tables --without-pkey"))
        .into_iter()
        .map(|row| row[2].clone())
        .collect();
    let mut without = without;
    without.sort();
    assert_eq!(without, ["log", "part1"]);
}

// trap T-20, T-22
#[test]
fn what_the_filters_leave_out_is_the_complement_of_what_they_keep() {
    let pair = Pair::with("listskip", FARM);
    let filters = pair.file("f.ini", "[include-only-table]\nfarm.calf\n\"Odd\".\"Table\"\n");
    let names = |words: &str| {
        let mut names: Vec<String> = cells(&pair.ok(&format!("{words} --filters {filters}")))
            .into_iter()
            .map(|row| format!("{}.{}", row[1], row[2]))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("list tables"), ["Odd.Table", "farm.calf"]);
    assert_eq!(
        names("list tables --list-skipped"),
        ["farm.count", "farm.cow", "farm.log", "farm.part", "farm.part1"]
    );
    assert_eq!(names("list indexes"), ["Odd.Table_pkey", "farm.calf_note", "farm.calf_pkey"]);
    assert_eq!(names("list indexes --list-skipped"), ["farm.cow_pkey"]);
    assert!(names("list sequences").is_empty());
    assert_eq!(names("list sequences --list-skipped"), ["farm.cow_id_seq"]);
    let depends = cells(&pair.ok(&format!("list depends --list-skipped --filters {filters}")));
    let of_cow: Vec<&str> =
        depends.iter().filter(|row| row[1] == "cow").map(|row| row[4].as_str()).collect();
    for kind in ["view", "materialized view", "table constraint", "index", "sequence"] {
        assert!(of_cow.contains(&kind), "{kind}: {depends:?}");
    }
}

#[test]
fn lists_of_skipped_objects_need_filters_and_name_unknown_tables() {
    let pair = Pair::with("listbad", FARM);
    for (words, said) in [
        ("list tables --list-skipped", "--filters"),
        ("list depends", "--list-skipped"),
        ("list table-parts", "--table-name"),
        ("list table-parts --table-name nope --split-at 8kB", "public.nope"),
    ] {
        let output = pair.run(words).exit_code(1).unwrap();
        assert!(output.stderr.contains(said), "{output}");
        assert_eq!(output.stdout, "");
    }
    let filters = pair.file("f.ini", "[include-only-table]\nfarm.cows\n");
    let output = pair.run(&format!("list tables --filters {filters}")).exit_code(1).unwrap();
    assert!(output.stderr.contains("farm.cow"), "{output}");
    let filters = pair.file("g.ini", "[include-only-tables]\nfarm.cow\n");
    let output = pair.run(&format!("list tables --filters {filters}")).exit_code(1).unwrap();
    assert!(output.stderr.contains("include-only-tables"), "{output}");
}

#[test]
fn indexes_and_sequences_are_those_of_the_catalog() {
    let pair = Pair::with("listidx", FARM);
    let mut listed = cells(&pair.ok("list indexes --schema-name farm"));
    let expected = "select i.indexrelid, n.nspname, c.relname, coalesce(k.conname, ''), \
        coalesce(pg_get_constraintdef(k.oid), ''), pg_get_indexdef(i.indexrelid) \
        from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace \
        left join pg_constraint k on k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x') \
        where n.nspname = 'farm'";
    let mut expected = rows(&pair.source.psql(expected).unwrap());
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let of_one = cells(&pair.ok("list indexes --schema-name farm --table-name cow"));
    assert_eq!(of_one.len(), 1);
    let expected = "select s.oid, 'farm', 'cow_id_seq', 'farm.cow'::regclass::oid, d.adrelid, d.oid \
        from pg_class s, pg_attrdef d where s.relname = 'cow_id_seq' and d.adrelid = 'farm.cow'::regclass";
    assert_eq!(cells(&pair.ok("list sequences")), rows(&pair.source.psql(expected).unwrap()));
}

// trap D-26
#[test]
fn collations_name_the_object_that_uses_each() {
    let pair = Pair::with("listcoll", FARM);
    let listed = cells(&pair.ok("list collations"));
    let oid = pair.on_source("select oid from pg_collation where collname = 'C'");
    let expected = vec![oid, "C".to_owned(), "column line of table farm.log".to_owned()];
    assert!(listed.contains(&expected), "{listed:?}");
    assert!(listed.iter().all(|row| row[1] != "default"), "{listed:?}");
}

#[test]
fn parts_of_a_table_cover_every_row_once() {
    let pair = Pair::with(
        "listparts",
        "create table t (id int primary key, v text);
         insert into t select g, repeat('x', 200) from generate_series(-3000, 3000) g; analyze t",
    );
    let whole = pair.ok("list table-parts --table-name t");
    assert!(whole.stdout.is_empty() && whole.stderr.contains("WARN"), "{whole}");
    let parts = cells(&pair.ok("list table-parts --table-name t --split-at 200kB"));
    assert!(parts.len() > 2, "{parts:?}");
    let total = parts.len();
    for (number, part) in parts.iter().enumerate() {
        assert_eq!(part[0], format!("{}/{total}", number + 1));
        if number > 0 {
            assert_eq!(part[1], parts[number - 1][2], "ranges of blocks meet: {parts:?}");
        }
    }
    assert_eq!((parts[0][1].as_str(), parts[total - 1][2].as_str()), ("(0,0)", ""));
    let capped =
        cells(&pair.ok("list table-parts --table-name t --split-at 200kB --split-max-parts 2"));
    assert_eq!(capped.len(), 2);
    let keys =
        cells(&pair.ok("list table-parts --table-name t --split-at 200kB --skip-split-by-ctid"));
    let bound = |text: &str| text.parse::<i64>().unwrap();
    assert_eq!((keys[0][1].as_str(), keys[keys.len() - 1][2].as_str()), ("", ""));
    for pair in keys.windows(2) {
        assert_eq!(bound(&pair[0][2]) + 1, bound(&pair[1][1]), "{keys:?}");
    }
}

#[test]
fn schema_json_has_every_table_index_and_sequence_of_pagila() {
    let pair = Pair::new("listschema");
    fixtures::load_pagila(pair.source.cluster(), pair.source.name()).unwrap();
    let printed = pair.ok("list schema --json");
    let document = json(&printed);
    let written = std::fs::read_to_string(pair.work().join("schema.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), document);
    assert_eq!(pair.ok("list schema").stdout, "");
    let count = |sql: &str| pair.on_source(sql).parse::<usize>().unwrap();
    let length = |key: &str| document[key].as_array().unwrap().len();
    let user = "relnamespace = 'public'::regnamespace";
    assert_eq!(
        length("tables"),
        count(&format!("select count(*) from pg_class where relkind = 'r' and {user}"))
    );
    assert_eq!(
        length("sequences"),
        count(&format!("select count(*) from pg_class where relkind = 'S' and {user}"))
    );
    let indexes = "select count(*) from pg_index i join pg_class t on t.oid = i.indrelid \
        where t.relkind = 'r' and t.relnamespace = 'public'::regnamespace";
    assert_eq!(length("indexes"), count(indexes));
    let tables = document["tables"].as_array().unwrap();
    let film = tables.iter().find(|table| table["name"] == "film").unwrap();
    assert_eq!(film["qname"], "public.film");
    assert_eq!(film["cols"][0]["attname"], "film_id");
    assert_eq!(film["cols"][0]["attisprimary"], true);
    let owner = pair.on_source("select current_user");
    assert_eq!(film["restore-list-name"], format!("public film {owner}"));
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["filters", "indexes", "sequences", "setup", "tables"]);
    assert_eq!(document["filters"]["type"], "SOURCE_FILTER_TYPE_NONE");
}
