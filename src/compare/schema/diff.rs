//! From the objects of both sides to differences. Pure.

use std::collections::BTreeMap;

use super::query::FAMILIES;
use super::{Key, Object, Objects, definition};
use crate::base::comparison::ObjectDifference;

/// One side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    /// Its objects.
    pub(super) objects: &'a Objects,
    /// `server_version_num`.
    pub(super) version: u32,
}

/// Number of objects per kind on each side, those that are left out not counted.
pub(super) fn counts(source: &Objects, target: &Objects) -> Vec<(String, u64, u64)> {
    let mut counts: BTreeMap<(usize, &str), (u64, u64)> = BTreeMap::new();
    for ((family, ..), object) in source.iter().filter(|(_, object)| !object.left_out) {
        counts.entry((*family, &object.kind)).or_default().0 += 1;
    }
    for ((family, ..), object) in target.iter().filter(|(_, object)| !object.left_out) {
        counts.entry((*family, &object.kind)).or_default().1 += 1;
    }
    counts.into_iter().map(|((_, kind), (a, b))| (kind.to_owned(), a, b)).collect()
}

/// Every difference, by family and name.
///
/// What the filters leave out of the source is not looked for on the target, and what the target alone
/// has must pass the filters itself. Parts of a table that one side lacks are not listed one by one, and
/// an invalid index that the target lacks is no difference: it was left behind on purpose.
pub(super) fn differences(source: Side<'_>, target: Side<'_>) -> Vec<ObjectDifference> {
    let mut found = Vec::new();
    for (key, object) in source.objects.iter().filter(|(_, object)| !object.left_out) {
        match target.objects.get(key) {
            Some(other) => {
                compare(key, (object, source.version), (other, target.version), &mut found)
            }
            None if has_parent(object, target.objects) && !is_invalid_index(object) => {
                found.push(exists(key, object, true));
            }
            None => {}
        }
    }
    for (key, object) in target.objects.iter().filter(|(_, object)| !object.left_out) {
        if !source.objects.contains_key(key) && has_parent(object, source.objects) {
            found.push(exists(key, object, false));
        }
    }
    let name = |difference: &ObjectDifference| difference.object.clone();
    found.sort_by_key(|(position, difference)| (*position, name(difference)));
    found.into_iter().map(|(_, difference)| difference).collect()
}

/// Whether the table that an object belongs to is among some objects.
fn has_parent(object: &Object, objects: &Objects) -> bool {
    let Some(parent) = &object.parent else { return true };
    ["relations", "types"].into_iter().any(|name| {
        let family = FAMILIES.iter().position(|family| family.name == name).unwrap_or_default();
        objects.contains_key(&(family, String::new(), parent.clone()))
    })
}

/// Whether an object is an index that cannot be used.
fn is_invalid_index(object: &Object) -> bool {
    let value = object.properties.iter().find(|(name, _)| name == "valid");
    object.kind == "index" && value.is_some_and(|(_, value)| value.as_deref() == Some("f"))
}

/// A difference with the position of its family.
type Placed = (usize, ObjectDifference);

/// An object that one side lacks.
fn exists((family, _, name): &Key, object: &Object, on_source: bool) -> Placed {
    let yes = || Some("exists".to_owned());
    let difference = ObjectDifference {
        kind: object.kind.clone(),
        object: name.clone(),
        property: "exists".to_owned(),
        source: if on_source { yes() } else { None },
        target: if on_source { None } else { yes() },
    };
    (*family, difference)
}

/// Compares the properties of an object.
fn compare(
    (family, _, name): &Key,
    (source, source_version): (&Object, u32),
    (target, target_version): (&Object, u32),
    found: &mut Vec<Placed>,
) {
    let mut add = |property: &str, a: &Option<String>, b: &Option<String>| {
        let shown =
            |value: &Option<String>| Some(value.clone().unwrap_or_else(|| "none".to_owned()));
        let difference = ObjectDifference {
            kind: source.kind.clone(),
            object: name.clone(),
            property: property.to_owned(),
            source: shown(a),
            target: shown(b),
        };
        found.push((*family, difference));
    };
    if source.kind != target.kind {
        add("kind", &Some(source.kind.clone()), &Some(target.kind.clone()));
    }
    for (property, a) in &source.properties {
        let other = target.properties.iter().find(|(name, _)| name == property);
        let Some((_, b)) = other else { continue };
        let same = match (a, b) {
            (Some(a), Some(b)) if property == "definition" => {
                definition::same((a, source_version), (b, target_version))
            }
            (a, b) => a == b,
        };
        if !same {
            add(property, a, b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(name: &str) -> usize {
        FAMILIES.iter().position(|family| family.name == name).unwrap()
    }

    fn object(kind: &str, parent: Option<&str>, properties: &[(&str, &str)]) -> Object {
        Object {
            kind: kind.into(),
            parent: parent.map(str::to_owned),
            left_out: false,
            properties: (properties.iter())
                .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
                .collect(),
        }
    }

    fn objects(list: &[(&str, &str, Object)]) -> Objects {
        let key = |of: &str, name: &str| (family(of), String::new(), name.to_owned());
        list.iter().map(|(of, name, object)| (key(of, name), object.clone())).collect()
    }

    fn diff(source: &Objects, target: &Objects) -> Vec<String> {
        let side = |objects| Side { objects, version: 180_000 };
        differences(side(source), side(target))
            .into_iter()
            .map(|found| {
                let (a, b) = (found.source.unwrap_or_default(), found.target.unwrap_or_default());
                format!("{} {} {} {a}|{b}", found.kind, found.object, found.property)
            })
            .collect()
    }

    #[test]
    fn parts_of_a_missing_table_are_not_listed() {
        let source = objects(&[
            ("relations", "t", object("table", None, &[])),
            ("columns", "t.a", object("column", Some("t"), &[])),
            ("relations", "u", object("table", None, &[])),
            ("columns", "u.a", object("column", Some("u"), &[])),
        ]);
        let target = objects(&[("relations", "u", object("table", None, &[]))]);
        let expected = ["table t exists exists|", "column u.a exists exists|"];
        assert_eq!(diff(&source, &target), expected);
        let expected = ["table t exists |exists", "column u.a exists |exists"];
        assert_eq!(diff(&target, &source), expected);
    }

    #[test]
    fn properties_and_kinds_are_compared() {
        let source = objects(&[("relations", "t", object("table", None, &[("owner", "a")]))]);
        let target =
            objects(&[("relations", "t", object("partitioned table", None, &[("owner", "b")]))]);
        assert_eq!(
            diff(&source, &target),
            ["table t kind table|partitioned table", "table t owner a|b"]
        );
        assert_eq!(diff(&source, &source), [""; 0]);
    }

    #[test]
    fn what_is_left_out_is_no_difference_on_either_side() {
        let mut source = objects(&[("relations", "t", object("table", None, &[("owner", "a")]))]);
        let target = objects(&[("relations", "t", object("table", None, &[("owner", "b")]))]);
        source.values_mut().for_each(|object| object.left_out = true);
        assert_eq!(diff(&source, &target), [""; 0]);
        assert_eq!(diff(&source, &Objects::new()), [""; 0]);
        assert_eq!(diff(&Objects::new(), &source), [""; 0]);
    }

    // trap D-9
    #[test]
    fn an_invalid_index_that_stayed_behind_is_no_difference() {
        let index =
            |valid| objects(&[("indexes", "i", object("index", None, &[("valid", valid)]))]);
        assert_eq!(diff(&index("f"), &Objects::new()), [""; 0]);
        assert_eq!(diff(&index("t"), &Objects::new()).len(), 1);
        assert_eq!(diff(&Objects::new(), &index("f")).len(), 1);
        assert_eq!(diff(&index("t"), &index("f")), ["index i valid t|f"]);
    }
}
