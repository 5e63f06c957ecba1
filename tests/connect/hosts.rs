//! Several hosts, kinds of addresses, and what kind of server will do.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::Result;
use testbed::{Cluster, ClusterOptions, Installation, Major};

use crate::support::{Home, tls_cluster};

/// A port of 127.0.0.1 where nobody listens.
fn dead_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

// trap P-11
#[tokio::test]
async fn every_kind_of_address_connects() -> Result<()> {
    let cluster = tls_cluster();
    let (port, directory) = (cluster.port(), cluster.socket_dir().display().to_string());
    let encoded = directory.replace('/', "%2F");
    let texts = [
        format!("host=127.0.0.1 port={port}"),
        format!("host=localhost port={port}"),
        format!("host=::1 port={port}"),
        format!("hostaddr=127.0.0.1 port={port}"),
        format!("hostaddr=::1 port={port}"),
        format!("host=nowhere.invalid hostaddr=127.0.0.1 port={port}"),
        format!("host={directory} port={port}"),
        format!("postgresql://postgres@[::1]:{port}/postgres"),
        format!("postgresql://postgres@localhost:{port}/postgres"),
        format!("postgresql://postgres@{encoded}:{port}/postgres"),
        format!("postgresql:///postgres?host={directory}&port={port}&user=postgres"),
    ];
    let home = Home::new()?;
    // The address as the server sees it; none on a unix socket.
    let question = "select coalesce(host(inet_server_addr()), 'unix')";
    for text in texts {
        let ours = home.ask(&text, question).await?;
        assert_eq!(ours, home.ask_psql(&text, question)?, "{text}");
    }
    Ok(())
}

// trap P-11
#[tokio::test]
async fn dead_hosts_are_passed_over() -> Result<()> {
    let cluster = tls_cluster();
    let (dead, port) = (dead_port()?, cluster.port());
    let home = Home::new()?;
    let question = "select current_setting('port')";
    let texts = [
        format!("host=127.0.0.1,127.0.0.1 port={dead},{port}"),
        format!("host=nowhere.invalid,127.0.0.1 port={port}"),
        format!("host=/nonexistent,{} port={port}", cluster.socket_dir().display()),
        format!("postgresql://postgres@127.0.0.1:{dead},[::1]:{port}/postgres"),
    ];
    for text in texts {
        assert_eq!(home.ask(&text, question).await?, port.to_string(), "{text}");
    }
    let error = home.connect(&format!("host=127.0.0.1 port={dead}")).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{dead}")), "{error}");
    Ok(())
}

#[tokio::test]
async fn silent_host_costs_the_connect_timeout_only() -> Result<()> {
    // A listener that never answers: the connection stands, the TLS question stays open.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let home = Home::new()?;
    let text = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} connect_timeout=1",
        silent.local_addr()?.port(),
        tls_cluster().port()
    );
    let start = Instant::now();
    assert_eq!(home.ask(&text, "select 1").await?, "1");
    // One second for the silent host; the rest is room for a busy machine.
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn random_order_reaches_every_host() -> Result<()> {
    let cluster = tls_cluster();
    let home = Home::new()?;
    let text = format!(
        "host=127.0.0.1,::1 port={} load_balance_hosts=random sslmode=disable",
        cluster.port()
    );
    let mut seen = std::collections::BTreeSet::new();
    // Missing one of two hosts 40 times in a row has a chance of 2^-39.
    for _ in 0..40 {
        seen.insert(home.ask(&text, "select host(inet_server_addr())").await?);
        if seen.len() == 2 {
            break;
        }
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn target_session_attrs_picks_the_right_server() -> Result<()> {
    let installation = Installation::find(Major::V15)?;
    let primary = Cluster::start(&installation, ClusterOptions::default())?;
    let standby = Cluster::standby_of(&primary)?;
    let read_only = Cluster::start(
        &installation,
        ClusterOptions::default().setting("default_transaction_read_only", "on"),
    )?;
    let home = Home::new()?;
    let (p, s, r) = (primary.port(), standby.port(), read_only.port());
    // Ports in order, attribute, port that must answer; 0 for none.
    let cases = [
        (vec![r, p], "any", r),
        (vec![s, r, p], "read-write", p),
        (vec![p, r, s], "read-only", r),
        (vec![p, s, r], "read-only", s),
        (vec![s, r, p], "primary", r),
        (vec![s, p], "primary", p),
        (vec![p, r, s], "standby", s),
        (vec![p, r, s], "prefer-standby", s),
        (vec![p, r], "prefer-standby", p),
        (vec![p, r], "standby", 0),
        (vec![s, r], "read-write", 0),
        (vec![p], "read-only", 0),
        (vec![s], "primary", 0),
    ];
    for (ports, attribute, expected) in cases {
        let hosts = vec!["127.0.0.1"; ports.len()].join(",");
        let list: Vec<_> = ports.iter().map(u16::to_string).collect();
        let text = format!("host={hosts} port={} target_session_attrs={attribute}", list.join(","));
        let question = "select current_setting('port')";
        let ours = home.ask(&text, question).await.unwrap_or_else(|_| "0".to_owned());
        assert_eq!(ours, expected.to_string(), "{text}");
        let theirs = home.ask_psql(&text, question).unwrap_or_else(|_| "0".to_owned());
        assert_eq!(theirs, expected.to_string(), "psql {text}");
    }
    Ok(())
}
