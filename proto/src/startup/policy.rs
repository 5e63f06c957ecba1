//! What the user demands of authentication: `channel_binding` and `require_auth`.

use std::fmt;
use std::str::FromStr;

/// Connection option `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBindingPolicy {
    /// Never.
    Disable,
    /// When the server offers it and the certificate allows it.
    #[default]
    Prefer,
    /// Refuse to authenticate without.
    Require,
}

/// A way in which a server authenticates a client, in the words of `require_auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthMethod {
    /// `none`: the server asked for nothing (trust, peer, certificate).
    None,
    /// `password`: in clear.
    Password,
    /// `md5`.
    Md5,
    /// `scram-sha-256`, with or without channel binding.
    ScramSha256,
    /// `gss`.
    Gss,
    /// `sspi`.
    Sspi,
    /// `oauth`, from version 18 on.
    Oauth,
}

impl AuthMethod {
    /// Every method.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Password,
        Self::Md5,
        Self::ScramSha256,
        Self::Gss,
        Self::Sspi,
        Self::Oauth,
    ];

    /// The word in `require_auth`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password => "password",
            Self::Md5 => "md5",
            Self::ScramSha256 => "scram-sha-256",
            Self::Gss => "gss",
            Self::Sspi => "sspi",
            Self::Oauth => "oauth",
        }
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Connection option `require_auth`: which methods are acceptable.
///
/// *Text*: words separated by commas, either all plain (only these) or all with `!` (all but
/// these). The default, and the empty text, accept everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequireAuth {
    allowed: Vec<AuthMethod>,
    text: String,
}

impl RequireAuth {
    /// Whether `method` is acceptable.
    #[must_use]
    pub fn allows(&self, method: AuthMethod) -> bool {
        self.allowed.contains(&method)
    }

    /// The text it was made from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Default for RequireAuth {
    /// Everything is acceptable.
    fn default() -> Self {
        Self { allowed: AuthMethod::ALL.to_vec(), text: String::new() }
    }
}

impl FromStr for RequireAuth {
    type Err = ParseRequireAuthError;

    fn from_str(text: &str) -> Result<Self, ParseRequireAuthError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let error = |word: &str, reason| ParseRequireAuthError { word: word.to_owned(), reason };
        let negated = text.starts_with('!');
        let mut named = Vec::new();
        for item in text.split(',') {
            let word = match (item.strip_prefix('!'), negated) {
                (Some(word), true) => word,
                (None, false) => item,
                _ => return Err(error(item, "cannot be mixed with the other kind")),
            };
            let method = AuthMethod::ALL
                .into_iter()
                .find(|method| method.word() == word)
                .ok_or_else(|| error(item, "is not a known method"))?;
            if named.contains(&method) {
                return Err(error(item, "is there twice"));
            }
            named.push(method);
        }
        let allowed = AuthMethod::ALL
            .into_iter()
            .filter(|method| named.contains(method) != negated)
            .collect();
        Ok(Self { allowed, text: text.to_owned() })
    }
}

/// The text of `require_auth` is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseRequireAuthError {
    /// The word at fault.
    pub word: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for ParseRequireAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "require_auth method \"{}\" {}", self.word, self.reason)
    }
}

impl std::error::Error for ParseRequireAuthError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> Vec<&'static str> {
        let policy: RequireAuth = text.parse().unwrap();
        AuthMethod::ALL
            .into_iter()
            .filter(|method| policy.allows(*method))
            .map(AuthMethod::word)
            .collect()
    }

    #[test]
    fn plain_words_allow_only_themselves() {
        assert_eq!(allowed("scram-sha-256"), ["scram-sha-256"]);
        assert_eq!(allowed("md5,none"), ["none", "md5"]);
    }

    #[test]
    fn negated_words_allow_everything_else() {
        assert_eq!(allowed("!password,!md5"), ["none", "scram-sha-256", "gss", "sspi", "oauth"]);
    }

    #[test]
    fn empty_text_allows_everything() {
        assert_eq!(allowed("").len(), AuthMethod::ALL.len());
        assert_eq!("".parse(), Ok(RequireAuth::default()));
    }

    #[test]
    fn mixed_unknown_repeated_and_empty_words_are_refused() {
        for (text, word) in [
            ("md5,!password", "!password"),
            ("!md5,password", "password"),
            ("scram", "scram"),
            ("md5,md5", "md5"),
            ("md5,", ""),
            ("!", "!"),
            ("MD5", "MD5"),
            ("md5, none", " none"),
        ] {
            let error = text.parse::<RequireAuth>().unwrap_err();
            assert_eq!(error.word, word, "{text}");
        }
    }
}
