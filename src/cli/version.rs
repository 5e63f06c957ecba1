//! `version`: what this program is and which servers it speaks with.

use serde_json::json;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Newest PostgreSQL major version this program was built for. There is no libpq inside, so this
/// takes the place of the version that upstream was compiled against.
const POSTGRES_MAJOR: u32 = 18;

/// PostgreSQL major versions that are tested, in words.
const SUPPORTED: &str = "14, 15, 16, 17 and 18";

/// The text form, three lines.
///
/// Source: spec/commands.md 2.1.
pub fn text() -> String {
    format!("pgcopydb version {VERSION}\n{}\ncompatible with Postgres {SUPPORTED}\n", build())
}

/// The JSON form, one object.
///
/// Source: spec/commands.md 2.1.
pub fn json() -> String {
    let document = json!({
        "pgcopydb": VERSION,
        "pg_major": POSTGRES_MAJOR.to_string(),
        "pg_version": POSTGRES_MAJOR.to_string(),
        "pg_version_str": build(),
        "pg_version_num": POSTGRES_MAJOR * 10_000,
    });
    format!("{document:#}\n")
}

/// What stands for the build string of PostgreSQL's client library.
fn build() -> String {
    format!(
        "PostgreSQL {POSTGRES_MAJOR} (own implementation of protocol 3.0, no libpq) on {}-{}",
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}
