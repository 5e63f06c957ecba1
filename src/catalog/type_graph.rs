//! What a type takes over from the types it is made of.

use std::collections::BTreeMap;

use super::model::{Oid, TypeInfo, TypeKind};

/// Deepest nesting that is followed.
///
/// The server refuses a composite that contains itself, so the depth is that of hand-written types; a
/// deeper one counts as not binary, which is always safe.
const DEPTH_MAX: u32 = 64;

/// Completes the types: binary only when everything inside is, and arrays and multiranges belong to
/// the extension of what they hold (the server records only the element as a member).
pub(super) fn complete(types: &mut BTreeMap<Oid, TypeInfo>) {
    let completed: Vec<_> = types
        .values()
        .map(|info| (info.oid, is_binary(info.oid, types, 0), extension_of(info, types, 0)))
        .collect();
    for (oid, binary_io, extension) in completed {
        if let Some(info) = types.get_mut(&oid) {
            info.binary_io = binary_io;
            info.extension = extension;
        }
    }
}

/// Whether the type and all inside have send and receive functions; unknown types have not.
fn is_binary(oid: Oid, types: &BTreeMap<Oid, TypeInfo>, depth: u32) -> bool {
    let Some(info) = types.get(&oid) else { return false };
    if !info.binary_io || depth >= DEPTH_MAX {
        return false;
    }
    match &info.kind {
        TypeKind::Base | TypeKind::Enum => true,
        TypeKind::Array(inner)
        | TypeKind::Domain(inner)
        | TypeKind::Range(inner)
        | TypeKind::Multirange(inner) => is_binary(*inner, types, depth + 1),
        TypeKind::Composite(attributes) => {
            attributes.iter().all(|attribute| is_binary(*attribute, types, depth + 1))
        }
        TypeKind::Other => false,
    }
}

/// The extension of the type, or of the type that an array or a multirange holds.
fn extension_of(
    info: &TypeInfo,
    types: &BTreeMap<Oid, TypeInfo>,
    depth: u32,
) -> Option<(String, String)> {
    if info.extension.is_some() || depth >= DEPTH_MAX {
        return info.extension.clone();
    }
    match &info.kind {
        TypeKind::Array(inner) | TypeKind::Multirange(inner) => {
            extension_of(types.get(inner)?, types, depth + 1)
        }
        TypeKind::Base
        | TypeKind::Domain(_)
        | TypeKind::Enum
        | TypeKind::Range(_)
        | TypeKind::Composite(_)
        | TypeKind::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(types: &[(Oid, TypeKind, bool)]) -> BTreeMap<Oid, TypeInfo> {
        let info = |(oid, kind, binary_io): &(Oid, TypeKind, bool)| {
            let info = TypeInfo {
                oid: *oid,
                kind: kind.clone(),
                binary_io: *binary_io,
                ..TypeInfo::default()
            };
            (*oid, info)
        };
        types.iter().map(info).collect()
    }

    // trap V-5
    #[test]
    fn one_part_without_send_makes_the_whole_text_only() {
        let mut types = graph(&[
            (1, TypeKind::Base, true),
            (2, TypeKind::Base, false),
            (3, TypeKind::Domain(2), true),
            (4, TypeKind::Array(3), true),
            (5, TypeKind::Composite(vec![1, 4]), true),
            (6, TypeKind::Composite(vec![1, 1]), true),
            (7, TypeKind::Range(1), true),
            (8, TypeKind::Multirange(7), true),
            (9, TypeKind::Array(99), true),
        ]);
        complete(&mut types);
        let binary: Vec<Oid> = types.values().filter(|t| t.binary_io).map(|t| t.oid).collect();
        assert_eq!(binary, [1, 6, 7, 8]);
    }

    #[test]
    fn arrays_belong_to_the_extension_of_their_element() {
        let mut types = graph(&[
            (1, TypeKind::Base, true),
            (2, TypeKind::Array(1), true),
            (3, TypeKind::Domain(1), true),
        ]);
        let extension = Some(("hstore".to_owned(), "1.8".to_owned()));
        types.get_mut(&1).unwrap().extension.clone_from(&extension);
        complete(&mut types);
        assert_eq!(types[&2].extension, extension);
        // A domain of the user over an extension's type is the user's.
        assert_eq!(types[&3].extension, None);
    }

    #[test]
    fn a_circle_ends() {
        let mut types = graph(&[(1, TypeKind::Array(2), true), (2, TypeKind::Array(1), true)]);
        complete(&mut types);
        assert!(types.values().all(|t| !t.binary_io));
    }
}
