//! `servers`: two servers to try things on by hand.

use std::thread;

use anyhow::Result;

use testbed::{ClusterOptions, fixtures};

use super::{Arguments, Servers};

/// Starts the servers, prints how to reach them, waits for Ctrl-C.
///
/// # Errors
/// When a server does not start or cannot be filled.
pub(crate) fn run(words: Vec<String>) -> Result<()> {
    let mut arguments = Arguments::new(words);
    let pagila = arguments.flag("--pagila");
    let scale: Option<u32> = arguments.value("--pgbench")?;
    arguments.end()?;
    let (source, target) = Servers::find()?;
    let servers = Servers::start(&source, &target, &ClusterOptions::default())?;
    let mut databases = Vec::new();
    if pagila {
        servers.source.create_database("pagila")?;
        servers.target.create_database("pagila")?;
        fixtures::load_pagila(&servers.source, "pagila")?;
        databases.push("pagila");
    }
    if let Some(scale) = scale {
        servers.source.create_database("pgbench")?;
        servers.target.create_database("pgbench")?;
        fixtures::pgbench(&servers.source, "pgbench", scale)?;
        databases.push("pgbench");
    }
    if databases.is_empty() {
        databases.push("postgres");
    }
    wait_for_ctrl_c(&servers, &databases)
}

/// Prints the connection strings and sleeps; Ctrl-C ends the process, which ends the servers.
pub(super) fn wait_for_ctrl_c(servers: &Servers, databases: &[&str]) -> Result<()> {
    for (end, cluster) in [("source", &servers.source), ("target", &servers.target)] {
        println!("{end}: {}", cluster.installation().version);
        for database in databases {
            println!("  {}", cluster.uri(database));
        }
        println!("  programs: {}", cluster.installation().bindir.display());
    }
    println!("Ctrl-C stops the servers and removes their data.");
    loop {
        thread::park();
    }
}
