//! The order in which configuration tables of extensions are filled.

use std::collections::{HashMap, HashSet};

use super::{Draft, Input};
use crate::catalog::model::{ConstraintKind, Oid};

/// Gives every planned configuration table its place and what it waits for.
///
/// Extensions come in the order of their creation, which is the catalog's; the tables of one as
/// `pg_extension.extconfig` names them, except that a table comes after those that its foreign keys
/// reference. Within an extension each table waits for the one before it: triggers of the extension may
/// look at the others. Keys that reference each other in a circle are left to
/// `session_replication_role`.
pub(super) fn plan_order(input: &Input<'_>, draft: &mut Draft) {
    let tables = input.catalog.extensions.iter().flat_map(|one| &one.config_tables);
    let named: Vec<Oid> =
        (tables.map(|(oid, _)| *oid)).filter(|oid| draft.positions.contains_key(oid)).collect();
    if named.is_empty() {
        return;
    }
    let members: HashSet<Oid> = named.iter().copied().collect();
    let mut references: HashMap<Oid, Vec<Oid>> = HashMap::new();
    for key in input.catalog.constraints.iter().filter(|one| one.kind == ConstraintKind::ForeignKey)
    {
        let Some(referenced) = key.referenced_oid else { continue };
        if members.contains(&key.table_oid) && members.contains(&referenced) {
            references.entry(key.table_oid).or_default().push(referenced);
        }
    }
    let order = referenced_first(&named, &references);
    let ranks: HashMap<Oid, u32> = order.iter().copied().zip(0..).collect();
    let mut previous: HashMap<String, u32> = HashMap::new();
    for oid in order {
        let Some(&position) = draft.positions.get(&oid) else { continue };
        let Some(table) = draft.plan.tables.get_mut(position as usize) else { continue };
        let Some(config) = &mut table.config else { continue };
        config.rank = ranks.get(&oid).copied().unwrap_or_default();
        let before = references.get(&oid).into_iter().flatten();
        config.after = before
            .filter(|other| ranks.get(other) < Some(&config.rank))
            .filter_map(|other| draft.positions.get(other).copied())
            .chain(previous.insert(config.extension.clone(), position))
            .collect();
        config.after.sort_unstable();
        config.after.dedup();
    }
}

/// The tables as they are named, each after those that it references.
fn referenced_first(named: &[Oid], references: &HashMap<Oid, Vec<Oid>>) -> Vec<Oid> {
    let mut order = Vec::with_capacity(named.len());
    let mut seen = HashSet::new();
    for &first in named {
        // Each entry is a table and whether what it references was visited.
        let mut open = vec![(first, false)];
        while let Some((oid, visited)) = open.pop() {
            if visited {
                order.push(oid);
            } else if seen.insert(oid) {
                open.push((oid, true));
                let next = references.get(&oid).into_iter().flatten().rev();
                open.extend(next.map(|other| (*other, false)));
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn referenced_tables_come_first_and_circles_end() {
        let keys = [(1, vec![3]), (3, vec![2]), (4, vec![5]), (5, vec![4]), (6, vec![6])];
        let order = referenced_first(&[1, 2, 3, 4, 5, 6], &keys.into());
        assert_eq!(order, [2, 3, 1, 5, 4, 6]);
    }
}
