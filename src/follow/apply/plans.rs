//! The plans of the relations that the stream has described.

use std::collections::HashMap;
use std::sync::Arc;

use super::message;
use super::narrowing;
use super::plan::{PlanOptions, TablePlan};
use super::scope::Scope;
use super::target::TargetCatalog;
use crate::base::error::Result;
use crate::base::ident::QualifiedName;
use crate::follow::change::Relation;

/// Plans by relation.
#[derive(Debug)]
pub(super) struct Plans {
    scope: Scope,
    replica: bool,
    /// By the address of the relation, which is kept so that no other can have it.
    seen: HashMap<usize, (Arc<Relation>, Option<Arc<TablePlan>>)>,
    /// The latest plan of each table, for plugins that describe a table again and again.
    latest: HashMap<QualifiedName, Arc<TablePlan>>,
    next: u32,
}

/// Descriptions remembered at most; beyond that they are compared anew.
const SEEN_MAX: usize = 20_000;

impl Plans {
    /// No plans yet.
    pub(super) fn new(scope: Scope, replica: bool) -> Self {
        Self { scope, replica, seen: HashMap::new(), latest: HashMap::new(), next: 0 }
    }

    /// The plan of a relation as far as it is known; the outer `None`: ask [`Plans::resolve`].
    pub(super) fn known(&self, relation: &Arc<Relation>) -> Option<Option<&Arc<TablePlan>>> {
        self.seen.get(&address(relation)).map(|(_, plan)| plan.as_ref())
    }

    /// The plan of a relation; `None` when its changes are passed over.
    ///
    /// Not cancel safe.
    ///
    /// # Errors
    /// `Data` when the target lacks the table or a column; errors of the catalog queries.
    pub(super) async fn resolve(
        &mut self,
        relation: &Arc<Relation>,
        catalog: &mut TargetCatalog,
    ) -> Result<Option<Arc<TablePlan>>> {
        let name = QualifiedName::new(&relation.namespace, &relation.name);
        let plan = if !self.scope.contains(&name) {
            None
        } else if let Some(plan) = self.latest.get(&name).filter(|plan| plan.relation == *relation)
        {
            Some(Arc::clone(plan))
        } else {
            let plan = Arc::new(self.make(relation, &name, catalog).await?);
            self.latest.insert(name, Arc::clone(&plan));
            Some(plan)
        };
        if self.seen.len() >= SEEN_MAX {
            self.seen.clear();
        }
        self.seen.insert(address(relation), (Arc::clone(relation), plan.clone()));
        Ok(plan)
    }

    /// Plans a relation that is new or has changed.
    async fn make(
        &mut self,
        relation: &Arc<Relation>,
        name: &QualifiedName,
        catalog: &mut TargetCatalog,
    ) -> Result<TablePlan> {
        let mut found = catalog.table(name).await?;
        for ancestor in self.scope.ancestors(name) {
            if found.is_none() {
                found = catalog.table(ancestor).await?;
            }
        }
        let Some(target) = found else { return Err(message::missing_table(relation)) };
        self.next += 1;
        let options = PlanOptions { index: self.next, replica: self.replica };
        let target = Arc::new(target);
        let plan = TablePlan::new(Arc::clone(relation), Arc::clone(&target), options)
            .map_err(|missing| message::missing_columns(relation, &target.describe(), &missing))?;
        let narrowed = narrowing::narrowed(&plan);
        if !narrowed.is_empty() {
            let (definition, before) = (plan.target.describe(), self.latest.get(name));
            if before.is_some_and(|before| types_differ(&before.relation, relation)) {
                return Err(message::narrowed(relation, &definition, &narrowed));
            }
            tracing::warn!(
                table = definition,
                columns = narrowed.join(", "),
                "these columns hold less on the target than on the source, values lose digits"
            );
        }
        warn_about(&plan, self.replica);
        Ok(plan)
    }

    /// Whether all partitions of the source whose changes go to this table are among `truncated`.
    pub(super) fn covers(&self, target: &QualifiedName, truncated: &[Arc<Relation>]) -> bool {
        let named = |name: &QualifiedName| {
            truncated.iter().any(|one| one.namespace == name.schema && one.name == name.name)
        };
        named(target)
            || self
                .scope
                .ancestors
                .iter()
                .filter(|(_, ancestors)| ancestors.contains(target))
                .all(|(leaf, _)| named(leaf))
    }
}

/// Whether a column of the newer description has another type than the one of that name before.
fn types_differ(before: &Relation, now: &Relation) -> bool {
    now.columns.iter().any(|column| {
        before.columns.iter().any(|old| {
            old.name == column.name
                && (old.type_oid, old.type_modifier) != (column.type_oid, column.type_modifier)
        })
    })
}

/// Says once per table what makes its changes slow or what else they set off.
fn warn_about(plan: &TablePlan, replica: bool) {
    let table = &plan.target.name;
    if let (true, Some(triggers)) = (replica, &plan.target.fires_as_replica) {
        tracing::warn!(%table, triggers, "triggers or rules of the target fire for replicated changes");
    } else if let (false, Some(triggers)) = (replica, &plan.target.fires_as_origin) {
        tracing::warn!(
            %table,
            triggers,
            "this role may not set session_replication_role: triggers, foreign keys and rules of the \
             target fire for replicated changes, and they are applied row by row"
        );
    }
    let full = plan.relation.identity == crate::follow::change::ReplicaIdentity::Full;
    if full && plan.shape.key.is_empty() && plan.leads.is_empty() {
        tracing::warn!(
            %table,
            "the table has replica identity full and no index on the target: each update and delete \
             reads all of it; an index on the target helps"
        );
    }
}

/// Where a relation lies in memory.
fn address(relation: &Arc<Relation>) -> usize {
    Arc::as_ptr(relation).addr()
}
