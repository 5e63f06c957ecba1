//! A pair of databases and the program between them.

use serde_json::Value;
use testbed::process::Output;
use testbed::{Major, Pgcopydb, TestDatabase, shared};

/// A source and a target.
pub(crate) struct Pair {
    pub(crate) source: TestDatabase<'static>,
    pub(crate) target: TestDatabase<'static>,
}

impl Pair {
    /// Two empty databases.
    pub(crate) fn between(source: Major, target: Major, name: &str) -> Self {
        Self {
            source: TestDatabase::create(shared(source), &format!("{name}_src")).unwrap(),
            target: TestDatabase::create(shared(target), &format!("{name}_tgt")).unwrap(),
        }
    }

    /// Two databases, 15 and 18, filled by the same SQL.
    pub(crate) fn with(name: &str, sql: &str) -> Self {
        let pair = Self::between(Major::V15, Major::V18, name);
        pair.both(sql);
        pair
    }

    /// Runs SQL on both sides.
    pub(crate) fn both(&self, sql: &str) {
        self.source.psql(sql).unwrap();
        self.target.psql(sql).unwrap();
    }

    /// Runs SQL on the target.
    pub(crate) fn target(&self, sql: &str) {
        self.target.psql(sql).unwrap();
    }

    /// Runs `compare data` with arguments to its end.
    pub(crate) fn data(&self, arguments: &[&str]) -> Output {
        self.compare("data", arguments)
    }

    /// Runs a comparison to its end.
    pub(crate) fn compare(&self, what: &str, arguments: &[&str]) -> Output {
        compare_between(what, &self.source.uri(), &self.target.uri(), arguments)
    }

    /// Demands that the rows are the same.
    pub(crate) fn assert_same_rows(&self) {
        self.data(&[]).success().unwrap();
    }

    /// Demands that rows differ; returns the differing tables with the rows that are named.
    pub(crate) fn differing(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments = [&["--json", "--show-rows", "20"], arguments].concat();
        let output = self.data(&arguments).exit_code(8).unwrap();
        let Value::Array(tables) = serde_json::from_str(&output.stdout).unwrap() else {
            panic!("no array: {}", output.stdout)
        };
        tables.into_iter().filter(|table| table["same"] == false).collect()
    }
}

/// Runs a comparison between two connection strings to its end.
pub(crate) fn compare_between(
    what: &str,
    source: &str,
    target: &str,
    arguments: &[&str],
) -> Output {
    let program = Pgcopydb::new().unwrap().args(["compare", what]).ends(source, target);
    program.args(arguments).run().unwrap()
}

/// Rows of a differing table in short: `state key=value,… columns`.
pub(crate) fn rows(table: &Value) -> Vec<String> {
    let rows = table["rows"].as_array().unwrap();
    let short = |row: &Value| {
        let key: Vec<String> = (row["key"].as_object().unwrap().iter())
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
            .collect();
        let columns: Vec<&str> =
            row["columns"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        let count = row["count"].as_u64().unwrap();
        let text =
            format!("{} {} {}", row["state"].as_str().unwrap(), key.join(","), columns.join(","));
        let text = text.trim_end().to_owned();
        if count == 1 { text } else { format!("{text} x{count}") }
    };
    rows.iter().map(short).collect()
}
