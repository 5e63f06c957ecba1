//! The keywords of connection strings: one row each, with variable, default and what we do with it.
//!
//! To add one: a row here, a line in [`super::resolve`] that reads it, a line in [`super::redact`]
//! that writes it.

/// One keyword.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keyword {
    /// The name, as libpq spells it.
    pub(super) name: &'static str,
    /// The environment variable that stands in for it.
    pub(super) variable: Option<&'static str>,
    /// What happens with a value.
    pub(super) support: Support,
}

/// What happens with a keyword's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// It does what libpq's documentation says.
    Implemented,
    /// It is accepted and has no effect, for the reason given.
    Ignored(&'static str),
    /// Only the listed values are accepted, and have no effect; any other is refused with the
    /// reason given, a noun phrase that says what is missing.
    Refused {
        /// Values that ask for nothing we lack.
        harmless: &'static [&'static str],
        /// What we lack.
        reason: &'static str,
    },
}

/// A row of an implemented keyword.
const fn implemented(name: &'static str, variable: Option<&'static str>) -> Keyword {
    Keyword { name, variable, support: Support::Implemented }
}

/// A row of an ignored keyword.
const fn ignored(name: &'static str, variable: Option<&'static str>, why: &'static str) -> Keyword {
    Keyword { name, variable, support: Support::Ignored(why) }
}

/// A row of a refused keyword.
const fn refused(
    name: &'static str,
    variable: Option<&'static str>,
    harmless: &'static [&'static str],
    reason: &'static str,
) -> Keyword {
    Keyword { name, variable, support: Support::Refused { harmless, reason } }
}

/// Why the GSSAPI keywords that only tune it are ignored.
const NO_GSS: &str = "GSSAPI is not used";
/// Why the OAuth keywords are refused.
const NO_OAUTH: &str = "OAuth authentication is not supported";
/// Why revocation lists are refused.
const NO_CRL: &str = "certificate revocation lists are not supported";
/// Why SCRAM keys are refused.
const NO_SCRAM_KEY: &str = "SCRAM pass-through keys are not supported; give the password";

/// Every keyword of libpq 18 and the retired ones it still accepts.
///
/// Source: <https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS>,
/// <https://www.postgresql.org/docs/18/libpq-envars.html>.
pub(super) static KEYWORDS: &[Keyword] = &[
    implemented("host", Some("PGHOST")),
    implemented("hostaddr", Some("PGHOSTADDR")),
    implemented("port", Some("PGPORT")),
    implemented("dbname", Some("PGDATABASE")),
    implemented("user", Some("PGUSER")),
    implemented("password", Some("PGPASSWORD")),
    implemented("passfile", Some("PGPASSFILE")),
    implemented("service", Some("PGSERVICE")),
    implemented("servicefile", Some("PGSERVICEFILE")),
    implemented("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    implemented("application_name", Some("PGAPPNAME")),
    implemented("fallback_application_name", None),
    implemented("options", Some("PGOPTIONS")),
    implemented("keepalives", None),
    implemented("keepalives_idle", None),
    implemented("keepalives_interval", None),
    implemented("keepalives_count", None),
    implemented("tcp_user_timeout", None),
    implemented("sslmode", Some("PGSSLMODE")),
    implemented("sslnegotiation", Some("PGSSLNEGOTIATION")),
    implemented("sslrootcert", Some("PGSSLROOTCERT")),
    implemented("sslcert", Some("PGSSLCERT")),
    implemented("sslkey", Some("PGSSLKEY")),
    implemented("sslcertmode", Some("PGSSLCERTMODE")),
    implemented("sslsni", Some("PGSSLSNI")),
    implemented("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    implemented("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION")),
    implemented("channel_binding", Some("PGCHANNELBINDING")),
    implemented("require_auth", Some("PGREQUIREAUTH")),
    implemented("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    implemented("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    ignored(
        "client_encoding",
        Some("PGCLIENTENCODING"),
        "the encoding of a session is ours to choose",
    ),
    ignored("replication", None, "replication sessions are opened where they are needed"),
    ignored("sslcompression", Some("PGSSLCOMPRESSION"), "TLS compression is insecure"),
    ignored("sslpassword", None, "it is only needed for encrypted keys, which are refused"),
    ignored("authtype", None, "retired"),
    ignored("tty", None, "retired"),
    ignored("krbsrvname", Some("PGKRBSRVNAME"), NO_GSS),
    ignored("gsslib", Some("PGGSSLIB"), NO_GSS),
    ignored("gssdelegation", Some("PGGSSDELEGATION"), NO_GSS),
    ignored("max_protocol_version", Some("PGMAXPROTOCOLVERSION"), "protocol 3.0 is spoken"),
    refused(
        "min_protocol_version",
        Some("PGMINPROTOCOLVERSION"),
        &["", "3.0"],
        "only protocol 3.0 is supported",
    ),
    refused(
        "gssencmode",
        Some("PGGSSENCMODE"),
        &["disable", "prefer"],
        "GSSAPI encryption is not supported; use disable or prefer",
    ),
    refused("sslcrl", Some("PGSSLCRL"), &[""], NO_CRL),
    refused("sslcrldir", Some("PGSSLCRLDIR"), &[""], NO_CRL),
    refused("sslkeylogfile", None, &[""], "logging TLS keys is not supported"),
    // Checked against the hosts in `resolve`: on TCP it has no meaning.
    implemented("requirepeer", Some("PGREQUIREPEER")),
    refused("scram_client_key", None, &[""], NO_SCRAM_KEY),
    refused("scram_server_key", None, &[""], NO_SCRAM_KEY),
    refused("oauth_issuer", None, &[""], NO_OAUTH),
    refused("oauth_client_id", None, &[""], NO_OAUTH),
    refused("oauth_client_secret", None, &[""], NO_OAUTH),
    refused("oauth_scope", None, &[""], NO_OAUTH),
];

/// The row of a keyword.
pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// A known keyword that differs from `name` in at most two letters.
pub(super) fn similar(name: &str) -> Option<&'static str> {
    /// Words much longer than any keyword need no comparison.
    const LENGTH_MAX: usize = 32;
    if name.len() > LENGTH_MAX {
        return None;
    }
    KEYWORDS
        .iter()
        .map(|keyword| (distance(name, keyword.name), keyword.name))
        .filter(|(distance, known)| *distance <= 2 && *distance * 2 < known.len())
        .min()
        .map(|(_, known)| known)
}

/// Number of single-character edits between two short words (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substitute = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_variables_are_unique() {
        let mut names: Vec<_> = KEYWORDS.iter().map(|keyword| keyword.name).collect();
        let mut variables: Vec<_> =
            KEYWORDS.iter().filter_map(|keyword| keyword.variable).collect();
        let (name_count, variable_count) = (names.len(), variables.len());
        names.sort_unstable();
        names.dedup();
        variables.sort_unstable();
        variables.dedup();
        assert_eq!((names.len(), variables.len()), (name_count, variable_count));
    }

    #[test]
    fn near_misses_are_suggested() {
        let cases = [
            ("sslmod", Some("sslmode")),
            ("Host", Some("host")),
            ("username", None),
            ("dbnmae", Some("dbname")),
            ("", None),
            ("s3cret", None),
        ];
        for (given, expected) in cases {
            assert_eq!(similar(given), expected, "{given}");
        }
    }
}
