//! Random workloads of concurrent shape, applied in random batches: both sides end the same.

use crate::stream::{Stream, bounded};

/// A small generator of numbers (xorshift64*); the seed is printed by the test that fails.
struct Random(u64);

impl Random {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    /// One of these.
    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

/// Tables of all replica identities, with unique columns beside the key, large values and partitions.
const DDL: &str = "
    create table d (id int primary key, u int unique, v text, big text);
    alter table d alter big set storage external;
    create table i (a int not null, b text not null, id int, v numeric, j json);
    create unique index i_ab on i (b, a); alter table i replica identity using index i_ab;
    create table f (id int primary key, id2 int unique deferrable, v text, j json, big text);
    alter table f replica identity full; alter table f alter big set storage external;
    create table x (id int, v text, p point); alter table x replica identity full;
    create table nk (id int, v text);
    create table ci (k numeric primary key, v int);
    create table g (id int generated always as identity primary key, a int, c int generated always as (a + 1) stored);
    create table part (id int, v text, primary key (id)) partition by range (id);
    create table part_1 partition of part for values from (minvalue) to (20);
    create table part_2 partition of part for values from (20) to (maxvalue);";

/// One statement about a few of forty keys.
fn statement(random: &mut Random) -> String {
    let (k, m, n) = (random.below(40), random.below(40), random.below(1000));
    let span = format!("between {k} and {}", k + random.below(6));
    let big = format!("repeat('b{n}', 3000)");
    match random.below(30) {
        0 | 1 => format!("insert into d values ({k}, {m}, 'v{n}', {big})"),
        2 => format!(
            "insert into d select g, g + 100, 'v{n}', null from generate_series({k}, {m}) g on conflict do nothing"
        ),
        3 => format!("update d set v = 'w{n}' where id {span}"),
        4 => format!("update d set u = {m} + 40 where id = {k}"),
        5 => format!("update d set id = {m} where id = {k}"),
        6 => format!("delete from d where id {span}"),
        7 => format!("update d set big = {big}, v = null where id {span}"),
        8 => format!(
            "insert into i select {k}, 'b' || g, g, {n} / 3.0, '{{\"n\": {n}}}' from generate_series(1, 3) g on conflict do nothing"
        ),
        9 => format!("update i set v = v + 1 where a {span}"),
        10 => format!("update i set b = b || 'x' where a = {k} and length(b) < 5"),
        11 => format!("delete from i where a {span}"),
        12 => format!("insert into f values ({k}, {m}, 'v{n}', '{{}}', {big})"),
        13 => format!("update f set v = 'w{n}' where id {span}"),
        14 => "update f set id2 = 40 - id2".to_owned(),
        15 => format!("update f set id = {m}, j = '[{n}]' where id = {k}"),
        16 => format!("delete from f where id {span}"),
        17 => format!(
            "insert into x select {k} % 5, 'v{}', '(1,2)' from generate_series(1, 2)",
            n % 2
        ),
        18 => format!(
            "update x set v = 'w{n}' where ctid in (select ctid from x where id = {} limit 2)",
            k % 5
        ),
        19 => {
            format!("delete from x where ctid in (select ctid from x where id = {} limit 1)", k % 5)
        }
        20 => format!("insert into nk values ({k}, 'v{n}')"),
        21 => format!(
            "insert into ci values ({}, {n})",
            random.one_of(&["1.0", "1.00", "2", "2.000"])
        ),
        22 => format!(
            "update ci set v = {n}, k = {} where k = {}",
            random.one_of(&["1.0", "1.00", "1", "3"]),
            k % 3
        ),
        23 => format!("delete from ci where k = {}", k % 4),
        24 => {
            format!("insert into g (a) values ({n}); update g set a = {m} where id % 7 = {}", k % 7)
        }
        25 => "update g set id = default where id = (select min(id) from g)".to_owned(),
        26 => format!("insert into part values ({k}, 'v{n}')"),
        27 => format!("update part set id = {m}, v = 'w{n}' where id = {k}"),
        28 => format!("delete from part where id {span}"),
        _ => random
            .one_of(&[
                "truncate x",
                "truncate nk, i",
                "truncate part_1",
                "truncate part",
                "perform 1",
                "perform 2",
                "perform 3",
            ])
            .to_owned(),
    }
}

/// A transaction of some statements; those that fail are rolled back to a savepoint, and some
/// transactions as a whole.
fn transaction(random: &mut Random) -> String {
    let mut sql = String::from("begin;\n");
    for _ in 0..=random.below(5) {
        let one = statement(random);
        sql.push_str(&format!(
            "do $do$ begin {one}; exception when unique_violation or foreign_key_violation then null; end $do$;\n"
        ));
        if random.below(8) == 0 {
            sql.push_str("savepoint s; delete from d; rollback to savepoint s;\n");
        }
    }
    sql.push_str(if random.below(10) == 0 { "rollback;\n" } else { "commit;\n" });
    sql
}

/// Writes, applies in batches cut at random, and now and then starts the applier again.
async fn run(seed: u64, binary: bool) {
    let mut random = Random(seed * 2 + 1);
    let mut stream = Stream::new(&format!("random_{seed}"), DDL);
    // Partitions and their root are all in the publication: the leaves are what is sent.
    stream.source.psql("alter table nk replica identity nothing").unwrap();
    stream.binary = binary;
    for _ in 0..4 {
        let sql: String = (0..60).map(|_| transaction(&mut random)).collect();
        stream.write(&sql);
        let events = stream.events();
        let mut applier = stream.open().await;
        let mut again = Vec::new();
        bounded(Box::pin(async {
            for event in events {
                again.push(event.clone());
                applier.apply(event).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                if random.below(50) == 0 {
                    applier.flush().await.unwrap();
                }
                if random.below(1500) == 0 {
                    // Whatever was on its way is lost or not; the stream is read again.
                    drop(applier);
                    applier = stream.open().await;
                    for event in again.clone() {
                        applier.apply(event).await.unwrap();
                    }
                }
            }
            applier.close().await.unwrap();
        }))
        .await;
        stream.assert_same();
    }
}

// trap C-55
#[tokio::test]
async fn random_workloads_end_the_same() {
    for seed in 1..=3 {
        run(seed, false).await;
    }
}

// trap C-55
#[tokio::test]
async fn random_workloads_end_the_same_in_binary_form() {
    for seed in 11..=12 {
        run(seed, true).await;
    }
}
