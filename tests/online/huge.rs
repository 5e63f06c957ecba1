//! Values so large that only a few of them fit into memory.

use testbed::process::{Running, Signal};

use super::support::{DEADLINE, Pair};

/// Most memory that a process has used so far, in kilobytes.
fn peak_memory_kb(process: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What ordinary changes may add, in kilobytes: batches of up to 16 MB, one being applied while the next
/// is collected.
const FIXED_KB: u64 = 32 * 1024;

/// How often a change may be in memory. Being read from the socket and being written to the disk; being
/// sent to the target and being read from the disk for that: each once, since what is huge passes alone
/// and is not copied on the way. A value that the plugin escapes is there once more.
const COPIES: u64 = 4;

/// Writes rows of huge values in one transaction, changes them in another one, and demands that the
/// memory for it does not depend on how many there are. `copies`: how often a change may be in memory.
fn follow_huge_values(plugin: &str, copies: u64, rows: u64, megabytes: u64) {
    // Without a key the old row is sent to the target, too, and looked for among all of them.
    let key = if testbed::slow_tests() { "" } else { "primary key" };
    let pair = Pair::with(&format!(
        "create table t (id int {key}, n int, v text); alter table t replica identity full"
    ));
    let running = pair.program(&["clone", "--follow", "--plugin", plugin]).spawn().unwrap();
    pair.wait_for_target("the copy", "select to_regclass('t') is not null", "t");
    pair.source_value("insert into t values (0, 1, 'small')");
    pair.wait_for_target("a row", "select count(*) from t", "1");
    let before = peak_memory_kb(&running);
    let demand = |what: &str, size: u64| {
        let added = peak_memory_kb(&running) - before;
        let most = FIXED_KB + copies * size;
        assert!(added < most, "{plugin}: {what}: {added} kB for {rows} changes of {size} kB");
        assert!(most < rows * size, "so few rows show nothing");
    };
    // A line break is an escape in JSON, a quote is one in SQL.
    pair.source_value(&format!(
        "insert into t select g, 0, E'\\n''' || repeat('x', {megabytes} * 1024 * 1024 - 2)
         from generate_series(1, {rows}) g"
    ));
    pair.wait_for_target("the rows", "select count(*) from t", &format!("{}", rows + 1));
    demand("insert", megabytes * 1024);
    // The old row comes with the new one.
    pair.source_value("update t set n = 1, v = v || 'y' where n = 0");
    pair.wait_for_target("the changes", "select count(*) from t where n = 0", "0");
    demand("update", 2 * megabytes * 1024);
    running.signal(Signal::Term).unwrap();
    running.wait(DEADLINE * 4).unwrap().success().unwrap();
    let rows = "select string_agg(n || md5(v), ' ' order by id) from t";
    assert_eq!(pair.target_value(rows), pair.source_value(rows));
}

// trap C-47
#[test]
fn of_huge_values_in_one_transaction_only_a_few_are_in_memory() {
    if testbed::slow_tests() {
        follow_huge_values("pgoutput", COPIES, 6, 200);
        // The message and the value that was unescaped out of it.
        follow_huge_values("wal2json", COPIES + 1, 6, 100);
        follow_huge_values("test_decoding", COPIES + 1, 6, 100);
    } else {
        follow_huge_values("pgoutput", COPIES, 9, 8);
    }
}
