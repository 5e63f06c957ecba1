//! Passwords: methods, where they come from, what may be said about them.

use anyhow::Result;
use pgcopydb::base::error::Side;
use pgcopydb::connect::client::Session;

use crate::support::{Home, tls_cluster};

/// Who the session is.
const WHO: &str = "select current_user";

// trap P-15
#[tokio::test]
async fn every_password_method_works_over_both_transports() -> Result<()> {
    let home = Home::new()?;
    for role in ["scram_user", "md5_user", "password_user"] {
        for mode in ["disable", "require"] {
            for password in ["s3cret", "wrong"] {
                let text = format!(
                    "host=127.0.0.1 port={} dbname=postgres user={role} password={password} \
                     sslmode={mode}",
                    tls_cluster().port()
                );
                let answer = home.ask(&text, WHO).await;
                if password == "s3cret" {
                    assert_eq!(answer?, role);
                    continue;
                }
                let error = answer.unwrap_err().to_string();
                assert!(error.contains("28P01"), "{error}");
                assert!(!error.contains("wrong"), "{error}");
            }
        }
    }
    Ok(())
}

// trap P-15
#[tokio::test]
async fn require_auth_refuses_other_methods() -> Result<()> {
    let home = Home::new()?;
    // Role, require_auth, whether a session comes of it. Source: PostgreSQL manual, 34.1.2.
    let cases = [
        ("scram_user", "scram-sha-256", true),
        ("scram_user", "md5,scram-sha-256", true),
        ("scram_user", "!md5,!password", true),
        ("scram_user", "md5", false),
        ("scram_user", "!scram-sha-256", false),
        ("md5_user", "md5", true),
        ("md5_user", "scram-sha-256", false),
        ("password_user", "password", true),
        ("password_user", "scram-sha-256", false),
        ("postgres", "none", true),
        ("postgres", "scram-sha-256", false),
        ("postgres", "!none", false),
    ];
    for (role, methods, works) in cases {
        let text = format!(
            "host=127.0.0.1 port={} dbname=postgres user={role} password=s3cret \
             require_auth={methods}",
            tls_cluster().port()
        );
        let answer = home.ask(&text, WHO).await;
        assert_eq!(answer.is_ok(), works, "{role} {methods}: {answer:?}");
    }
    Ok(())
}

// trap P-11
#[tokio::test]
async fn missing_password_is_said_to_be_missing() -> Result<()> {
    let home = Home::new()?;
    let text =
        format!("host=127.0.0.1 port={} dbname=postgres user=scram_user", tls_cluster().port());
    let error = home.connect(&text).await.unwrap_err().to_string();
    assert!(error.contains("password"), "{error}");
    assert!(error.contains("PGPASSWORD"), "{error}");
    Ok(())
}

// trap P-11
#[tokio::test]
async fn password_comes_from_file_service_or_variable() -> Result<()> {
    let port = tls_cluster().port();
    let base =
        format!("host=localhost hostaddr=127.0.0.1 port={port} user=scram_user dbname=postgres");

    let mut by_file = Home::new()?;
    by_file
        .write(".pgpass", format!("*:*:*:other:wrong\nlocalhost:{port}:*:scram_user:s3cret\n"))?;
    by_file.variable("PGAPPNAME", "x");
    assert_eq!(by_file.ask(&base, WHO).await?, "scram_user");
    assert_eq!(by_file.ask_psql(&base, WHO)?, "scram_user");

    let open = Home::new()?;
    let path = open.write(".pgpass", format!("localhost:{port}:*:*:s3cret\n"))?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(path, permissions)?;
    assert!(open.ask(&base, WHO).await.is_err());
    assert!(open.ask_psql(&base, WHO).is_err());

    let by_service = Home::new()?;
    let service = format!(
        "[prod]\nhost=127.0.0.1\nport={port}\nuser=scram_user\ndbname=postgres\npassword=s3cret\n"
    );
    by_service.write(".pg_service.conf", service)?;
    assert_eq!(by_service.ask("service=prod user=scram_user", WHO).await?, "scram_user");
    assert_eq!(by_service.ask_psql("service=prod user=scram_user", WHO)?, "scram_user");

    let mut by_variable = Home::new()?;
    by_variable.variable("PGPASSWORD", "s3cret");
    assert_eq!(by_variable.ask(&base, WHO).await?, "scram_user");
    Ok(())
}

// trap P-11
#[tokio::test]
async fn role_and_password_with_special_characters_work_in_uris() -> Result<()> {
    let cluster = tls_cluster();
    let roles = [
        ("me@azure.example", "p@ss:w/o?r%d #&="),
        ("sp ace", "back\\slash 'quote'"),
        ("ünïcode", "пароль"),
    ];
    let home = Home::new()?;
    for (role, password) in roles {
        let literal = password.replace('\'', "''");
        cluster.psql(
            "postgres",
            &format!("create role \"{role}\" login superuser password '{literal}'"),
        )?;
        let name = format!("db of {role}");
        cluster.create_database(&name)?;
        let encode = |text: &str| -> String { text.bytes().map(|b| format!("%{b:02x}")).collect() };
        let uri = format!(
            "postgresql://{}:{}@127.0.0.1:{}/{}?require_auth=none",
            encode(role),
            encode(password),
            cluster.port(),
            encode(&name)
        );
        let question = "select current_user || '|' || current_database()";
        assert_eq!(home.ask(&uri, question).await?, format!("{role}|{name}"));
        let info = home.parse(&uri)?;
        assert_eq!(info.password.as_ref().map(|p| p.expose()), Some(password));

        // What a child process gets leads psql to the same place.
        let child = info.child_conninfo();
        let mut other = Home::new()?;
        for (variable, value) in &child.variables {
            // psql 15 is stricter than its successors about variables it does not support.
            if *variable != "PGREQUIREAUTH" {
                other.variable(variable, value.expose());
            }
        }
        assert_eq!(other.ask_psql(&child.text, question)?, format!("{role}|{name}"));
        assert_eq!(home.ask(&info.display_uri(), question).await?, format!("{role}|{name}"));
    }
    Ok(())
}

// trap P-12
#[tokio::test]
async fn a_password_that_expires_is_renewed_through_the_password_file() -> Result<()> {
    let home = Home::new()?;
    let server = tls_cluster();
    let file = home.write("token", "127.0.0.1:*:*:token_user:first\n")?;
    let text = format!(
        "host=127.0.0.1 port={} dbname=postgres user=token_user passfile={}",
        server.port(),
        file.display()
    );
    let info = home.parse(&text)?;
    let connect = async || Session::connect(Side::Source, &info, "test").await;
    connect().await?;
    // The token that was valid when the run began has expired; the file holds the next one.
    server.psql("postgres", "alter role token_user password 'second'")?;
    let error = connect().await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("28P01"), "{error}");
    home.write("token", "127.0.0.1:*:*:token_user:second\n")?;
    connect().await?;
    Ok(())
}
