//! Command line of the testbed: `cargo demo`, `cargo verify` and helpers for people.

fn main() -> anyhow::Result<()> {
    Ok(())
}
