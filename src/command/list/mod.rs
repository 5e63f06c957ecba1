//! `list`: what the source has, what would be migrated, and how far a run is.
//!
//! A list reads the source as it is now, in a transaction of its own, and keeps nothing between runs;
//! only `list schema` leaves its document, `schema.json`, in the work directory.
//!
//! To add one more: a variant of [`List`], its arm below, a module with its headings.

mod catalog;
mod depends;
mod extensions;
mod indexes;
pub mod progress;
mod schema;
mod sequences;
mod server;
mod tables;

use crate::base::error::{Error, Result};
use crate::base::listing::Listing;
use crate::config::{List, ListConfig, SplitThreshold};

/// Lists what is asked for; `None` when there is nothing to say. A listing without headings is a
/// document, to be printed for programs only.
///
/// # Errors
/// The source's; those of the filter file; `Config` for a table that does not exist.
pub async fn run(config: &ListConfig) -> Result<Option<Listing>> {
    let listing = match config.what {
        List::Databases => server::databases(config).await?,
        List::Collations => server::collations(config).await?,
        List::AvailableExtensions => extensions::available(config).await?,
        List::Extensions => extensions::installed(config).await?,
        List::Requirements => extensions::requirements(config).await?,
        List::Tables => tables::list(config).await?,
        List::TableParts if config.split.threshold == SplitThreshold::Auto => return Ok(None),
        List::TableParts => tables::parts(config).await?,
        List::Sequences => sequences::list(config).await?,
        List::Indexes => indexes::list(config).await?,
        List::Depends => depends::list(config).await?,
        List::Schema => schema::list(config).await?,
    };
    Ok(Some(listing))
}

/// Whether an object of this schema, and of this table where it has one, is asked for.
fn is_wanted(config: &ListConfig, schema: &str, table: Option<&str>) -> bool {
    config.schema.as_deref().is_none_or(|wanted| wanted == schema)
        && config.table.as_deref().is_none_or(|wanted| Some(wanted) == table)
}

/// The error for a name that the source does not have.
fn unknown_table(schema: &str, table: &str) -> Error {
    let name = crate::base::ident::QualifiedName::new(schema, table);
    Error::config(format!("the source has no ordinary table {name}"))
        .hint("Names are compared case-exact; --schema-name names another schema than \"public\".")
}
