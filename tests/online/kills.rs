//! kill -9 at random moments of copy, receive and apply, with crashes of the target.

use std::time::Duration;

use testbed::StopMode;
use testbed::process::Signal;

use super::support::{DEADLINE, Pair, end};

/// A bank, and rows whose large values are often not touched.
const DATABASE: &str = "
    create table account (id int primary key, balance int not null);
    create table entry (id bigserial primary key, account int, delta int, note text);
    create table item (id bigserial primary key, word text unique, big text);
    insert into account select g, 0 from generate_series(1, 20000) g;
    insert into item (word, big) select 'w' || g, repeat(md5(g::text), 100)
      from generate_series(1, 3000) g";

/// Each transaction leaves the sum of all balances equal to the sum of all entries.
const APPLICATION: &str = r"
\set a random(1, 20000)
\set n random(1, 3000)
\set d random(-100, 100)
begin;
update account set balance = balance + :d where id = :a;
insert into entry (account, delta, note) values (:a, :d, repeat('x', :n));
update item set word = 'u' || id || '-' || random()::text where id = :n;
end;
";

/// Rounds of kill -9, more of them when the slow tests are asked for.
fn rounds() -> u32 {
    if std::env::var_os("PGCOPYDB_SLOW").is_some() { 200 } else { 8 }
}

/// Moments that differ from run to run.
fn random_below(limit: u64) -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish() % limit
}

// trap X-1 X-2 X-3
#[test]
fn kills_and_crashes_at_random_moments_lose_and_double_nothing() {
    let pair = Pair::with(DATABASE);
    let application = pair.application(APPLICATION, "4", "400");
    for round in 0..rounds() {
        let mut running = pair.program(&["clone", "--follow"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(50 + random_below(2500)));
        if running.is_running().unwrap() {
            running.signal(Signal::Kill).unwrap();
        }
        let output = running.wait(DEADLINE).unwrap();
        assert!(output.status.code().is_none(), "round {round} ended by itself: {output}");
        if round % 3 == 1 {
            pair.target.restart(StopMode::Immediate).unwrap();
        }
    }
    end(application);
    let position = pair.source_end();
    pair.program(&["clone", "--follow", "--endpos", &position]).run().unwrap().success().unwrap();
    pair.program(&["stream", "cleanup"]).run().unwrap().success().unwrap();
    pair.assert_same();
    let sums = "select (select sum(balance) from account) = (select sum(delta) from entry)";
    assert_eq!(pair.target_value(sums), "t");
}
