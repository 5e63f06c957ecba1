//! Foreign keys that stand in the way of TRUNCATE: dropped before rows are loaded, added again after.

use std::collections::{HashMap, HashSet};

use crate::base::error::Result;
use crate::base::ident::{QualifiedName, quote_identifier};
use crate::catalog::model::Oid;
use crate::connect::client::Session;
use crate::ledger::{self, ObjectKind};
use crate::plan::{Done, ForeignKeyPlan, Plan};

/// Foreign keys of the target, parts of a partitioned table's key left out.
const SQL: &str = "select n.nspname, c.relname, k.conname from pg_catalog.pg_constraint k \
    join pg_catalog.pg_class c on c.oid = k.conrelid \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
    where k.contype = 'f' and k.conparentid = 0";

/// The plan's foreign keys that the target has, by table and name.
pub(super) async fn on_target(session: &mut Session, plan: &Plan) -> Result<Vec<Oid>> {
    let planned: HashMap<(&QualifiedName, &str), Oid> = (plan.foreign_keys.iter())
        .map(|key| ((&key.table.name, key.name.as_str()), key.oid))
        .collect();
    let mut found = Vec::new();
    for row in &session.query(SQL, &[]).await?.rows {
        let table = QualifiedName::new(row.text(0)?, row.text(1)?);
        found.extend(planned.get(&(&table, row.text(2)?)).copied());
    }
    Ok(found)
}

/// Drops the foreign keys that are there, and records that each is to be added again.
pub(super) async fn drop_all(session: &mut Session, plan: &Plan, done: &mut Done) -> Result<()> {
    let added = |key: &&ForeignKeyPlan| {
        done.foreign_keys.contains(&key.oid) || done.validated.contains(&key.oid)
    };
    for key in plan.foreign_keys.iter().filter(added) {
        let name = quote_identifier(&key.name);
        let table = key.table.name.sql();
        // One message is one transaction: the key and what is recorded of it go together.
        let sql = format!(
            "alter table {table} drop constraint if exists {name}; {}; {}; {}",
            ledger::forget_object_sql(ObjectKind::ForeignKey, key.oid),
            ledger::forget_object_sql(ObjectKind::Validated, key.oid),
            ledger::object_sql(ObjectKind::DroppedForeignKey, key.oid),
        );
        session
            .execute(&sql)
            .await
            .map_err(|error| error.during(format!("drop foreign key {name} of {table}")))?;
    }
    done.foreign_keys.clear();
    done.validated.clear();
    Ok(())
}

/// The foreign keys that this step, or an interrupted start of it, dropped and has not added again.
pub(super) async fn to_add_again(session: &mut Session, done: &Done) -> Result<HashSet<Oid>> {
    let dropped = ledger::objects(session, ObjectKind::DroppedForeignKey).await?;
    let keys = dropped.into_iter().filter_map(|key| Oid::try_from(key).ok());
    Ok(keys.filter(|key| !done.validated.contains(key)).collect())
}
