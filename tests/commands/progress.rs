//! `list progress`: from another process, while a clone runs, and after its end.

use testbed::chaos::{Direction, Proxy};
use testbed::process::{Signal, wait_until};

use crate::support::{DEADLINE, Pair, cells, json};

/// A table that takes a while behind a slow proxy, and a small one.
const SQL: &str = "create table big (id int primary key, v text);
    insert into big select g, repeat(md5(g::text), 20) from generate_series(1, 20000) g;
    create table small as select 1 as a; analyze";

// trap X-25
#[test]
fn progress_is_read_beside_a_run_that_goes_on_and_after_it_ended() {
    let pair = Pair::with("progress", SQL);
    let none = pair.run("list progress").exit_code(1).unwrap();
    assert!(none.stderr.contains("no state of a run"), "{none}");
    assert!(!pair.work().exists(), "looking made a directory");
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    proxy.rate(Direction::ToClient, Some(2_000_000));
    let mut running =
        pair.command("clone").args(["--source", &proxy.uri(pair.source.name())]).spawn().unwrap();
    let mut seen = serde_json::Value::Null;
    wait_until("a table in progress", DEADLINE, || {
        let output = pair.run("list progress --json");
        if output.status.success() {
            seen = json(&output);
        }
        Ok(seen["tables"]["in-progress"].as_array().is_some_and(|tables| {
            tables.iter().any(|table| {
                table["name"] == "big" && table["process"]["network"]["bytes"].as_u64() > Some(0)
            })
        }))
    })
    .unwrap();
    assert!(running.is_running().unwrap());
    assert_eq!(seen["tables"]["total"], 2);
    assert_eq!(seen["indexes"]["total"], 1);
    let big = seen["tables"]["in-progress"].as_array().unwrap();
    let big = big.iter().find(|table| table["name"] == "big").unwrap();
    assert_eq!(big["process"]["pid"], running.pid());
    assert_eq!(big["qname"], "public.big");
    let bytes = seen["bytes"]["total"].as_u64().unwrap();
    let expected = pair.on_source("select pg_table_size('big') + pg_table_size('small')");
    assert_eq!(bytes.to_string(), expected);
    proxy.rate(Direction::ToClient, None);
    running.wait(DEADLINE).unwrap().success().unwrap();
    let done = json(&pair.ok("list progress --json"));
    assert_eq!((&done["tables"]["done"], &done["indexes"]["done"]), (&2.into(), &1.into()));
    let text = cells(&pair.ok("list progress"));
    assert_eq!(text[0], ["Tables", "2", "0", "2"]);
    assert_eq!(text[1], ["Indexes", "1", "0", "1"]);
    let summary = pair.ok("list progress --summary --json");
    let file = std::fs::read_to_string(pair.work().join("summary.json")).unwrap();
    assert_eq!(summary.stdout, file);
    let table = pair.ok("list progress --summary").stdout;
    assert!(table.contains("Total Wall Clock Duration"), "{table}");
}

// trap X-25
#[test]
fn the_last_progress_of_a_killed_run_is_readable() {
    let pair = Pair::with("progresskill", SQL);
    let proxy = Proxy::in_front_of(pair.source.cluster()).unwrap();
    proxy.rate(Direction::ToClient, Some(1_000_000));
    let running =
        pair.command("clone").args(["--source", &proxy.uri(pair.source.name())]).spawn().unwrap();
    wait_until("a table in progress", DEADLINE, || {
        let output = pair.run("list progress --json");
        Ok(output.status.success()
            && json(&output)["tables"]["in-progress"].as_array().is_some_and(|all| !all.is_empty()))
    })
    .unwrap();
    running.signal(Signal::Kill).unwrap();
    running.wait(DEADLINE).unwrap();
    let after = json(&pair.ok("list progress --json"));
    assert_eq!(after["tables"]["total"], 2);
}
