//! The `pgcopydb` program.

use std::process::ExitCode;

/// Many threads free what others allocated; the system's allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pgcopydb::cli::main()
}
