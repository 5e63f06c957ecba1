//! Exclusion and temporal constraints of partitioned tables, which bring those of their partitions.

use std::collections::HashMap;

use crate::base::error::Result;
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::connect::client::Session;
use crate::ledger::{self, ObjectKind};
use crate::plan::{ParentConstraintPlan, Plan};

/// The parts of a constraint on the target: schema and name of the table, name of the part.
const PARTS_SQL: &str = "\
    with recursive tree (oid, conrelid, conname) as (\
    select c.oid, c.conrelid, c.conname from pg_catalog.pg_constraint c \
    join pg_catalog.pg_class r on r.oid = c.conrelid \
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace \
    where n.nspname = $1 and r.relname = $2 and c.conname = $3 \
    union all \
    select c.oid, c.conrelid, c.conname from tree t \
    join pg_catalog.pg_constraint c on c.conparentid = t.oid) \
    select n.nspname, r.relname, t.conname from tree t \
    join pg_catalog.pg_class r on r.oid = t.conrelid \
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace";

/// Adds exclusion and temporal constraints to partitioned tables, with those of their partitions; what
/// the ledger has is left out.
///
/// # Errors
/// The server's, naming the constraint.
pub(super) async fn add_parent_constraints(target: &mut Session, plan: &Plan) -> Result<()> {
    if plan.parent_constraints.is_empty() {
        return Ok(());
    }
    let done = ledger::objects(target, ObjectKind::Constraint).await?;
    for add in &plan.parent_constraints {
        if done.contains(&i64::from(add.oid)) {
            continue;
        }
        if let Err(error) = add_one(target, add).await {
            if !target.is_broken() {
                target.execute("rollback").await?;
            }
            let name = quote_identifier(&add.name);
            return Err(error.during(format!("add constraint {name} to {}", add.table)));
        }
    }
    Ok(())
}

/// Adds one in a transaction and gives its parts the names that they have on the source: comments and
/// what others wrote down go by them.
async fn add_one(target: &mut Session, add: &ParentConstraintPlan) -> Result<()> {
    let (table, name) = (add.table.sql(), quote_identifier(&add.name));
    let sql = format!("begin; alter table {table} add constraint {name} {}", add.definition);
    target.execute(&sql).await?;
    let params = [&add.table.schema, &add.table.name, &add.name].map(|text| Some(text.as_str()));
    let found = target.query(PARTS_SQL, &params).await?;
    let mut names: HashMap<QualifiedName, String> = HashMap::new();
    for row in &found.rows {
        names.insert(QualifiedName::new(row.text(0)?, row.text(1)?), row.text(2)?.to_owned());
    }
    let mut sql = String::new();
    for part in &add.parts {
        if let Some(given) = names.get(&part.table).filter(|given| **given != part.name) {
            sql.push_str(&format!(
                "alter table {} rename constraint {} to {}; ",
                part.table.sql(),
                quote_identifier(given),
                quote_identifier(&part.name)
            ));
        }
    }
    let mark = ledger::object_sql(ObjectKind::Constraint, add.oid);
    target.execute(&format!("{sql}{mark}; commit")).await?;
    Ok(())
}
