//! What lives in the segments of a folder that no server uses.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, ReadableDatabase};

use super::counts::Live;
use super::residents::all;
use crate::index::error::{CatalogError, Rot};
use crate::index::failure::Failure;
use crate::index::file::{CATALOG_FORMAT, format};
use crate::store::SegmentId;

/// `None` if the catalog is of another format.
type Found = Result<Option<Vec<(SegmentId, Live)>>, Failure>;

/// What lives in each segment according to a catalog that no server uses, without changing it.
/// `None` if there is no catalog, or it is of another format.
///
/// # Errors
/// See [`CatalogError`]; also when there is no room for a copy in the folder for temporary files.
pub(crate) fn stored_live(path: &Path) -> Result<Option<Vec<(SegmentId, Live)>>, CatalogError> {
    if !path.try_exists().map_err(CatalogError::io(path))? {
        return Ok(None);
    }
    fn read(database: &impl ReadableDatabase) -> Found {
        match format(database)? {
            Some(CATALOG_FORMAT) => all(database).map(Some),
            _ => Ok(None),
        }
    }
    let guarded = |look: &dyn Fn() -> Found| {
        catch_unwind(AssertUnwindSafe(look))
            .unwrap_or_else(|_| Err(Rot("the database contradicts itself").into()))
    };
    if let Ok(found) = guarded(&|| read(&Builder::new().open_read_only(path)?)) {
        return Ok(found);
    }
    // After a crash redb repairs the file before it can be read. That happens to a copy.
    let work = tempfile::Builder::new().prefix("mailrace-space-").tempdir();
    let work = work.map_err(CatalogError::io(&std::env::temp_dir()))?;
    let copy = work.path().join("catalog.redb");
    fs::copy(path, &copy).map_err(CatalogError::io(path))?;
    guarded(&|| read(&Builder::new().open(&copy)?)).map_err(|failure| failure.explain(path))
}
