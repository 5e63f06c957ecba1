//! Names of database objects and the only place where they are quoted.

use std::fmt;

/// A schema-qualified name, unquoted, exactly as the catalog holds it.
#[derive(
    Debug,
    Clone,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct QualifiedName {
    /// Schema, as in `pg_namespace.nspname`.
    pub schema: String,
    /// Object, as in `pg_class.relname`.
    pub name: String,
}

impl QualifiedName {
    /// A name from its two parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// The name for SQL text, both parts always quoted.
    pub fn sql(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }
}

/// Displays the name for people: quoted only where SQL would need it.
impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", display_identifier(&self.schema), display_identifier(&self.name))
    }
}

/// Quotes an identifier for SQL text, always with double quotes.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a literal for SQL text. Backslashes force the `E''` form, so the result means the same
/// under either value of `standard_conforming_strings`.
pub fn quote_literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// Text form of a one-dimensional array, for a bound parameter: every element quoted, so that any
/// name is safe and the word `NULL` stays a word.
pub fn array_literal<'a>(elements: impl IntoIterator<Item = &'a str>) -> String {
    let mut literal = String::from("{");
    for (index, element) in elements.into_iter().enumerate() {
        literal.push_str(if index == 0 { "\"" } else { ",\"" });
        for character in element.chars() {
            if matches!(character, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(character);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

/// Quotes an identifier only when it is not a plain lower-case word. For messages, not for SQL:
/// keywords are left bare.
fn display_identifier(name: &str) -> String {
    let plain = name.bytes().enumerate().all(|(index, byte)| match byte {
        b'a'..=b'z' | b'_' => true,
        b'0'..=b'9' | b'$' => index > 0,
        _ => false,
    });
    if plain && !name.is_empty() { name.to_owned() } else { quote_identifier(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_names_are_doubled() {
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(QualifiedName::new("Foo\".Bar", "x").sql(), "\"Foo\"\".Bar\".\"x\"");
    }

    #[test]
    fn literals_survive_backslashes_and_quotes() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
    }

    #[test]
    fn array_elements_may_hold_anything() {
        assert_eq!(array_literal([]), "{}");
        assert_eq!(array_literal(["a", "NULL", ""]), r#"{"a","NULL",""}"#);
        assert_eq!(array_literal(["q\"b\\c", "x,y}"]), r#"{"q\"b\\c","x,y}"}"#);
    }

    #[test]
    fn display_quotes_only_what_needs_it() {
        assert_eq!(QualifiedName::new("public", "orders_2").to_string(), "public.orders_2");
        assert_eq!(QualifiedName::new("public", "Orders").to_string(), "public.\"Orders\"");
        assert_eq!(QualifiedName::new("1a", "").to_string(), "\"1a\".\"\"");
    }
}
