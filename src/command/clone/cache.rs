//! What `dump schema` leaves beside its archive, so that a restore agrees with it and needs no source.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::catalog::model::SourceCatalog;
use crate::filter::Selection;
use crate::local::workdir::WorkDir;

/// The catalog that an archive was made with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cache {
    /// What the source had.
    pub(super) catalog: SourceCatalog,
    /// What the filters make of it.
    pub(super) selection: Selection,
    /// Text of the filter file.
    pub(super) filters: Option<String>,
    /// Columns carry the internal option of trap D-43.
    pub(super) attver: bool,
    /// The snapshot that both were read under.
    pub(super) snapshot_identity: String,
}

impl Cache {
    /// Writes it beside the archive.
    ///
    /// # Errors
    /// `File` when it cannot be written.
    pub(super) fn write(&self, directory: &WorkDir) -> Result<()> {
        let path = directory.catalog_json();
        let failed = |error: std::io::Error| Error::file(&path, error).during("write");
        let temporary = crate::local::workdir::temporary_name(&path);
        let mut file = BufWriter::new(File::create(&temporary).map_err(failed)?);
        serde_json::to_writer(&mut file, self).map_err(|error| failed(error.into()))?;
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)?;
        std::fs::rename(&temporary, &path).map_err(failed)
    }

    /// Reads what an earlier `dump schema` left; `None` when there is no archive.
    ///
    /// # Errors
    /// `File`; `State` when it was written by another version of this program.
    pub(super) fn read(directory: &WorkDir) -> Result<Option<Self>> {
        let path = directory.catalog_json();
        if !path.exists() || !directory.schema_dump().exists() {
            return Ok(None);
        }
        let file = File::open(&path).map_err(|error| Error::file(&path, error).during("read"))?;
        serde_json::from_reader(BufReader::new(file)).map(Some).map_err(|error| {
            Error::state(format!("\"{}\" cannot be read: {error}", path.display()))
                .hint("It was written by another version of pgcopydb: run `pgcopydb dump schema --restart`.")
        })
    }
}
