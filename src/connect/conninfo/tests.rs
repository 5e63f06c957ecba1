//! Tests of the whole way from a text to a [`ConnInfo`] and back.
//!
//! Beyond these, the two parsers were once compared with `PQconninfoParse` of libpq 15 on 510 000
//! random strings made of keywords, separators, quotes and escapes: they differ only where a URI has
//! several `@` before its path (see [`uri`]) and where percent-decoded bytes are not UTF-8.

use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;

/// An environment with a user name and nothing else.
fn bare() -> Environment {
    Environment::empty().with_user("me")
}

/// Parses with a bare environment.
fn parsed(text: &str) -> ConnInfo {
    ConnInfo::parse(text, &bare()).unwrap()
}

/// The message of a text that must not parse.
fn refused(text: &str, environment: &Environment) -> String {
    ConnInfo::parse(text, environment).unwrap_err().to_string()
}

/// A TCP host without password.
fn tcp(host: &str, port: u16) -> HostSpec {
    let address = HostAddress::Tcp { host: host.to_owned(), hostaddr: None };
    HostSpec { address, port, password: None }
}

#[test]
fn empty_string_gives_every_default() {
    let info = parsed("");
    assert_eq!((info.user.as_str(), info.dbname.as_str()), ("me", "me"));
    assert_eq!((info.hosts.len(), info.hosts[0].port), (1, 5432));
    assert!(matches!(info.hosts[0].address, HostAddress::Unix(_)));
    assert_eq!((info.password, info.passfile), (None, None));
    assert_eq!(info.connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!(info.tls.mode, SslMode::Prefer);
    assert_eq!((info.tls.direct, info.tls.sni), (false, true));
    assert_eq!(info.channel_binding, Policy::Prefer);
    assert_eq!(info.target_session_attrs, TargetSessionAttrs::Any);
    assert_eq!(info.require_auth, Vec::<String>::new());
    assert!(!info.load_balance_hosts);
    // Source: commands.md 6.2.
    let ten = Some(Duration::from_secs(10));
    assert!(info.socket.keepalives);
    assert_eq!((info.socket.keepalives_idle, info.socket.keepalives_interval), (ten, ten));
    assert_eq!((info.socket.keepalives_count, info.socket.tcp_user_timeout), (Some(60), None));
}

#[test]
fn every_keyword_reaches_its_field() {
    let info = parsed(
        "host=h port=1 user=u dbname=d password=p passfile=/pass connect_timeout=3 \
         fallback_application_name=f options='-c a=b' keepalives=0 keepalives_idle=1 \
         keepalives_interval=2 keepalives_count=3 tcp_user_timeout=4 sslmode=verify-full \
         sslnegotiation=direct sslrootcert=/root sslcert=/cert sslkey=/key sslsni=0 \
         ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=tlsv1.3 \
         channel_binding=require require_auth=scram-sha-256,md5 \
         target_session_attrs=prefer-standby load_balance_hosts=random",
    );
    let expected = ConnInfo {
        hosts: vec![tcp("h", 1)],
        user: "u".to_owned(),
        dbname: "d".to_owned(),
        password: Some(Secret::new("p")),
        passfile: Some("/pass".into()),
        tls: TlsSettings {
            mode: SslMode::VerifyFull,
            direct: true,
            root: RootCertificates::File("/root".into()),
            certificate: Some("/cert".into()),
            key: Some("/key".into()),
            sni: false,
            minimum_version: Some(TlsVersion::Tls12),
            maximum_version: Some(TlsVersion::Tls13),
        },
        connect_timeout: Some(Duration::from_secs(3)),
        application_name: Some("f".to_owned()),
        options: Some("-c a=b".to_owned()),
        target_session_attrs: TargetSessionAttrs::PreferStandby,
        load_balance_hosts: true,
        socket: SocketSettings {
            keepalives: false,
            keepalives_idle: Some(Duration::from_secs(1)),
            keepalives_interval: Some(Duration::from_secs(2)),
            keepalives_count: Some(3),
            tcp_user_timeout: Some(Duration::from_millis(4)),
        },
        channel_binding: Policy::Require,
        require_auth: vec!["scram-sha-256".to_owned(), "md5".to_owned()],
    };
    assert_eq!(info, expected);
}

#[test]
fn zero_leaves_time_limits_to_the_system() {
    let info = parsed(
        "connect_timeout=0 keepalives_idle=0 keepalives_interval=-1 keepalives_count=0 \
         tcp_user_timeout=0",
    );
    assert_eq!(info.connect_timeout, None);
    assert_eq!((info.socket.keepalives_idle, info.socket.keepalives_interval), (None, None));
    assert_eq!((info.socket.keepalives_count, info.socket.tcp_user_timeout), (None, None));
    assert_eq!(parsed("connect_timeout=' 7 '").connect_timeout, Some(Duration::from_secs(7)));
}

#[test]
fn variables_fill_what_the_string_leaves_open() {
    let environment = bare().with_variables([
        ("PGHOST", "eh"),
        ("PGHOSTADDR", "10.0.0.9"),
        ("PGPORT", "9"),
        ("PGDATABASE", "ed"),
        ("PGUSER", "eu"),
        ("PGPASSWORD", "ep"),
        ("PGPASSFILE", "/epass"),
        ("PGOPTIONS", "eo"),
        ("PGAPPNAME", "ea"),
        ("PGSSLMODE", "require"),
        ("PGSSLROOTCERT", "/er"),
        ("PGSSLCERT", "/ec"),
        ("PGSSLKEY", "/ek"),
        ("PGSSLNEGOTIATION", "direct"),
        ("PGSSLSNI", "0"),
        ("PGREQUIREAUTH", "!password"),
        ("PGCHANNELBINDING", "disable"),
        ("PGCONNECT_TIMEOUT", "8"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGLOADBALANCEHOSTS", "random"),
        ("PGCLIENTENCODING", "latin1"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.3"),
        ("PGKRBSRVNAME", "x"),
        ("PGGSSENCMODE", "prefer"),
    ]);
    let info = ConnInfo::parse("", &environment).unwrap();
    let address =
        HostAddress::Tcp { host: "eh".to_owned(), hostaddr: Some("10.0.0.9".parse().unwrap()) };
    assert_eq!(info.hosts, [HostSpec { address, port: 9, password: None }]);
    assert_eq!((info.dbname.as_str(), info.user.as_str()), ("ed", "eu"));
    assert_eq!(info.password, Some(Secret::new("ep")));
    assert_eq!(info.passfile, Some("/epass".into()));
    assert_eq!(info.options.as_deref(), Some("eo"));
    assert_eq!(info.application_name.as_deref(), Some("ea"));
    assert_eq!(
        info.tls,
        TlsSettings {
            mode: SslMode::Require,
            direct: true,
            root: RootCertificates::File("/er".into()),
            certificate: Some("/ec".into()),
            key: Some("/ek".into()),
            sni: false,
            minimum_version: Some(TlsVersion::Tls13),
            maximum_version: Some(TlsVersion::Tls13),
        }
    );
    assert_eq!(info.require_auth, ["!password"]);
    assert_eq!(info.channel_binding, Policy::Disable);
    assert_eq!(info.connect_timeout, Some(Duration::from_secs(8)));
    assert_eq!(info.target_session_attrs, TargetSessionAttrs::Standby);
    assert!(info.load_balance_hosts);

    let info = ConnInfo::parse("host=h hostaddr='' port=1 user=u dbname=d", &environment).unwrap();
    assert_eq!(info.hosts[0].port, 1);
    assert_eq!((info.dbname.as_str(), info.user.as_str()), ("d", "u"));
}

#[test]
fn old_requiressl_variable_counts_after_sslmode() {
    let old = bare().with_variable("PGREQUIRESSL", "1");
    assert_eq!(ConnInfo::parse("", &old).unwrap().tls.mode, SslMode::Require);
    let both = old.clone().with_variable("PGSSLMODE", "allow");
    assert_eq!(ConnInfo::parse("", &both).unwrap().tls.mode, SslMode::Allow);
    assert_eq!(ConnInfo::parse("sslmode=disable", &old).unwrap().tls.mode, SslMode::Disable);
    // The keyword, as libpq 15 still reads it.
    for (text, mode) in [("requiressl=1", SslMode::Require), ("requiressl=0", SslMode::Prefer)] {
        assert_eq!(parsed(text).tls.mode, mode, "{text}");
    }
}

// trap P-11
#[test]
fn string_beats_service_beats_variable() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services");
    std::fs::write(&file, "[prod]\nhost=sh\nport=7\nuser=su\npassword=sp\nsslmode=disable\n")
        .unwrap();
    let environment = bare()
        .with_variables([("PGSERVICEFILE", file.to_str().unwrap()), ("PGSERVICE", "prod")])
        .with_variables([("PGHOST", "eh"), ("PGUSER", "eu"), ("PGDATABASE", "ed")]);
    let info = ConnInfo::parse("user=u", &environment).unwrap();
    assert_eq!(info.hosts, [tcp("sh", 7)]);
    assert_eq!((info.user.as_str(), info.dbname.as_str()), ("u", "ed"));
    assert_eq!(info.password, Some(Secret::new("sp")));
    assert_eq!(info.tls.mode, SslMode::Disable);

    let by_uri = ConnInfo::parse("postgres://u@/?service=prod", &environment).unwrap();
    assert_eq!(by_uri, info);
    let missing = refused("service=test", &environment);
    assert_eq!(missing, "definition of service \"test\" not found");
}

#[test]
fn dbname_that_is_a_connection_string_is_expanded_in_place() {
    let cases = [
        ("dbname='host=b dbname=c' user=u", "b", "c", "u"),
        ("host=a dbname='host=b dbname=c user=x' user=u", "b", "c", "u"),
        ("dbname='host=b user=x' host=a user=u", "a", "u", "u"),
        ("dbname=postgres://x@b/c", "b", "c", "x"),
        // No connection strings: names of databases.
        ("host=a dbname='q=r'", "a", "q=r", "me"),
        ("host=a dbname='x host=b'", "a", "x host=b", "me"),
        ("host=a dbname='dbname=\\'x'", "a", "dbname='x", "me"),
    ];
    for (text, host, dbname, user) in cases {
        let info = parsed(text);
        assert_eq!(info.hosts, [tcp(host, 5432)], "{text}");
        assert_eq!((info.dbname.as_str(), info.user.as_str()), (dbname, user), "{text}");
    }
    // Only once: what stands inside stays a name.
    let twice = parsed("host=h dbname='dbname=\\'host=x\\''");
    assert_eq!((twice.dbname.as_str(), &twice.hosts[0]), ("host=x", &tcp("h", 5432)));
}

// trap P-11
#[test]
fn role_and_password_with_special_characters_arrive_decoded() {
    let info = parsed("postgres://me%40azure:p%40ss%3Aw%2Ford%20%25@h/d%20b");
    assert_eq!((info.user.as_str(), info.dbname.as_str()), ("me@azure", "d b"));
    assert_eq!(info.password, Some(Secret::new("p@ss:w/ord %")));
}

// trap P-11
#[test]
fn password_file_serves_each_host_and_database() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".pgpass");
    std::fs::write(&file, "a:1:d:me:one\nb:*:d:me:two\nb:*:e:me:three\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let home = bare().with_home(dir.path());
    let passwords = |info: &ConnInfo| -> Vec<Option<String>> {
        let exposed = |host: &HostSpec| host.password.as_ref().map(|p| p.expose().to_owned());
        info.hosts.iter().map(exposed).collect()
    };
    let some = |text: &str| Some(text.to_owned());

    let info = ConnInfo::parse("host=a,b,c port=1 dbname=d", &home).unwrap();
    assert_eq!(passwords(&info), [some("one"), some("two"), None]);
    assert_eq!(passwords(&info.with_dbname("e")), [None, some("three"), None]);
    let given = ConnInfo::parse("host=a port=1 dbname=d password=x", &home).unwrap();
    assert_eq!(passwords(&given), [None]);
    // An empty password counts as none, as in libpq.
    let empty = ConnInfo::parse("host=a port=1 dbname=d password=", &home).unwrap();
    assert_eq!(passwords(&empty), [some("one")]);
    let other = ConnInfo::parse("host=a port=1 dbname=d passfile=/nonexistent", &home).unwrap();
    assert_eq!(passwords(&other), [None]);
}

#[test]
fn home_directory_gives_the_default_files() {
    let info = ConnInfo::parse("host=h", &bare().with_home("/home/me")).unwrap();
    assert_eq!(info.passfile, Some("/home/me/.pgpass".into()));
    let root = "/home/me/.postgresql/root.crt".into();
    assert_eq!(info.tls.root, RootCertificates::DefaultFile(root));
    assert_eq!(info.tls.certificate, Some("/home/me/.postgresql/postgresql.crt".into()));
    assert_eq!(info.tls.key, Some("/home/me/.postgresql/postgresql.key".into()));
    let without = ConnInfo::parse("sslcertmode=disable", &bare().with_home("/home/me")).unwrap();
    assert_eq!((without.tls.certificate, without.tls.key), (None, None));
}

#[test]
fn system_trust_store_means_verify_full() {
    let system = parsed("host=h sslrootcert=system");
    assert_eq!((system.tls.mode, system.tls.root), (SslMode::VerifyFull, RootCertificates::System));
    assert_eq!(
        refused("host=h sslrootcert=system sslmode=require", &bare()),
        "sslrootcert=system needs sslmode=verify-full, found require"
    );
}

#[test]
fn contradictions_and_unsupported_settings_say_what_is_wrong() {
    let cases = [
        (
            "sslnegotiation=direct sslmode=prefer",
            "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full, found prefer",
        ),
        (
            "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
            "ssl_min_protocol_version is above ssl_max_protocol_version",
        ),
        (
            "ssl_max_protocol_version=TLSv1.1",
            "connection option \"ssl_max_protocol_version\": TLS versions before 1.2 are not \
             supported",
        ),
        (
            "gssencmode=require",
            "connection option \"gssencmode\": GSSAPI encryption is not supported; use disable or \
             prefer",
        ),
        (
            "sslcrl=/x",
            "connection option \"sslcrl\": certificate revocation lists are not supported",
        ),
        (
            "oauth_issuer=x",
            "connection option \"oauth_issuer\": OAuth authentication is not supported",
        ),
        (
            "scram_client_key=x",
            "connection option \"scram_client_key\": SCRAM pass-through keys are not supported; \
             give the password",
        ),
        (
            "requirepeer=postgres",
            "connection option \"requirepeer\": checking which user a server on a unix socket \
             runs as is not supported",
        ),
        (
            "sslmode=on",
            "connection option \"sslmode\": expected one of disable, allow, prefer, require, \
             verify-ca, verify-full",
        ),
        ("connect_timeout=s", "connection option \"connect_timeout\": expected a whole number"),
        (
            "require_auth=md5,!password",
            "connection option \"require_auth\": methods with and without \"!\" cannot be mixed",
        ),
        (
            "require_auth=md5,md5",
            "connection option \"require_auth\": \"md5\" is named more than once",
        ),
        (
            "host=h sslmod=require",
            "connection string, position 8: unknown connection option; did you mean \"sslmode\"?",
        ),
        ("frobnicate=1", "connection string, position 1: unknown connection option"),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text, &bare()), expected, "{text}");
    }
    let variable = bare().with_variable("PGSSLMODE", "s3cret");
    assert_eq!(
        refused("", &variable),
        "connection option \"sslmode\" (from the environment variable PGSSLMODE): expected one of \
         disable, allow, prefer, require, verify-ca, verify-full"
    );
    assert_eq!(
        refused("", &Environment::empty()),
        "no role given: the operating system user has no name here"
    );
}

#[test]
fn ignored_settings_do_not_matter() {
    let text = "host=h krbsrvname=x gsslib=gssapi gssencmode=disable gssdelegation=1 \
                sslcompression=1 sslpassword=x requirepeer=x client_encoding=latin1 \
                replication=database sslcrl='' max_protocol_version=latest";
    assert_eq!(parsed(text), parsed("host=h"));
}

#[test]
fn no_message_and_no_debug_text_holds_a_secret() {
    let environment = bare().with_variable("PGPASSWORD", "s3cret");
    let wrong = [
        "s3cret",
        "password=my s3cret host=h",
        "password='s3cret",
        "s3cret=1",
        "host=h port=s3cret",
        "hostaddr=s3cret",
        "sslmode=s3cret",
        "keepalives=s3cret",
        "require_auth=s3cret",
        "target_session_attrs=s3cret",
        "postgres://u:s3cret/x@h/d",
        "postgres://u:s3cret%@h",
        "postgres://u:s3cret[@[h",
        "postgres://h/d?s3cret",
        "postgres://h/d?password=a&s3cret=1",
        "postgres://h/d?user=a=s3cret",
    ];
    for text in wrong {
        let error = ConnInfo::parse(text, &environment).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        let outer = crate::base::error::Error::from(error);
        let lines = format!("{outer} {outer:?} {:?}", outer.detail_lines());
        assert!(!lines.contains("s3cret"), "{lines}");
    }
    let info = ConnInfo::parse("host=h", &environment).unwrap();
    let child = info.child_conninfo();
    for text in [
        format!("{environment:?}"),
        format!("{info:?}"),
        format!("{child:?}"),
        child.text,
        info.display_uri(),
    ] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn display_uri_names_everything_but_the_password() {
    let cases = [
        ("host=h user=u dbname=d password=p", "postgres://u@h:5432/d"),
        ("host=a,b port=1,2 user=u dbname=d", "postgres://u@a:1,b:2/d"),
        ("host=::1 user=u dbname=d", "postgres://u@[::1]:5432/d"),
        ("host=/srv/pg user=u dbname=d", "postgres://u@%2Fsrv%2Fpg:5432/d"),
        ("host=h user='a@b/c' dbname='é?&= '", "postgres://a%40b%2Fc@h:5432/%C3%A9%3F%26%3D%20"),
        (
            "host=h hostaddr=10.0.0.1 user=u dbname=d sslmode=verify-ca sslrootcert=/r options='-c x=y'",
            "postgres://u@h:5432/d?hostaddr=10.0.0.1&sslmode=verify-ca&sslrootcert=%2Fr&options=-c%20x%3Dy",
        ),
        (
            "host=h user=u dbname=d sslrootcert=system target_session_attrs=primary",
            "postgres://u@h:5432/d?sslrootcert=system&target_session_attrs=primary",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(parsed(text).display_uri(), expected, "{text}");
    }
}

/// The value of a child's variable.
fn variable<'a>(child: &'a ChildConnInfo, name: &str) -> Option<&'a str> {
    child.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.expose())
}

/// Parses what a child would see: the text, and the variables over an inherited environment.
fn seen_by_child(child: &ChildConnInfo, inherited: &Environment) -> ConnInfo {
    let variables = child.variables.iter().map(|(name, value)| (*name, value.expose()));
    ConnInfo::parse(&child.text, &inherited.clone().with_variables(variables)).unwrap()
}

#[test]
fn child_connects_as_we_do_whatever_it_inherits() {
    let inherited = bare().with_variables([
        ("PGHOST", "wrong"),
        ("PGHOSTADDR", "10.9.9.9"),
        ("PGPORT", "1"),
        ("PGUSER", "wrong"),
        ("PGPASSWORD", "wrong"),
        ("PGDATABASE", "wrong"),
        ("PGOPTIONS", "wrong"),
        ("PGSSLMODE", "disable"),
        ("PGSSLROOTCERT", "/wrong"),
        ("PGCHANNELBINDING", "disable"),
        ("PGREQUIREAUTH", "none"),
        ("PGCONNECT_TIMEOUT", "99"),
        ("PGTARGETSESSIONATTRS", "standby"),
        ("PGLOADBALANCEHOSTS", "random"),
        ("PGSSLSNI", "0"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
    ]);
    let texts = [
        "host=h user=u dbname=d password='p w' ",
        "host=a,b hostaddr=10.0.0.1,::1 port=1,2 user='it\\'s' dbname='d\\\\b' ",
        "host=h sslmode=verify-full sslrootcert=/r sslcert=/c sslkey=/k require_auth=!md5 ",
        "host=/srv/pg options='-c a=b\\\\ c' application_name=x target_session_attrs=primary ",
        "host=h keepalives=0 tcp_user_timeout=5 connect_timeout=0 load_balance_hosts=random ",
        "host=h sslmode=require sslnegotiation=direct channel_binding=require sslsni=0 ",
        "host=h ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.3 ",
    ];
    for text in texts {
        let info = ConnInfo::parse(text, &bare().with_home("/home/me")).unwrap();
        let child = info.child_conninfo();
        let mut seen = seen_by_child(&child, &inherited.clone().with_home("/home/me"));
        // The default lower bound is spelled out for the child.
        if info.tls.minimum_version.is_none() {
            assert_eq!(seen.tls.minimum_version.take(), Some(TlsVersion::Tls12));
        }
        assert_eq!(seen, info, "{text}");
    }
}

// trap P-11
#[test]
fn child_gets_the_password_by_variable_only() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".pgpass");
    std::fs::write(&file, "a:*:*:*:one\nb:*:*:*:two\nc:*:*:*:one\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let home = bare().with_home(dir.path());
    // Hosts, expected variable, whether the child reads the file itself.
    let cases = [("a", "one", false), ("a,c", "one", false), ("a,b", "", true), ("x", "", true)];
    for (hosts, password, reads_file) in cases {
        let child = ConnInfo::parse(&format!("host={hosts}"), &home).unwrap().child_conninfo();
        assert_eq!(variable(&child, "PGPASSWORD"), Some(password), "{hosts}");
        assert_eq!(child.text.contains("passfile="), reads_file, "{hosts}");
        assert!(!child.text.contains("one"), "{}", child.text);
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>(), uri in any::<bool>()) {
        let text = if uri { format!("postgres://{text}") } else { text };
        let _ = ConnInfo::parse(&text, &bare());
    }

    #[test]
    fn text_forms_lead_to_the_same_server(
        user in "[^\0]{1,8}",
        dbname in "[^\0]{1,8}",
        options in proptest::option::of("[^\0]{1,8}"),
        hosts in proptest::collection::vec(("[a-z0-9.-]{1,8}|/[^,\0@]{0,8}|[0-9a-f]{1,4}::[0-9]", 1..=u16::MAX), 1..4),
        mode in proptest::sample::select(SslMode::ALL.to_vec()),
    ) {
        let mut info = parsed("host=x");
        info.user = user;
        info.dbname = dbname;
        info.options = options;
        info.tls.mode = mode;
        info.hosts = hosts
            .into_iter()
            .map(|(host, port)| {
                let address = match host.strip_prefix('/') {
                    Some(_) => HostAddress::Unix(host.into()),
                    None => HostAddress::Tcp { host, hostaddr: None },
                };
                HostSpec { address, port, password: None }
            })
            .collect();
        let read = ConnInfo::parse(&info.display_uri(), &bare()).unwrap();
        prop_assert_eq!(&read, &info);
        // A database whose name is a connection string is only safe from expansion in a URI.
        prop_assume!(!info.dbname.contains('=') && !info.dbname.starts_with("postgres"));
        let mut read = seen_by_child(&info.child_conninfo(), &bare());
        read.tls.minimum_version = None;
        prop_assert_eq!(&read, &info);
    }
}
