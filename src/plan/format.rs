//! Binary or text, per table (K1).
//!
//! Binary when every column's type is proven portable: its wire form means the same on both servers.
//! What travels as an object identifier is not portable unless the identifier belongs to the server
//! itself; what travels as a label or as components is.
//!
//! A table whose rows exceed 1 GB in text form cannot be told from the catalog; where the format is
//! binary, that limit does not bite (V-14).

use std::collections::{BTreeMap, HashMap};

use super::options::PlanOptions;
use super::table::Format;
use crate::catalog::model::{
    Column, Oid, ServerFacts, SourceCatalog, TargetFacts, TypeInfo, TypeKind,
};
use crate::config::clone::CopyFormat;

/// Deepest nesting of types that is followed.
///
/// Real schemas nest a domain over a domain over an array; 32 is far beyond, and only a broken catalog
/// has cycles through domains or ranges.
const TYPE_DEPTH_MAX: u32 = 32;

/// `xml`: its binary form carries an encoding declaration when the client encoding is not UTF-8.
const XML: Oid = 142;

/// Built-in types whose binary form is the identifier of an object, which on the target is another
/// object or none (V-3): regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig,
/// regdictionary, regnamespace, regrole, regcollation, regdatabase.
///
/// Source: src/include/catalog/pg_type.dat.
const REG_TYPES: [Oid; 12] = [24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, 8326];

/// Built-in types that have a receive function which refuses every value (V-5): pg_node_tree,
/// pg_ndistinct, pg_dependencies, pg_mcv_list, pg_brin_bloom_summary, pg_brin_minmax_multi_summary;
/// gtsvector and aclitem have none.
///
/// Source: src/include/catalog/pg_type.dat and the functions' bodies.
const REFUSING_TYPES: [Oid; 8] = [194, 3361, 3402, 5017, 4600, 4601, 3642, 1033];

/// Built-in types whose empty value the server sends in binary form and refuses to receive: int2vector,
/// oidvector, tsquery ("invalid int2vector data", "malformed tsquery: operand not found", seen on 15.20,
/// 16.14 and 18.4).
const REFUSING_EMPTY_TYPES: [Oid; 3] = [22, 30, 3615];

/// Why a type is not portable, with the type it was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NotPortable {
    type_name: String,
    why: Why,
}

/// Why a type is not portable.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// Not in the catalog that was read.
    Unknown,
    /// No send or receive function.
    NoBinaryForm,
    /// The binary form is an object's identifier.
    ObjectReference,
    /// An array's or a composite's binary form carries its members' type identifiers.
    TypeIdentifiers,
    /// A base type that is neither built in nor of an extension.
    UserBaseType,
    /// The extension that brings it has another version on the target.
    ExtensionVersion { extension: String, source: String, target: Option<String> },
    /// `xml` in a database that is not UTF-8.
    XmlEncoding,
    /// Nested deeper than [`TYPE_DEPTH_MAX`].
    TooDeep,
}

impl std::fmt::Display for NotPortable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.type_name;
        match &self.why {
            Why::Unknown => write!(f, "type {name} is not in the catalog"),
            Why::NoBinaryForm => write!(f, "type {name} has no usable binary form"),
            Why::ObjectReference => {
                write!(f, "the binary form of {name} is an object identifier of the source")
            }
            Why::TypeIdentifiers => {
                write!(f, "the binary form of {name} carries type identifiers of the source")
            }
            Why::UserBaseType => write!(f, "base type {name} belongs to no extension"),
            Why::ExtensionVersion { extension, source, target } => {
                write!(
                    f,
                    "type {name} belongs to extension {extension}, version {source} on the "
                )?;
                match target {
                    Some(target) => write!(f, "source and {target} on the target"),
                    None => f.write_str("source and unknown on the target"),
                }
            }
            Why::XmlEncoding => write!(f, "type {name} in a database whose encoding is not UTF8"),
            Why::TooDeep => write!(f, "type {name} is nested deeper than {TYPE_DEPTH_MAX} levels"),
        }
    }
}

/// Chooses formats; remembers what it found out about each type.
pub struct FormatChooser<'a> {
    types: &'a BTreeMap<Oid, TypeInfo>,
    extensions: HashMap<&'a str, &'a str>,
    wanted: CopyFormat,
    /// Both servers have 64-bit integer timestamps; binary is forbidden otherwise (V-32).
    integer_datetimes: bool,
    utf8: bool,
    known: HashMap<Oid, Result<(), NotPortable>>,
}

/// A chosen format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The format.
    pub format: Format,
    /// Why text, when text was not asked for.
    pub reason: Option<String>,
}

impl<'a> FormatChooser<'a> {
    /// A chooser for one source and one target.
    pub fn new(
        catalog: &'a SourceCatalog,
        target: &'a TargetFacts,
        options: &'a PlanOptions,
    ) -> Self {
        let pairs = |list: &'a [(String, String)]| {
            list.iter().map(|(name, version)| (name.as_str(), version.as_str()))
        };
        // What is installed wins over what the user pins, and that over what would be installed.
        let mut extensions: HashMap<_, _> = pairs(&target.available_extensions).collect();
        extensions.extend(options.extension_versions.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        extensions.extend(pairs(&target.extensions));
        Self {
            types: &catalog.types,
            extensions,
            wanted: options.copy_format,
            integer_datetimes: has_integer_datetimes(&catalog.server)
                && has_integer_datetimes(&target.server),
            utf8: catalog.server.encoding.eq_ignore_ascii_case("UTF8"),
            known: HashMap::new(),
        }
    }

    /// The format for a table that sends these columns; the reason names the first column that forced
    /// text. Under `--copy-format binary` the caller turns a reason into an error.
    pub fn choose<'c>(&mut self, columns: impl Iterator<Item = &'c Column>) -> Choice {
        if self.wanted == CopyFormat::Text {
            return Choice { format: Format::Text, reason: None };
        }
        let text = |reason| Choice { format: Format::Text, reason: Some(reason) };
        if !self.integer_datetimes {
            return text("a server was built with floating-point timestamps".to_owned());
        }
        for column in columns {
            if let Err(found) = self.portable(column.type_oid, &column.type_name, 0) {
                return text(format!("column \"{}\": {found}", column.name));
            }
        }
        Choice { format: Format::Binary, reason: None }
    }

    /// Whether the binary form of a type means the same on the target.
    fn portable(&mut self, oid: Oid, name: &str, depth: u32) -> Result<(), NotPortable> {
        if let Some(known) = self.known.get(&oid) {
            return known.clone();
        }
        let verdict = match self.types.get(&oid) {
            _ if depth > TYPE_DEPTH_MAX => Err(not_portable(name, Why::TooDeep)),
            None => Err(not_portable(name, Why::Unknown)),
            Some(found) => self.examine(found, depth),
        };
        // A verdict that hangs on the depth at which it was reached must not be remembered.
        if !matches!(verdict, Err(NotPortable { why: Why::TooDeep, .. })) {
            self.known.insert(oid, verdict.clone());
        }
        verdict
    }

    /// The rule for one type.
    fn examine(&mut self, found: &'a TypeInfo, depth: u32) -> Result<(), NotPortable> {
        let fail = |why| Err(not_portable(&found.name, why));
        match found.kind {
            TypeKind::Base => self.examine_base(found),
            // The values travel as their labels.
            TypeKind::Enum if found.binary_io => Ok(()),
            // A domain travels as its base type; a range as its bounds; a multirange as its ranges.
            TypeKind::Domain(of) | TypeKind::Range(of) | TypeKind::Multirange(of) => {
                self.portable(of, &found.name, depth + 1)?;
                if found.binary_io { Ok(()) } else { fail(Why::NoBinaryForm) }
            }
            // An array carries the identifier of its element type and refuses another one.
            TypeKind::Array(of) => {
                let built_in = self.types.get(&of).is_some_and(|element| element.built_in);
                if !built_in {
                    return fail(Why::TypeIdentifiers);
                }
                self.portable(of, &found.name, depth + 1)?;
                if found.binary_io { Ok(()) } else { fail(Why::NoBinaryForm) }
            }
            // A composite carries the identifiers of its attributes' types.
            TypeKind::Composite(_) => fail(Why::TypeIdentifiers),
            TypeKind::Enum | TypeKind::Other => fail(Why::NoBinaryForm),
        }
    }

    /// The rule for a base type.
    fn examine_base(&self, found: &TypeInfo) -> Result<(), NotPortable> {
        let fail = |why| Err(not_portable(&found.name, why));
        if found.built_in && REG_TYPES.contains(&found.oid) {
            return fail(Why::ObjectReference);
        }
        let refusing =
            REFUSING_TYPES.contains(&found.oid) || REFUSING_EMPTY_TYPES.contains(&found.oid);
        if !found.binary_io || (found.built_in && refusing) {
            return fail(Why::NoBinaryForm);
        }
        if found.oid == XML && !self.utf8 {
            return fail(Why::XmlEncoding);
        }
        match &found.extension {
            _ if found.built_in => Ok(()),
            None => fail(Why::UserBaseType),
            Some((extension, source)) => {
                let target = self.extensions.get(extension.as_str()).copied();
                if target == Some(source.as_str()) {
                    return Ok(());
                }
                fail(Why::ExtensionVersion {
                    extension: extension.clone(),
                    source: source.clone(),
                    target: target.map(str::to_owned),
                })
            }
        }
    }
}

/// A verdict with the name of the type it is about.
fn not_portable(type_name: &str, why: Why) -> NotPortable {
    NotPortable { type_name: type_name.to_owned(), why }
}

/// Timestamps are 64-bit integers: by option before version 10, always since.
fn has_integer_datetimes(server: &ServerFacts) -> bool {
    server.integer_datetimes || server.major() >= 10
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
