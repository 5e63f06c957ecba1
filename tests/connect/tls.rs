//! TLS: modes, certificates, host names, channel binding.

use anyhow::{Result, ensure};

use crate::certificates::{Kind, Signer, Workshop, convert_key, openssl};
use crate::support::{Home, TLS_ACTIVE, start_tls_cluster, tls_cluster};

/// The six modes, from weak to strong.
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What comes of an attempt: `p`lain session, `t`ls session, `x` no session.
///
/// One letter per mode of [`MODES`].
type Row = (&'static str, &'static str, &'static str);

/// An outcome as a letter.
fn letter(outcome: &Result<String>) -> char {
    match outcome.as_deref() {
        Ok("t") => 't',
        Ok("f") => 'p',
        _ => 'x',
    }
}

/// Tries a string in all modes, with us and with psql; both must do as `expected` says.
async fn check_modes(home: &Home, text: &str, expected: &str) -> Result<()> {
    for (mode, wanted) in MODES.iter().zip(expected.chars()) {
        let text = format!("{text} sslmode={mode}");
        let ours = home.ask(&text, TLS_ACTIVE).await;
        ensure!(letter(&ours) == wanted, "{text}: expected {wanted}, got {ours:?}");
        let theirs = home.ask_psql(&text, TLS_ACTIVE);
        ensure!(letter(&theirs) == wanted, "{text}: psql should give {wanted}: {theirs:?}");
    }
    Ok(())
}

// trap P-11
#[tokio::test]
async fn every_mode_treats_every_certificate_as_libpq_does() -> Result<()> {
    let cluster = start_tls_cluster()?;
    let workshop = Workshop::open()?;
    let kind = |name, extensions, signer| Kind {
        name,
        common_name: "localhost",
        extensions,
        signer,
        days: 30,
        options: &[],
    };
    let good = "subjectAltName=DNS:localhost,IP:127.0.0.1";
    let kinds = [
        kind("good", good, Signer::Authority),
        kind("self_signed", "basicConstraints=critical,CA:TRUE", Signer::Own),
        kind("self_signed_old", "", Signer::Own),
        kind("old", "", Signer::Authority),
        kind("chain", good, Signer::Intermediate),
        kind("other_name", "subjectAltName=DNS:elsewhere.example", Signer::Authority),
        kind("common_name", "keyUsage=digitalSignature", Signer::Authority),
        kind("wildcard", "subjectAltName=DNS:*.example.com", Signer::Authority),
        Kind { days: -1, ..kind("expired", good, Signer::Authority) },
        Kind { days: -1, ..kind("expired_old", "", Signer::Authority) },
        Kind { days: -1, ..kind("expired_self_signed", "", Signer::Own) },
        kind("by_leaf", good, Signer::Leaf("good")),
        kind("by_leaf_old", "", Signer::Leaf("good")),
    ];
    for kind in kinds {
        workshop.make(kind)?;
    }
    // Certificate, root file, outcome per mode for host=localhost.
    // Source: PostgreSQL manual, table 34.1 and section 34.19.1; every row is checked with psql.
    let rows: [Row; 24] = [
        ("good", "", "ppttxx"),
        ("good", "root", "pptttt"),
        ("good", "other", "pppxxx"),
        ("good", "impostor", "pppxxx"),
        ("self_signed", "", "ppttxx"),
        ("self_signed", "self_signed", "pptttt"),
        ("self_signed", "root", "pppxxx"),
        ("self_signed_old", "self_signed_old", "pptttt"),
        ("self_signed_old", "root", "pppxxx"),
        ("old", "root", "pptttt"),
        ("old", "other", "pppxxx"),
        ("old", "impostor", "pppxxx"),
        ("old", "", "ppttxx"),
        ("chain", "root", "pptttt"),
        ("chain", "other", "pppxxx"),
        ("other_name", "root", "pptttx"),
        ("common_name", "root", "pptttt"),
        ("expired", "root", "pppxxx"),
        ("expired_old", "root", "pppxxx"),
        ("expired_self_signed", "expired_self_signed", "pppxxx"),
        ("by_leaf", "root", "pppxxx"),
        ("by_leaf_old", "root", "pppxxx"),
        ("by_leaf", "good", "pppxxx"),
        ("by_leaf_old", "good", "pppxxx"),
    ];
    let mut installed = "";
    for (certificate, root, expected) in rows {
        if installed != certificate {
            workshop.install(&cluster, certificate)?;
            installed = certificate;
        }
        let home = Home::new()?;
        if !root.is_empty() {
            home.copy(&workshop.file(root, "crt"), ".postgresql/root.crt")?;
        }
        let text = format!("host=localhost hostaddr=127.0.0.1 port={}", cluster.port());
        check_modes(&home, &text, expected)
            .await
            .map_err(|error| error.context(format!("{certificate} with root file \"{root}\"")))?;
    }

    // Other names for the same server under verify-full: certificate, host, whether it fits.
    let names = [
        ("good", "127.0.0.1", true),
        ("good", "LOCALHOST", true),
        ("good", "localhost.localdomain", false),
        ("good", "127.0.0.2", false),
        ("other_name", "elsewhere.example", true),
        ("wildcard", "db.example.com", true),
        ("wildcard", "a.db.example.com", false),
        ("wildcard", "example.com", false),
        ("wildcard", "localhost", false),
        ("common_name", "127.0.0.1", false),
    ];
    let home = Home::new()?;
    home.copy(&workshop.file("root", "crt"), ".postgresql/root.crt")?;
    for (certificate, host, fits) in names {
        if installed != certificate {
            workshop.install(&cluster, certificate)?;
            installed = certificate;
        }
        let text =
            format!("host={host} hostaddr=127.0.0.1 port={} sslmode=verify-full", cluster.port());
        let ours = home.ask(&text, TLS_ACTIVE).await;
        assert_eq!(ours.is_ok(), fits, "{certificate} {host}: {ours:?}");
        let theirs = home.ask_psql(&text, TLS_ACTIVE);
        assert_eq!(theirs.is_ok(), fits, "psql: {certificate} {host}: {theirs:?}");
    }
    Ok(())
}

#[tokio::test]
async fn certificate_problems_are_explained() -> Result<()> {
    let cluster = tls_cluster();
    let files = cluster.tls().unwrap();
    let home = Home::new()?;
    let base = format!("hostaddr=127.0.0.1 port={}", cluster.port());
    let missing = home.path(".postgresql/root.crt");
    let empty = home.write("empty.crt", "no certificate here\n")?;
    let other = files.other_ca_cert.display();
    let good = files.ca_cert.display();
    let cases = [
        (
            "host=localhost sslmode=verify-ca".to_owned(),
            format!(
                "root certificate file \"{}\" does not exist, but sslmode=verify-ca needs it",
                missing.display()
            ),
        ),
        (
            "host=localhost sslmode=require sslrootcert=/nonexistent".to_owned(),
            "root certificate file \"/nonexistent\" does not exist, but sslmode=require needs it"
                .to_owned(),
        ),
        (
            format!("host=localhost sslmode=require sslrootcert={}", empty.display()),
            format!("root certificate file \"{}\" holds no certificate", empty.display()),
        ),
        (
            format!("host=localhost sslmode=verify-ca sslrootcert={other}"),
            "server certificate is not signed by a trusted authority".to_owned(),
        ),
        (
            format!("host=elsewhere sslmode=verify-full sslrootcert={good}"),
            "server certificate is for \"localhost\", \"127.0.0.1\", not for \"elsewhere\""
                .to_owned(),
        ),
        (
            format!("sslmode=verify-full sslrootcert={good}"),
            "sslmode=verify-full needs a host name, found hostaddr only".to_owned(),
        ),
        (
            "host=localhost sslrootcert=system".to_owned(),
            "server certificate is not signed by a trusted authority".to_owned(),
        ),
        (
            "host=localhost sslmode=require sslnegotiation=direct".to_owned(),
            // Version 15 does not know TLS from the first byte, and hangs up.
            "TLS handshake with localhost".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        let text = format!("{base} {text}");
        let error = home.connect(&text).await.unwrap_err().to_string();
        assert!(error.contains(&expected), "{text}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn transport_follows_what_the_server_allows_the_role() -> Result<()> {
    let cluster = tls_cluster();
    let home = Home::new()?;
    // Role, outcome per mode: pg_hba.conf refuses one transport, allow and prefer try the other.
    for (role, expected) in [("tls_only", "xtttxx"), ("plain_only", "pppxxx")] {
        let text = format!("host=127.0.0.1 port={} user={role} dbname=postgres", cluster.port());
        check_modes(&home, &text, expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn server_without_tls_is_refused_from_require_on() -> Result<()> {
    let cluster = testbed::source();
    let home = Home::new()?;
    let text = format!("host=127.0.0.1 port={}", cluster.port());
    check_modes(&home, &text, "pppxxx").await?;
    let error = home.connect(&format!("{text} sslmode=require")).await.unwrap_err().to_string();
    assert!(error.contains("does not support TLS, but sslmode demands it"), "{error}");
    Ok(())
}

// trap P-11
#[tokio::test]
async fn unix_socket_never_uses_tls() -> Result<()> {
    let cluster = tls_cluster();
    let home = Home::new()?;
    home.copy(&cluster.tls().unwrap().other_ca_cert, ".postgresql/root.crt")?;
    let directory = cluster.socket_dir().display();
    check_modes(&home, &format!("host={directory} port={}", cluster.port()), "pppppp").await
}

// trap P-11
#[tokio::test]
async fn client_certificate_opens_the_door() -> Result<()> {
    let cluster = start_tls_cluster()?;
    let workshop = Workshop::open()?;
    let kind = Kind {
        name: "certified",
        common_name: "certified",
        extensions: "extendedKeyUsage=clientAuth",
        signer: Signer::Authority,
        days: 30,
        options: &[],
    };
    workshop.make(kind)?;
    workshop.make(Kind { name: "certified_old", extensions: "", ..kind })?;
    workshop.make(Kind { name: "stranger", common_name: "stranger", ..kind })?;
    cluster.set("ssl_ca_file", &workshop.file("root", "crt").to_string_lossy())?;

    let home = Home::new()?;
    let key = workshop.file("certified", "key");
    convert_key(&key, &home.path("pkcs8.key"), &["pkcs8", "-topk8", "-nocrypt"])?;
    convert_key(&key, &home.path("pkcs1.key"), &["rsa", "-traditional"])?;
    convert_key(&key, &home.path("der.key"), &["rsa", "-outform", "DER"])?;
    let encrypt = ["pkcs8", "-topk8", "-passout", "pass:x"];
    convert_key(&key, &home.path("encrypted.key"), &encrypt)?;
    let encrypt_old = ["rsa", "-traditional", "-aes256", "-passout", "pass:x"];
    convert_key(&key, &home.path("encrypted_old.key"), &encrypt_old)?;
    home.copy(&workshop.file("certified_old", "key"), "certified_old.key")?;
    home.copy(&workshop.file("stranger", "key"), "stranger.key")?;
    let open = home.copy(&key, "open.key")?;
    set_mode(&open, 0o644)?;
    let shared = home.copy(&key, "shared.key")?;
    set_mode(&shared, 0o640)?;

    let base = format!(
        "host=127.0.0.1 port={} user=certified dbname=postgres sslmode=require",
        cluster.port()
    );
    // Certificate, key, what comes of it: "" for a session, else a piece of our message.
    // A key of root's may be readable by its group.
    let shared_outcome = if is_root(&shared)? { "" } else { "has group or world access" };
    let cases = [
        ("certified", "pkcs8.key", ""),
        ("certified", "pkcs1.key", ""),
        ("certified", "der.key", ""),
        ("certified_old", "certified_old.key", ""),
        ("certified", "shared.key", shared_outcome),
        ("certified", "open.key", "has group or world access"),
        ("certified", "encrypted.key", "is encrypted, which is not supported"),
        ("certified", "encrypted_old.key", "is encrypted, which is not supported"),
        ("certified", "missing.key", "does not exist, but there is a client certificate"),
        ("certified", "stranger.key", "does not belong to the certificate in"),
        ("stranger", "stranger.key", "certificate authentication failed"),
        ("missing", "missing.key", "requires a valid client certificate"),
    ];
    for (certificate, key, expected) in cases {
        let text = format!(
            "{base} sslcert={} sslkey={}",
            workshop.file(certificate, "crt").display(),
            home.path(key).display()
        );
        let ours = home.ask(&text, TLS_ACTIVE).await;
        match (&ours, expected) {
            (Ok(answer), "") => assert_eq!(answer, "t", "{text}"),
            (Err(error), piece) if !piece.is_empty() => {
                assert!(error.to_string().contains(piece), "{text}: {error}");
            }
            _ => panic!("{text}: {ours:?}"),
        }
        // libpq can decrypt keys, but has no passphrase here.
        let theirs = home.ask_psql(&text, TLS_ACTIVE);
        assert_eq!(theirs.is_ok(), expected.is_empty(), "psql {text}: {theirs:?}");
    }

    // The default files.
    home.copy(&workshop.file("certified", "crt"), ".postgresql/postgresql.crt")?;
    home.copy(&key, ".postgresql/postgresql.key")?;
    assert_eq!(home.ask(&base, TLS_ACTIVE).await?, "t");
    let without = home.ask(&format!("{base} sslcertmode=disable"), TLS_ACTIVE).await;
    assert!(without.is_err());
    Ok(())
}

/// Sets the permissions of a file.
fn set_mode(path: &std::path::Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}

/// Whether a file belongs to root.
fn is_root(path: &std::path::Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata(path)?.uid() == 0)
}

// trap P-15
#[tokio::test]
async fn channel_binding_fits_every_signature_hash() -> Result<()> {
    let cluster = start_tls_cluster()?;
    let workshop = Workshop::open()?;
    let kind = |name, options| Kind {
        name,
        common_name: "localhost",
        extensions: "subjectAltName=DNS:localhost",
        signer: Signer::Authority,
        days: 30,
        options,
    };
    workshop.make(kind("sha256", &["-sha256"]))?;
    workshop.make(kind("sha384", &["-sha384"]))?;
    workshop.make(kind("sha512", &["-sha512"]))?;
    for (name, hash) in [("pss256", "-sha256"), ("pss384", "-sha384"), ("pss512", "-sha512")] {
        let (key, certificate) = (workshop.file(name, "key"), workshop.file(name, "crt"));
        openssl(|command| {
            command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", hash]);
            command.args(["-subj", "/CN=localhost", "-sigopt", "rsa_padding_mode:pss"]);
            command.arg("-keyout").arg(key).arg("-out").arg(certificate);
        })?;
    }
    for (name, curve, hash) in [
        ("ec256", "prime256v1", "-sha256"),
        ("ec384", "secp384r1", "-sha384"),
        ("ec512", "prime256v1", "-sha512"),
    ] {
        let (key, certificate) = (workshop.file(name, "key"), workshop.file(name, "crt"));
        openssl(|command| {
            command.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "30", hash]);
            command.args(["-subj", "/CN=localhost", "-pkeyopt"]);
            command.arg(format!("ec_paramgen_curve:{curve}"));
            command.arg("-keyout").arg(key).arg("-out").arg(certificate);
        })?;
    }
    let home = Home::new()?;
    let text = format!(
        "host=127.0.0.1 port={} user=scram_user password=s3cret dbname=postgres sslmode=require \
         channel_binding=require",
        cluster.port()
    );
    // The server checks the hash: a session proves that ours was right.
    for name in
        ["sha256", "sha384", "sha512", "pss256", "pss384", "pss512", "ec256", "ec384", "ec512"]
    {
        workshop.install(&cluster, name)?;
        for version in ["TLSv1.2", "TLSv1.3"] {
            let text = format!(
                "{text} ssl_min_protocol_version={version} ssl_max_protocol_version={version}"
            );
            let question = "select version from pg_catalog.pg_stat_ssl
                             where pid = pg_catalog.pg_backend_pid()";
            let seen = home.ask(&text, question).await;
            assert_eq!(seen.as_deref().ok(), Some(version), "{name} {version}: {seen:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn channel_binding_is_required_in_earnest() -> Result<()> {
    let home = Home::new()?;
    let base = format!(
        "host=127.0.0.1 port={} password=s3cret dbname=postgres channel_binding=require",
        tls_cluster().port()
    );
    // Without TLS, with a method that has none, and with nothing asked at all.
    for rest in [
        "user=scram_user sslmode=disable",
        "user=md5_user sslmode=require",
        "user=password_user sslmode=require",
        "user=postgres sslmode=require",
    ] {
        let text = format!("{base} {rest}");
        let error = home.connect(&text).await.unwrap_err().to_string();
        assert!(error.contains("channel binding"), "{rest}: {error}");
        assert!(home.ask_psql(&text, "select 1").is_err(), "psql {rest}");
    }
    Ok(())
}

// trap P-11
#[tokio::test]
async fn system_trust_store_is_the_operating_systems() -> Result<()> {
    let cluster = tls_cluster();
    let ca = &cluster.tls().unwrap().ca_cert;
    let ping = |host: &str, store: Option<&std::path::Path>| -> Result<std::process::Output> {
        let text = format!(
            "host={host} hostaddr=127.0.0.1 port={} user=postgres dbname=postgres \
             sslrootcert=system",
            cluster.port()
        );
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgcopydb"));
        command.args(["ping", "--source", &text, "--target", &text]);
        // Where a trust store is looked for first, by us as by OpenSSL.
        match store {
            Some(file) => command.env("SSL_CERT_FILE", file),
            None => command.env_remove("SSL_CERT_FILE"),
        };
        Ok(command.output()?)
    };
    let trusted = ping("localhost", Some(ca))?;
    assert!(trusted.status.success(), "{}", String::from_utf8_lossy(&trusted.stderr));
    // The store of this machine does not know the testbed, and verify-full is the only mode.
    for (host, store) in [("localhost", None), ("elsewhere", Some(ca.as_path()))] {
        let refused = ping(host, store)?;
        assert!(!refused.status.success(), "{host}");
        let message = String::from_utf8_lossy(&refused.stderr);
        assert!(message.contains("server certificate is"), "{message}");
    }
    Ok(())
}
