//! Keywords and their values, gathered in order of precedence: connection string, service, environment.

use std::collections::BTreeMap;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::{ConnInfoError, Origin, position};
use super::key_value::{self, Pair};
use super::keyword::{self, KEYWORDS, Support};
use super::{Secret, service, uri};

/// A value and where it came from.
#[derive(Debug)]
struct Setting {
    value: Secret,
    origin: Origin,
}

/// All values given, by keyword.
#[derive(Debug, Default)]
pub(super) struct Settings(BTreeMap<&'static str, Setting>);

impl Settings {
    /// Gathers what the connection string, its service and the environment give.
    ///
    /// # Errors
    /// See [`ConnInfoError`]; values are not looked at here, except those of refused keywords.
    pub(super) fn gather(text: &str, environment: &Environment) -> Result<Self, ConnInfoError> {
        let mut settings = Self::default();
        settings.add_text(text)?;
        settings.add_service(environment)?;
        settings.add_environment(environment);
        settings.check_support()?;
        Ok(settings)
    }

    /// Adds what a connection string gives; later keywords replace earlier ones.
    ///
    /// A `dbname` that is itself a connection string is expanded in place, once: what it gives counts
    /// as if it stood there. Only a value that is one beyond doubt (a URI, or pairs of known
    /// keywords) is taken for one, so that a database may have `=` in its name.
    fn add_text(&mut self, text: &str) -> Result<(), ConnInfoError> {
        if uri::is_uri(text) {
            return self.add_pairs(text, uri::parse(text)?);
        }
        for pair in key_value::parse(text)? {
            let nested = if pair.keyword == "dbname" { nested_pairs(&pair.value) } else { None };
            match nested {
                Some(nested) => self.add_pairs(text, nested)?,
                None => self.add_pairs(text, vec![pair])?,
            }
        }
        Ok(())
    }

    /// Adds pairs of the connection string.
    fn add_pairs(&mut self, text: &str, pairs: Vec<Pair>) -> Result<(), ConnInfoError> {
        for pair in pairs {
            let pair = without_requiressl(pair);
            let Some(keyword) = keyword::find(&pair.keyword) else {
                return Err(ConnInfoError::UnknownKeyword {
                    position: position(text, pair.offset),
                    similar: keyword::similar(&pair.keyword),
                });
            };
            let value = Secret::new(pair.value.as_str());
            self.0.insert(keyword.name, Setting { value, origin: Origin::Text });
        }
        Ok(())
    }

    /// Adds what the service gives that the connection string does not.
    fn add_service(&mut self, environment: &Environment) -> Result<(), ConnInfoError> {
        let name = match self.0.get("service") {
            Some(setting) => setting.value.expose(),
            None => environment.variable("PGSERVICE").unwrap_or_default(),
        };
        if name.is_empty() {
            return Ok(());
        }
        let file = self.0.get("servicefile").map(|setting| setting.value.expose());
        let service = service::load(name, file, environment)?;
        for (keyword, value) in service.settings {
            self.0.entry(keyword.name).or_insert_with(|| Setting {
                value: Secret::new(value.as_str()),
                origin: Origin::Service(service.file.clone()),
            });
        }
        Ok(())
    }

    /// Adds what the environment gives that nothing else does.
    fn add_environment(&mut self, environment: &Environment) {
        for keyword in KEYWORDS {
            let Some(name) = keyword.variable else { continue };
            if let Some(value) = environment.variable(name) {
                self.0.entry(keyword.name).or_insert_with(|| Setting {
                    value: Secret::new(value),
                    origin: Origin::Variable(name),
                });
            }
        }
        // The predecessor of PGSSLMODE, which libpq still reads.
        if environment.variable("PGREQUIRESSL").is_some_and(|value| value.starts_with('1')) {
            self.0.entry("sslmode").or_insert_with(|| Setting {
                value: Secret::new("require"),
                origin: Origin::Variable("PGREQUIRESSL"),
            });
        }
    }

    /// Refuses what we cannot do, mentions what has no effect.
    fn check_support(&self) -> Result<(), ConnInfoError> {
        for keyword in KEYWORDS {
            let Some(setting) = self.0.get(keyword.name) else { continue };
            match keyword.support {
                Support::Implemented => {}
                Support::Ignored(reason) => {
                    tracing::debug!(
                        keyword = keyword.name,
                        reason,
                        "connection option has no effect"
                    );
                }
                Support::Refused { harmless, reason } => {
                    if !harmless.contains(&setting.value.expose()) {
                        return Err(ConnInfoError::value(keyword.name, &setting.origin, reason));
                    }
                }
            }
        }
        Ok(())
    }

    /// A value, the empty one included.
    pub(super) fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(|setting| setting.value.expose())
    }

    /// A value that is not empty.
    pub(super) fn nonempty(&self, keyword: &str) -> Option<&str> {
        self.get(keyword).filter(|value| !value.is_empty())
    }

    /// Where a keyword's value came from.
    pub(super) fn origin(&self, keyword: &str) -> Origin {
        self.0.get(keyword).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// An error about a keyword's value.
    pub(super) fn error(&self, keyword: &'static str, problem: impl Into<String>) -> ConnInfoError {
        ConnInfoError::value(keyword, &self.origin(keyword), problem)
    }

    /// A value out of a list of words.
    pub(super) fn choice<T: Copy>(
        &self,
        keyword: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConnInfoError> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        match choices.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<_> =
                    choices.iter().map(|(word, _)| *word).filter(|w| !w.is_empty()).collect();
                Err(self.error(keyword, format!("expected one of {}", words.join(", "))))
            }
        }
    }

    /// A whole number; empty counts as not given.
    pub(super) fn integer(&self, keyword: &'static str) -> Result<Option<i64>, ConnInfoError> {
        let text = self.get(keyword).unwrap_or_default().trim();
        if text.is_empty() {
            return Ok(None);
        }
        match i32::from_str(text) {
            Ok(number) => Ok(Some(i64::from(number))),
            Err(_) => Err(self.error(keyword, "expected a whole number")),
        }
    }
}

/// The pairs of a `dbname` that is itself a connection string.
fn nested_pairs(value: &Zeroizing<String>) -> Option<Vec<Pair>> {
    let pairs = if uri::is_uri(value) {
        uri::parse(value).ok()?
    } else if value.contains('=') {
        key_value::parse(value).ok()?
    } else {
        return None;
    };
    let known =
        |pair: &Pair| pair.keyword == "requiressl" || keyword::find(&pair.keyword).is_some();
    pairs.iter().all(known).then_some(pairs)
}

/// Turns the retired `requiressl`, which libpq still reads, into its successor `sslmode`.
fn without_requiressl(pair: Pair) -> Pair {
    if pair.keyword != "requiressl" {
        return pair;
    }
    let mode = if pair.value.starts_with('1') { "require" } else { "prefer" };
    Pair { keyword: "sslmode".to_owned(), value: Zeroizing::new(mode.to_owned()), ..pair }
}
