//! How changes of one relation of the stream reach the target: which columns, found how, in which way.

use std::sync::Arc;

use super::column_set::ColumnSet;
use super::target::{TargetColumn, TargetKind, TargetTable};
use crate::follow::change::{Column, OldTuple, Relation, ReplicaIdentity};

/// How the changes of a relation are applied.
#[derive(Debug)]
pub struct TablePlan {
    /// Number of the plan within its applier.
    pub index: u32,
    /// The relation as the stream describes it.
    pub relation: Arc<Relation>,
    /// The relation of the target.
    pub target: Arc<TargetTable>,
    /// Per column of the stream: its column of the target.
    pub columns: Vec<usize>,
    /// What reduction needs to know.
    pub shape: Shape,
    /// Equality of each key column as the target's index means it.
    pub key_equals: Vec<String>,
    /// Columns of an always generated identity outside the key: UPDATE cannot set them, so a row is
    /// found by them too and a changed one is noticed.
    pub guards: Vec<usize>,
    /// Leading columns of indexes, to find a row by all of its values: column and equality.
    pub leads: Vec<(usize, String)>,
    /// Rows are changed in the order of the stream together with all other tables.
    pub ordered: bool,
    /// Foreign keys of the target fire and may have done a change before it comes.
    pub cascaded: bool,
    /// Changes of a source partition go to a partitioned ancestor.
    pub routed: bool,
    /// Old rows are whole although the plugin does not say so: what it left out was null.
    pub whole: bool,
}

/// What reduction needs to know of a relation; positions are those of the stream's columns.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// The columns that identify a row; none where only all values do.
    pub key: Vec<usize>,
    /// Updates and deletes may be joined by the key: a unique index of the target says that each key
    /// is one row.
    pub joinable: bool,
    /// Columns that INSERT writes.
    pub written: ColumnSet,
    /// Columns that UPDATE may set where the key stays.
    pub settable: ColumnSet,
    /// The column that an update which changes nothing sets to its own value.
    pub touched: Option<usize>,
}

/// How a plan is made.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Number of the plan.
    pub index: u32,
    /// `session_replication_role` is `replica`.
    pub replica: bool,
}

impl TablePlan {
    /// Matches the columns of a relation with those of the target.
    ///
    /// # Errors
    /// The columns of the stream that the target lacks.
    pub fn new(
        relation: Arc<Relation>,
        target: Arc<TargetTable>,
        options: PlanOptions,
    ) -> Result<Self, Vec<String>> {
        let columns = match_columns(&relation, &target)?;
        let (key, key_equals, unique) = choose_key(&relation, &target, &columns);
        let told = relation.columns.iter().any(|column| column.is_key);
        let whole = relation.identity == ReplicaIdentity::Unknown && told && key.is_empty();
        let column = |position: usize| columns.get(position).and_then(|at| target.columns.get(*at));
        let all = || 0..columns.len();
        let is =
            |position: usize, test: fn(&TargetColumn) -> bool| column(position).is_some_and(test);
        let written: ColumnSet = all().filter(|&at| is(at, |c| !c.generated)).collect();
        let guards: Vec<usize> =
            all().filter(|at| is(*at, |c| c.identity_always) && !key.contains(at)).collect();
        // Values reach a join through arrays of text and a cast; where the cast is a function of its
        // own it may read them otherwise than the type does.
        let castable = all().all(|at| is(at, |c| !c.has_text_cast));
        let settable: ColumnSet = all()
            .filter(|&at| is(at, |c| !c.generated && !c.identity_always) && !key.contains(&at))
            .collect();
        let touched =
            key.first().copied().filter(|&at| is(at, |c| !c.generated && !c.identity_always));
        let touched = touched.or_else(|| settable.iter().next());
        let fires =
            if options.replica { &target.fires_as_replica } else { &target.fires_as_origin };
        let leads = leads(&target, &columns);
        Ok(Self {
            index: options.index,
            whole,
            cascaded: !options.replica && target.cascades,
            routed: target.name.name != relation.name || target.name.schema != relation.namespace,
            ordered: fires.is_some() || target.kind == TargetKind::Indirect,
            shape: Shape {
                joinable: unique && castable && guards.is_empty(),
                key,
                written,
                settable,
                touched,
            },
            key_equals,
            guards,
            leads,
            columns,
            relation,
            target,
        })
    }

    /// The column of the target for a column of the stream.
    pub fn column(&self, position: usize) -> Option<&TargetColumn> {
        self.target.columns.get(*self.columns.get(position)?)
    }

    /// An old row as it is to be looked for.
    pub fn old(&self, old: OldTuple) -> OldTuple {
        match old {
            OldTuple::Key(tuple) if self.whole => OldTuple::Full(tuple),
            old => old,
        }
    }

    /// Whether changes are passed over and the relation is refreshed instead.
    pub fn is_refreshed(&self) -> bool {
        self.target.kind == TargetKind::MaterializedView
    }
}

/// Finds each column of the stream on the target by name.
fn match_columns(relation: &Relation, target: &TargetTable) -> Result<Vec<usize>, Vec<String>> {
    let find = |column: &Column| target.columns.iter().position(|other| other.name == column.name);
    let missing: Vec<String> = relation
        .columns
        .iter()
        .filter(|column| find(column).is_none())
        .map(|column| column.name.clone())
        .collect();
    if missing.is_empty() {
        Ok(relation.columns.iter().filter_map(find).collect())
    } else {
        Err(missing)
    }
}

/// The columns that find a row on the target, how they are compared, and whether they find one at most.
fn choose_key(
    relation: &Relation,
    target: &TargetTable,
    columns: &[usize],
) -> (Vec<usize>, Vec<String>, bool) {
    let told = relation.columns.iter().any(|column| column.is_key);
    let is_told = |at: usize| !told || relation.columns.get(at).is_some_and(|c| c.is_key);
    let own = match relation.identity {
        // All old values are there: the target's own key finds the row with less work.
        ReplicaIdentity::Full => own_key(target, columns, |_| true),
        // What came with old rows so far, which may be more than the key; nothing at all while no
        // update has changed the key.
        ReplicaIdentity::Unknown => own_key(target, columns, is_told),
        ReplicaIdentity::Default | ReplicaIdentity::Nothing | ReplicaIdentity::Index => None,
    };
    if let Some((key, equals)) = own {
        return (key, equals, true);
    }
    if relation.identity == ReplicaIdentity::Full {
        return (Vec::new(), Vec::new(), false);
    }
    let key: Vec<usize> = relation
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.is_key)
        .map(|(position, _)| position)
        .collect();
    if relation.identity == ReplicaIdentity::Unknown && !is_unique(target, columns, &key) {
        // A replica identity is the primary key or a unique index, or else the whole row, of which a
        // plugin that leaves nulls out has told the rest.
        return (Vec::new(), Vec::new(), false);
    }
    let unique = !key.is_empty() && is_unique(target, columns, &key);
    let equals = key
        .iter()
        .map(|position| {
            let parts = target.indexes.iter().flat_map(|index| &index.columns);
            let mut same = parts.filter(|part| columns.get(*position) == Some(&part.column));
            same.next().map_or_else(|| EQUALS.to_owned(), |part| part.equals.clone())
        })
        .collect();
    (key, equals, unique)
}

/// Whether a unique index of the target says that these columns of the stream are one row at most.
fn is_unique(target: &TargetTable, columns: &[usize], key: &[usize]) -> bool {
    let has = |at: usize| key.iter().any(|position| columns.get(*position) == Some(&at));
    let mut keys = target.indexes.iter().filter(|index| index.is_key);
    keys.any(|index| index.columns.iter().all(|part| has(part.column)))
}

/// The first key of the target, the primary key before others, that holds no nulls and of which the
/// stream has every column and `is_known` accepts it; with its equality operators.
fn own_key(
    target: &TargetTable,
    columns: &[usize],
    is_known: impl Fn(usize) -> bool,
) -> Option<(Vec<usize>, Vec<String>)> {
    let not_null = |at: usize| target.columns.get(at).is_some_and(|column| column.not_null);
    let position = |at: usize| {
        let found = columns.iter().position(|column| *column == at);
        found.filter(|position| not_null(at) && is_known(*position))
    };
    target.indexes.iter().filter(|index| index.is_key).find_map(|index| {
        let key = index.columns.iter().map(|part| position(part.column)).collect::<Option<_>>()?;
        Some((key, index.columns.iter().map(|part| part.equals.clone()).collect()))
    })
}

/// Equality of types that no index of the table compares.
const EQUALS: &str = "operator(pg_catalog.=)";

/// Leading columns of the indexes over all rows.
fn leads(target: &TargetTable, columns: &[usize]) -> Vec<(usize, String)> {
    target
        .indexes
        .iter()
        .filter(|index| index.is_total)
        .filter_map(|index| {
            let part = index.columns.first()?;
            let position = columns.iter().position(|column| *column == part.column)?;
            Some((position, part.equals.clone()))
        })
        .collect()
}
