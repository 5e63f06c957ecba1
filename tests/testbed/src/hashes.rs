//! Row hashes computed by the servers: the quick way to see whether two databases hold the same rows.
//!
//! Per table the server counts its rows and adds up a 64-bit hash of each row's text, so the order of
//! rows does not matter and a doubled row does. [`crate::compare`] names the rows that differ, in many
//! times the time.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::cluster::Cluster;

/// Tables asked for in one statement: each takes locks and planning time.
const TABLES_AT_ONCE: usize = 200;

/// Ordinary tables and partitions but those of the system and of pgcopydb itself, ready for SQL.
const TABLES: &str = "
select format('%I.%I', n.nspname, c.relname)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and c.relpersistence = 'p'
   and n.nspname not in ('pg_catalog', 'information_schema', 'pgcopydb')
 order by 1";

/// What the tables of a database hold: by name the number of rows and the sum of their hashes.
pub type RowHashes = BTreeMap<String, String>;

/// Asks a server what the tables of a database hold.
///
/// # Errors
/// The server's.
pub fn row_hashes(cluster: &Cluster, database: &str) -> Result<RowHashes> {
    let mut hashes = RowHashes::new();
    let names = cluster.psql(database, TABLES)?;
    let tables: Vec<&str> = names.lines().collect();
    for some in tables.chunks(TABLES_AT_ONCE) {
        let one = |table: &&str| {
            let literal = crate::cluster::quote_literal(table);
            format!(
                "select {literal}, count(*) || ' rows, hash ' || \
                 coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) from only {table} t"
            )
        };
        let all: Vec<String> = some.iter().map(one).collect();
        let script = format!("set work_mem = '64MB';\n{};", all.join("\nunion all\n"));
        for line in cluster.psql(database, &script)?.lines() {
            let (table, hash) = line.rsplit_once('|').context("a line without a hash")?;
            hashes.insert(table.to_owned(), hash.to_owned());
        }
    }
    ensure!(
        hashes.len() == tables.len(),
        "expected {} tables, found {}",
        tables.len(),
        hashes.len()
    );
    Ok(hashes)
}

/// Makes sure that two databases hold the same rows; both servers are asked at once. Returns how many
/// tables were compared.
///
/// # Errors
/// Names the tables that differ, with what each side holds.
pub fn ensure_same_rows(source: (&Cluster, &str), target: (&Cluster, &str)) -> Result<usize> {
    let (ours, theirs) = thread::scope(|scope| {
        let of_target = scope.spawn(|| row_hashes(target.0, target.1));
        let of_source = row_hashes(source.0, source.1);
        (of_source, of_target.join())
    });
    let (source, target) = (ours?, theirs.map_err(|_| anyhow::anyhow!("a thread panicked"))??);
    let nothing = "no such table".to_owned();
    let names = source.keys().chain(target.keys().filter(|name| !source.contains_key(*name)));
    let mut different = Vec::new();
    for name in names {
        let held = |side: &RowHashes| side.get(name).unwrap_or(&nothing).clone();
        if source.get(name) != target.get(name) {
            different.push(format!("{name}: source {}, target {}", held(&source), held(&target)));
        }
    }
    ensure!(different.is_empty(), "rows differ:\n  {}", different.join("\n  "));
    Ok(source.len())
}
