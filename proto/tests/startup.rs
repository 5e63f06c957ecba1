//! The startup state machine against captured servers and a scripted one.

#[cfg(test)]
#[path = "support/scram_server.rs"]
mod scram_server;

#[cfg(test)]
mod tests {
    use proto::backend::ServerMessage;
    use proto::frame::next_frame;
    use proto::limits::Limits;
    use proto::sqlstate::SqlState;
    use proto::startup::{
        AuthMethod, ChannelBindingPolicy, Startup, StartupAction, StartupConfig, StartupDone,
        StartupError, ssl_answer,
    };

    use super::scram_server::{ScramServer, frame};

    const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const READY: &[u8] = b"Z\0\0\0\x05I";
    const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
    const MD5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05salt";

    fn config() -> StartupConfig {
        StartupConfig {
            user: "alice".to_owned(),
            password: Some(b"secret".to_vec()),
            ..StartupConfig::default()
        }
    }

    fn over_tls(channel_binding: ChannelBindingPolicy) -> StartupConfig {
        StartupConfig {
            tls_active: true,
            channel_binding_data: Some(b"certificate hash".to_vec()),
            channel_binding,
            ..config()
        }
    }

    fn requiring(methods: &str) -> StartupConfig {
        StartupConfig { require_auth: methods.parse().unwrap(), ..config() }
    }

    /// What happened when a machine was given some frames.
    #[derive(Debug, Default)]
    struct Run {
        sent: Vec<u8>,
        notices: Vec<ServerMessage>,
        done: Option<StartupDone>,
    }

    /// Gives the frames to a new machine, cutting them with its own limits.
    fn run(config: StartupConfig, mut bytes: &[u8]) -> Result<Run, StartupError> {
        let (mut startup, first) = Startup::new(config)?;
        let mut run = Run { sent: first.to_vec(), ..Run::default() };
        while !bytes.is_empty() {
            let frame = next_frame(bytes, startup.limits())?.expect("whole frames");
            step(&mut startup, frame.tag, frame.body, &mut run)?;
            bytes = &bytes[frame.total_length..];
        }
        Ok(run)
    }

    fn step(
        startup: &mut Startup,
        tag: u8,
        body: &[u8],
        run: &mut Run,
    ) -> Result<(), StartupError> {
        match startup.handle_frame(tag, body)? {
            StartupAction::Continue => {}
            StartupAction::Send(bytes) => run.sent.extend_from_slice(&bytes),
            StartupAction::Notice(notice) => run.notices.push(*notice),
            StartupAction::Done(done) => run.done = Some(*done),
        }
        Ok(())
    }

    /// Lets a machine and a SCRAM server talk until either is done.
    fn converse(config: StartupConfig, server: &mut ScramServer) -> Result<Run, StartupError> {
        let (mut startup, first) = Startup::new(config)?;
        let mut run = Run { sent: first.to_vec(), ..Run::default() };
        let mut answers = server.first_request();
        while !answers.is_empty() {
            let seen = run.sent.len();
            let mut rest = answers.as_slice();
            while let Some(frame) = next_frame(rest, startup.limits())? {
                step(&mut startup, frame.tag, frame.body, &mut run)?;
                rest = &rest[frame.total_length..];
            }
            assert_eq!(rest, b"");
            answers = server.answer(&run.sent[seen..]);
        }
        Ok(run)
    }

    fn fixture(name: &str) -> Vec<u8> {
        let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The configuration of the captures.
    fn captured(user: &str, password: Option<&str>) -> StartupConfig {
        StartupConfig {
            user: user.to_owned(),
            database: Some("postgres".to_owned()),
            parameters: vec![
                ("application_name".to_owned(), "capture".to_owned()),
                ("client_encoding".to_owned(), "UTF8".to_owned()),
            ],
            password: password.map(|p| p.as_bytes().to_vec()),
            ..StartupConfig::default()
        }
    }

    #[test]
    fn bytes_sent_to_a_real_server_are_those_libpq_sent() {
        for (name, config, method) in [
            ("startup_trust", captured("postgres", None), AuthMethod::None),
            ("startup_md5", captured("md5_user", Some("secret")), AuthMethod::Md5),
            ("startup_password", captured("password_user", Some("secret")), AuthMethod::Password),
        ] {
            let run = run(config, &fixture(&format!("{name}.backend"))).unwrap();
            let expected = fixture(&format!("{name}.frontend"));
            let terminate = b"X\0\0\0\x04";
            assert_eq!(run.sent, expected.strip_suffix(terminate).unwrap(), "{name}");
            let done = run.done.unwrap();
            assert_eq!(done.method, method);
            assert_eq!(done.parameters.get("server_encoding"), Some("UTF8"));
            assert_eq!(done.parameters.iter().count(), 13);
            assert!(done.process_id > 0);
            assert_eq!(done.secret_key.len(), 4);
        }
    }

    #[test]
    fn refusal_of_a_real_server_is_returned_as_data() {
        let error = run(captured("postgres", None), &fixture("startup_no_database.backend"));
        let Err(StartupError::Server(report)) = error else { panic!("{error:?}") };
        assert_eq!(report.sqlstate, SqlState::INVALID_CATALOG_NAME);
        assert!(report.ends_session());
    }

    // trap P-15
    #[test]
    fn scram_authenticates_both_sides() {
        let mut server = ScramServer::new("secret", &["SCRAM-SHA-256"]);
        let run = converse(config(), &mut server).unwrap();
        let done = run.done.unwrap();
        assert_eq!((done.method, done.channel_bound), (AuthMethod::ScramSha256, false));
        assert_eq!((done.process_id, done.secret_key), (7, vec![1, 2, 3, 4]));
        assert_eq!(server.gs2_header(), "n,,");
    }

    #[test]
    fn scram_is_bound_to_the_channel_when_both_sides_can() {
        for policy in [ChannelBindingPolicy::Prefer, ChannelBindingPolicy::Require] {
            let mut server = ScramServer::new("secret", &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
            let run = converse(over_tls(policy), &mut server).unwrap();
            assert!(run.done.unwrap().channel_bound);
            assert_eq!(server.gs2_header(), "p=tls-server-end-point,,");
            assert_eq!(server.channel_binding_data(), b"certificate hash");
        }
    }

    #[test]
    fn gs2_flag_tells_what_the_client_could_do() {
        let plain: &[&str] = &["SCRAM-SHA-256"];
        let both: &[&str] = &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
        let without_hash =
            StartupConfig { channel_binding_data: None, ..over_tls(ChannelBindingPolicy::Prefer) };
        for (config, mechanisms, header) in [
            (over_tls(ChannelBindingPolicy::Prefer), plain, "y,,"),
            (over_tls(ChannelBindingPolicy::Disable), plain, "n,,"),
            (over_tls(ChannelBindingPolicy::Disable), both, "n,,"),
            (without_hash, both, "n,,"),
        ] {
            let mut server = ScramServer::new("secret", mechanisms);
            let run = converse(config, &mut server).unwrap();
            assert!(!run.done.unwrap().channel_bound);
            assert_eq!(server.gs2_header(), header);
        }
    }

    #[test]
    fn server_that_does_not_know_the_password_is_refused() {
        let mut server = ScramServer::new("secret", &["SCRAM-SHA-256"]);
        server.sign_with_another_key();
        let error = converse(config(), &mut server).unwrap_err();
        assert!(matches!(error, StartupError::Scram { .. }), "{error:?}");
    }

    #[test]
    fn server_that_skips_its_proof_is_refused() {
        for after in ["request", "challenge"] {
            let mut server = ScramServer::new("secret", &["SCRAM-SHA-256"]);
            server.say_ok_after(after);
            let error = converse(config(), &mut server).unwrap_err();
            assert!(matches!(error, StartupError::Protocol { .. }), "{after}: {error:?}");
        }
    }

    #[test]
    fn required_channel_binding_refuses_every_weaker_way_before_the_password_leaves() {
        let require = || over_tls(ChannelBindingPolicy::Require);
        let sasl = ScramServer::new("secret", &["SCRAM-SHA-256"]).first_request();
        for bytes in [CLEARTEXT, MD5, OK, sasl.as_slice()] {
            let result = run(require(), bytes);
            assert!(matches!(result, Err(StartupError::ChannelBinding { .. })), "{result:?}");
        }
        let both = ScramServer::new("secret", &["SCRAM-SHA-256-PLUS"]).first_request();
        let without_hash = StartupConfig { channel_binding_data: None, ..require() };
        let result = run(without_hash, &both);
        assert!(matches!(result, Err(StartupError::ChannelBinding { .. })), "{result:?}");
        let without_tls = StartupConfig { tls_active: false, ..require() };
        let result = Startup::new(without_tls);
        assert!(matches!(result, Err(StartupError::ChannelBinding { .. })), "{result:?}");
    }

    #[test]
    fn plus_offered_without_tls_is_refused() {
        let request = ScramServer::new("secret", &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
        let result = run(config(), &request.first_request());
        assert!(matches!(result, Err(StartupError::Protocol { .. })), "{result:?}");
    }

    #[test]
    fn require_auth_decides_before_the_password_leaves() {
        let sasl = ScramServer::new("secret", &["SCRAM-SHA-256"]).first_request();
        for (methods, bytes, allowed) in [
            ("password", CLEARTEXT, true),
            ("md5", CLEARTEXT, false),
            ("!password", CLEARTEXT, false),
            ("md5", MD5, true),
            ("scram-sha-256", MD5, false),
            ("scram-sha-256", sasl.as_slice(), true),
            ("!scram-sha-256", sasl.as_slice(), false),
            ("none", OK, true),
            ("!none", OK, false),
            ("scram-sha-256", OK, false),
        ] {
            match run(requiring(methods), bytes) {
                Ok(_) => assert!(allowed, "{methods}"),
                Err(StartupError::RequireAuth { allowed: text, .. }) => {
                    assert!(!allowed, "{methods}");
                    assert_eq!(text, methods);
                }
                Err(other) => panic!("{methods}: {other:?}"),
            }
        }
    }

    #[test]
    fn missing_and_empty_passwords_are_told_apart_from_wrong_ones() {
        let sasl = ScramServer::new("secret", &["SCRAM-SHA-256"]).first_request();
        for password in [None, Some(Vec::new())] {
            for bytes in [CLEARTEXT, MD5, sasl.as_slice()] {
                let config = StartupConfig { password: password.clone(), ..config() };
                let result = run(config, bytes);
                assert!(matches!(result, Err(StartupError::NeedPassword { .. })), "{result:?}");
            }
        }
    }

    #[test]
    fn methods_that_are_not_supported_are_named() {
        for (body, name) in [
            (b"\0\0\0\x02".as_slice(), "Kerberos V5"),
            (b"\0\0\0\x06", "SCM credentials"),
            (b"\0\0\0\x07", "GSSAPI"),
            (b"\0\0\0\x09", "SSPI"),
            (b"\0\0\0\x0aOAUTHBEARER\0\0", "SASL OAUTHBEARER"),
            (b"\0\0\0\x63", "number 99"),
        ] {
            let result = run(config(), &frame(b'R', body));
            let Err(StartupError::Unsupported { method }) = result else { panic!("{result:?}") };
            assert_eq!(method, name);
        }
    }

    #[test]
    fn second_request_for_a_password_is_refused() {
        for second in [CLEARTEXT, MD5] {
            let result = run(config(), &[CLEARTEXT, second].concat());
            assert!(matches!(result, Err(StartupError::Protocol { .. })), "{result:?}");
        }
    }

    #[test]
    fn sasl_messages_out_of_turn_are_refused() {
        for body in [b"\0\0\0\x0br=x".as_slice(), b"\0\0\0\x0cv=x"] {
            let result = run(config(), &frame(b'R', body));
            assert!(matches!(result, Err(StartupError::Protocol { .. })), "{result:?}");
        }
    }

    #[test]
    fn malformed_challenges_are_refused() {
        let request = ScramServer::new("secret", &["SCRAM-SHA-256"]).first_request();
        for challenge in ["", "r=", "x", "r=other,s=c2FsdA==,i=4096", "\u{e9}"] {
            let body = [b"\0\0\0\x0b".as_slice(), challenge.as_bytes()].concat();
            let bytes = [request.as_slice(), &frame(b'R', &body)].concat();
            let result = run(config(), &bytes);
            assert!(matches!(result, Err(StartupError::Scram { .. })), "{result:?}");
        }
    }

    #[test]
    fn challenge_that_costs_too_much_is_refused_with_both_numbers() {
        let request = ScramServer::new("secret", &["SCRAM-SHA-256"]).first_request();
        for (count, named) in [(100_000, false), (100_001, true), (u64::from(u32::MAX), true)] {
            let challenge = format!("r=other,s=c2FsdA==,i={count}");
            let body = [b"\0\0\0\x0b".as_slice(), challenge.as_bytes()].concat();
            let bytes = [request.as_slice(), &frame(b'R', &body)].concat();
            let Err(StartupError::Scram { reason }) = run(config(), &bytes) else {
                panic!("accepted")
            };
            let names_both = reason.contains(&count.to_string()) && reason.contains("100000");
            assert_eq!(names_both, named, "{reason}");
        }
    }

    #[test]
    fn notices_and_protocol_negotiation_do_not_disturb() {
        let notice = frame(b'N', b"SWARNING\0VWARNING\0C01000\0Mcollation\0\0");
        let negotiate = frame(b'v', b"\0\x03\0\0\0\0\0\0");
        let bytes = [&notice, negotiate.as_slice(), OK, &notice, READY].concat();
        let run = run(config(), &bytes).unwrap();
        assert_eq!(run.notices.len(), 2);
        let done = run.done.unwrap();
        // Some poolers send no BackendKeyData.
        assert_eq!((done.process_id, done.secret_key.len()), (0, 0));
    }

    #[test]
    fn messages_out_of_place_are_refused() {
        let status = frame(b'S', b"TimeZone\0UTC\0");
        for bytes in [
            READY.to_vec(),
            status,
            frame(b'T', b"\0\0"),
            frame(b'?', b""),
            [OK, OK].concat(),
            [OK, frame(b'D', b"\0\0").as_slice()].concat(),
            [OK, READY, READY].concat(),
        ] {
            let result = run(config(), &bytes);
            assert!(matches!(result, Err(StartupError::Decode(_))), "{result:?}");
        }
    }

    #[test]
    fn machine_ends_with_its_first_error() {
        let (mut startup, _) = Startup::new(config()).unwrap();
        assert!(startup.handle_frame(b'Z', b"I").is_err());
        assert!(startup.handle_frame(b'R', b"\0\0\0\0").is_err());
    }

    #[test]
    fn limits_widen_only_when_authenticated() {
        let (mut startup, _) = Startup::new(config()).unwrap();
        assert_eq!(startup.limits(), Limits::Startup);
        startup.handle_frame(b'R', b"\0\0\0\x03").unwrap();
        assert_eq!(startup.limits(), Limits::Startup);
        startup.handle_frame(b'R', b"\0\0\0\0").unwrap();
        assert_eq!(startup.limits(), Limits::Session);
    }

    #[test]
    fn zero_bytes_in_names_are_refused() {
        for config in [
            StartupConfig { user: "a\0b".to_owned(), ..config() },
            StartupConfig { database: Some("a\0b".to_owned()), ..config() },
            StartupConfig { parameters: vec![("a\0".to_owned(), String::new())], ..config() },
        ] {
            assert!(matches!(Startup::new(config), Err(StartupError::Encode(_))));
        }
        let config = StartupConfig { password: Some(b"se\0cret".to_vec()), ..config() };
        assert!(matches!(run(config, CLEARTEXT), Err(StartupError::Encode(_))));
    }

    #[test]
    fn endless_parameter_status_does_not_grow_memory() {
        let mut bytes = OK.to_vec();
        for n in 0..1000 {
            bytes.extend(frame(b'S', format!("name{n}\0value\0").as_bytes()));
        }
        // A name that is already there still follows the server.
        bytes.extend(frame(b'S', b"name0\0changed\0"));
        bytes.extend_from_slice(READY);
        let done = run(config(), &bytes).unwrap().done.unwrap();
        assert_eq!(done.parameters.iter().count(), 256);
        assert_eq!(done.parameters.get("name0"), Some("changed"));
    }

    #[test]
    fn debug_output_and_errors_hold_no_secret() {
        let config = StartupConfig {
            password: Some(b"CANARY".to_vec()),
            channel_binding_data: Some(b"CANARY".to_vec()),
            ..config()
        };
        assert!(!format!("{config:?}").contains("CANARY"));
        assert!(!format!("{config:?}").contains("67, 65"));
        let (startup, _) = Startup::new(config.clone()).unwrap();
        assert!(!format!("{startup:?}").contains("CANARY"));
        let error = run(config, b"R\0\0\0\x08\0\0\0\x07").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("CANARY"));
    }

    #[test]
    fn answer_to_ssl_request_is_one_of_two_letters() {
        assert_eq!(ssl_answer(b'S'), Ok(true));
        assert_eq!(ssl_answer(b'N'), Ok(false));
        for byte in [b'E', b's', 0, 0xff] {
            assert!(ssl_answer(byte).is_err());
        }
    }
}
