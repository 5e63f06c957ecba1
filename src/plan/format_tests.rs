//! Tests of the format choice: every way in which types nest.

use proptest::prelude::*;

use super::*;
use crate::config::clone::{Jobs, SchemaOptions, Skip, Split};

fn options(copy_format: CopyFormat) -> PlanOptions {
    PlanOptions {
        jobs: Jobs { table: 4, index: 4, restore: 4, large_objects: 4 },
        split: Split::default(),
        copy_format,
        skip: Skip::default(),
        schema: SchemaOptions::default(),
        extension_versions: BTreeMap::new(),
    }
}

/// A type of the user, with send and receive functions.
fn user(oid: Oid, kind: TypeKind) -> TypeInfo {
    TypeInfo {
        oid,
        name: format!("t{oid}"),
        kind,
        built_in: false,
        binary_io: true,
        extension: None,
    }
}

/// A type of the server.
fn built_in(oid: Oid, kind: TypeKind) -> TypeInfo {
    TypeInfo { built_in: true, ..user(oid, kind) }
}

fn of_extension(oid: Oid, version: &str) -> TypeInfo {
    TypeInfo { extension: Some(("ext".into(), version.into())), ..user(oid, TypeKind::Base) }
}

fn catalog(types: Vec<TypeInfo>) -> SourceCatalog {
    SourceCatalog {
        server: ServerFacts { version: 150_000, encoding: "UTF8".into(), ..Default::default() },
        types: types.into_iter().map(|found| (found.oid, found)).collect(),
        ..Default::default()
    }
}

fn target() -> TargetFacts {
    TargetFacts {
        server: ServerFacts { version: 180_000, ..Default::default() },
        extensions: vec![("ext".into(), "1.2".into())],
        ..Default::default()
    }
}

fn choose(types: Vec<TypeInfo>, oid: Oid) -> Choice {
    let (catalog, target, options) = (catalog(types), target(), options(CopyFormat::Auto));
    let column =
        Column { name: "c".into(), type_oid: oid, type_name: "x".into(), ..Default::default() };
    FormatChooser::new(&catalog, &target, &options).choose([&column].into_iter())
}

const INT4: Oid = 23;

fn int4() -> TypeInfo {
    built_in(INT4, TypeKind::Base)
}

#[test]
fn types_that_travel_as_values_are_binary() {
    use TypeKind::{Array, Domain, Enum, Multirange, Range};
    for kind in [Enum, Domain(INT4), Range(INT4)] {
        assert_eq!(choose(vec![int4(), user(900, kind)], 900).format, Format::Binary);
    }
    let ranges = vec![int4(), user(900, Range(INT4)), user(901, Multirange(900))];
    assert_eq!(choose(ranges, 901).format, Format::Binary);
    // Array of a built-in type, and a domain over that.
    let arrays = vec![int4(), built_in(1007, Array(INT4)), user(900, Domain(1007))];
    assert_eq!(choose(arrays, 900).format, Format::Binary);
}

// trap V-1 V-2
#[test]
fn type_identifiers_on_the_wire_force_text_at_any_depth() {
    use TypeKind::{Array, Composite, Domain, Enum, Multirange, Range};
    let base = || vec![int4(), user(900, Enum), user(901, Domain(INT4)), user(902, Range(INT4))];
    let shapes = [
        vec![user(999, Array(900))],
        vec![user(999, Array(901))],
        vec![user(999, Array(902))],
        vec![user(999, Composite(vec![INT4]))],
        vec![user(998, Composite(vec![INT4])), user(999, Array(998))],
        vec![user(998, Array(900)), user(999, Composite(vec![998]))],
        vec![user(998, Composite(vec![INT4])), user(999, Range(998))],
        vec![user(997, Array(901)), user(998, Domain(997)), user(999, Domain(998))],
        vec![user(997, Composite(vec![900])), user(998, Range(997)), user(999, Multirange(998))],
    ];
    for shape in shapes {
        let mut types = base();
        types.extend(shape);
        let choice = choose(types.clone(), 999);
        assert_eq!(choice.format, Format::Text, "{types:?}");
        let reason = choice.reason.unwrap();
        assert!(reason.starts_with("column \"c\": "), "{reason}");
        assert!(reason.contains("carries type identifiers"), "{reason}");
    }
}

// trap V-3
#[test]
fn object_references_force_text_but_plain_oids_do_not() {
    for oid in REG_TYPES {
        assert_eq!(choose(vec![built_in(oid, TypeKind::Base)], oid).format, Format::Text);
        let arrays = vec![built_in(oid, TypeKind::Base), built_in(999, TypeKind::Array(oid))];
        assert_eq!(choose(arrays, 999).format, Format::Text);
    }
    // trap V-4: oid itself is a number.
    assert_eq!(choose(vec![built_in(26, TypeKind::Base)], 26).format, Format::Binary);
}

// trap V-5
#[test]
fn types_without_usable_binary_form_force_text() {
    let silent = TypeInfo { binary_io: false, ..user(900, TypeKind::Base) };
    assert_eq!(choose(vec![silent], 900).format, Format::Text);
    for oid in REFUSING_TYPES.into_iter().chain(REFUSING_EMPTY_TYPES) {
        assert_eq!(choose(vec![built_in(oid, TypeKind::Base)], oid).format, Format::Text);
    }
    assert_eq!(choose(vec![], 12345).format, Format::Text);
    assert_eq!(choose(vec![user(900, TypeKind::Base)], 900).format, Format::Text);
}

// trap V-7
#[test]
fn extension_types_are_binary_only_at_equal_versions() {
    assert_eq!(choose(vec![of_extension(900, "1.2")], 900).format, Format::Binary);
    let other = choose(vec![of_extension(900, "1.3")], 900);
    assert_eq!(other.format, Format::Text);
    assert!(other.reason.unwrap().contains("version 1.3 on the source and 1.2 on the target"));
    // The array carries the element's identifier, which differs in any case.
    let array = vec![of_extension(900, "1.2"), user(901, TypeKind::Array(900))];
    assert_eq!(choose(array, 901).format, Format::Text);
}

// trap V-7
#[test]
fn version_on_target_is_installed_then_pinned_then_default() {
    let types = || catalog(vec![of_extension(900, "1.2")]);
    let column = Column { type_oid: 900, ..Default::default() };
    let format = |installed: Option<&str>, pinned: Option<&str>, default: Option<&str>| {
        let pair = |version: &str| ("ext".to_owned(), version.to_owned());
        let target = TargetFacts {
            extensions: installed.map(pair).into_iter().collect(),
            available_extensions: default.map(pair).into_iter().collect(),
            ..target()
        };
        let mut options = options(CopyFormat::Auto);
        options.extension_versions = pinned.map(pair).into_iter().collect();
        FormatChooser::new(&types(), &target, &options).choose([&column].into_iter()).format
    };
    assert_eq!(format(Some("1.2"), Some("1.1"), Some("1.3")), Format::Binary);
    assert_eq!(format(None, Some("1.2"), Some("1.3")), Format::Binary);
    assert_eq!(format(None, Some("1.1"), Some("1.2")), Format::Text);
    assert_eq!(format(None, None, Some("1.2")), Format::Binary);
    assert_eq!(format(None, None, None), Format::Text);
}

// trap V-32
#[test]
fn floating_point_timestamps_forbid_binary() {
    let mut catalog = catalog(vec![int4()]);
    catalog.server.version = 90_600;
    let (target, options) = (target(), options(CopyFormat::Auto));
    let column = Column { type_oid: INT4, ..Default::default() };
    let mut format = |integer_datetimes| {
        catalog.server.integer_datetimes = integer_datetimes;
        FormatChooser::new(&catalog, &target, &options).choose([&column].into_iter()).format
    };
    assert_eq!(format(false), Format::Text);
    assert_eq!(format(true), Format::Binary);
}

#[test]
fn xml_is_binary_in_utf8_databases_only() {
    let mut catalog = catalog(vec![built_in(XML, TypeKind::Base)]);
    let (target, options) = (target(), options(CopyFormat::Auto));
    let column = Column { type_oid: XML, ..Default::default() };
    let mut format = |encoding: &str| {
        catalog.server.encoding = encoding.into();
        FormatChooser::new(&catalog, &target, &options).choose([&column].into_iter()).format
    };
    assert_eq!(format("UTF8"), Format::Binary);
    assert_eq!(format("LATIN1"), Format::Text);
}

#[test]
fn first_column_that_forces_text_is_named() {
    let catalog = catalog(vec![int4(), user(900, TypeKind::Composite(vec![INT4]))]);
    let (target, options) = (target(), options(CopyFormat::Auto));
    let column = |name: &str, type_oid| Column {
        name: name.into(),
        type_oid,
        type_name: "x".into(),
        ..Default::default()
    };
    let columns = [column("a", INT4), column("b", 900), column("c", 900)];
    let choice = FormatChooser::new(&catalog, &target, &options).choose(columns.iter());
    assert!(choice.reason.unwrap().starts_with("column \"b\": "));
}

proptest! {
    /// Whatever the type graph, cycles included, the walk ends; and whatever holds a user-defined
    /// array or composite is text.
    #[test]
    fn any_type_graph_has_a_verdict(kinds in prop::collection::vec((0_u8..7, 0_u32..12), 1..12)) {
        let count = u32::try_from(kinds.len()).unwrap();
        let types: Vec<TypeInfo> = kinds.iter().zip(100..).map(|((kind, of), oid)| {
            let of = 100 + of % count;
            user(oid, match kind {
                0 => TypeKind::Enum,
                1 => TypeKind::Domain(of),
                2 => TypeKind::Range(of),
                3 => TypeKind::Multirange(of),
                4 => TypeKind::Array(of),
                5 => TypeKind::Composite(vec![of]),
                _ => TypeKind::Other,
            })
        }).collect();
        for found in &types {
            let choice = choose(types.clone(), found.oid);
            let carries = matches!(found.kind, TypeKind::Array(_) | TypeKind::Composite(_));
            prop_assert!(!(carries && choice.format == Format::Binary));
            prop_assert_eq!(choice.format == Format::Text, choice.reason.is_some());
        }
    }
}
