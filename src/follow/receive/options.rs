//! Options of the output plugins.

use proto::replication::command::publication_names;

use crate::base::error::{Error, Result};
use crate::base::ident::QualifiedName;
use crate::config::Plugin;

/// First version whose pgoutput streams transactions in progress.
const VERSION_STREAMING: u32 = 140_000;

/// First version whose pgoutput tells changes apart by their origin.
const VERSION_ORIGIN: u32 = 160_000;

/// What the plugin is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginOptions {
    /// Publications (pgoutput).
    pub publications: Vec<String>,
    /// Only what was first written on the source itself (pgoutput, from version 16): for the way back
    /// while the way there still drains (C-43). Otherwise what it received from elsewhere too (C-44).
    pub local_only: bool,
    /// Numbers as strings (wal2json): keeps every digit where its numbers would be read as floats.
    pub numeric_as_string: bool,
    /// Only these tables (wal2json); `None`: all.
    pub tables: Option<Vec<QualifiedName>>,
}

impl PluginOptions {
    /// `proto_version` of pgoutput for a server: the oldest that has what we use.
    pub fn protocol_version(&self, plugin: Plugin, version: u32) -> u8 {
        match plugin {
            Plugin::Pgoutput if version >= VERSION_STREAMING => 2,
            Plugin::Pgoutput => 1,
            Plugin::Wal2json | Plugin::TestDecoding => 0,
        }
    }

    /// The options for START_REPLICATION: names and values, not yet quoted.
    ///
    /// # Errors
    /// `Config` for a publication whose name cannot be sent.
    pub(super) fn list(&self, plugin: Plugin, version: u32) -> Result<Vec<(&'static str, String)>> {
        let on = || "on".to_owned();
        let mut options = Vec::new();
        match plugin {
            Plugin::Pgoutput => {
                let names = publication_names(&self.publications)
                    .map_err(|error| Error::config(format!("publication: {error}")))?;
                options.push(("proto_version", self.protocol_version(plugin, version).to_string()));
                options.push(("publication_names", names));
                if version >= VERSION_STREAMING {
                    options.push(("streaming", on()));
                }
                if self.local_only && version >= VERSION_ORIGIN {
                    options.push(("origin", "none".to_owned()));
                }
            }
            Plugin::Wal2json => {
                options.push(("format-version", "2".to_owned()));
                for name in [
                    "include-xids",
                    "include-timestamp",
                    "include-lsn",
                    "include-types",
                    "include-schemas",
                    "include-transaction",
                ] {
                    options.push((name, on()));
                }
                options.push(("filter-tables", "pgcopydb.*".to_owned()));
                if let Some(tables) = &self.tables {
                    options.push(("add-tables", wal2json_tables(tables)));
                }
                if self.numeric_as_string {
                    options.push(("numeric-data-types-as-string", on()));
                }
            }
            Plugin::TestDecoding => {
                options.push(("include-xids", on()));
                options.push(("include-timestamp", on()));
                options.push(("skip-empty-xacts", on()));
            }
        }
        Ok(options)
    }
}

/// A list of tables in the syntax of wal2json: `schema.table`, comma between, special characters behind
/// a backslash. Not even an empty list means all: a name that no table has stands for none.
fn wal2json_tables(tables: &[QualifiedName]) -> String {
    if tables.is_empty() {
        return "pgcopydb.no\\ table".to_owned();
    }
    let name = |table: &QualifiedName| {
        format!("{}.{}", wal2json_name(&table.schema), wal2json_name(&table.name))
    };
    tables.iter().map(name).collect::<Vec<_>>().join(",")
}

/// A name in the syntax of wal2json.
fn wal2json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, ' ' | '\'' | ',' | '.' | '*' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(options: &[(&'static str, String)], name: &str) -> Option<String> {
        options.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn an_old_server_is_asked_for_nothing_it_does_not_know() {
        let options = PluginOptions {
            publications: vec!["p".into(), "a\"b".into()],
            local_only: true,
            ..PluginOptions::default()
        };
        let old = options.list(Plugin::Pgoutput, 130_000).unwrap();
        let names: Vec<_> = old.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["proto_version", "publication_names"]);
        assert_eq!(value(&old, "proto_version").unwrap(), "1");
        assert_eq!(value(&old, "publication_names").unwrap(), "\"p\",\"a\"\"b\"");
        let new = options.list(Plugin::Pgoutput, 160_000).unwrap();
        for (name, expected) in [("proto_version", "2"), ("streaming", "on"), ("origin", "none")] {
            assert_eq!(value(&new, name).as_deref(), Some(expected), "{name}");
        }
        // Values come as text: decision 0015.
        assert_eq!(value(&new, "binary"), None);
    }

    #[test]
    fn tables_of_wal2json_are_escaped_and_none_is_not_all() {
        let table = QualifiedName::new("my schema", "a,b.c*'\\");
        let options = PluginOptions { tables: Some(vec![table]), ..PluginOptions::default() };
        let list = options.list(Plugin::Wal2json, 150_000).unwrap();
        let expected = "my\\ schema.a\\,b\\.c\\*\\'\\\\";
        assert_eq!(value(&list, "add-tables").as_deref(), Some(expected));
        let options = PluginOptions { tables: Some(Vec::new()), ..PluginOptions::default() };
        assert!(value(&options.list(Plugin::Wal2json, 150_000).unwrap(), "add-tables").is_some());
        let all = PluginOptions::default().list(Plugin::Wal2json, 150_000).unwrap();
        assert_eq!(value(&all, "add-tables"), None);
    }
}
