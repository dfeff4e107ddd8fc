//! Since when segments have had dead octets, as cleaning asks for it.

use std::collections::BTreeSet;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::deaths::{DEATHS, UNFINISHED};
use crate::index::error::CatalogError;
use crate::index::file::{CatalogFile, begin_write};
use crate::store::SegmentId;

impl CatalogFile {
    /// The segments that may have dead octets, and since when, in seconds since 1970 UTC; 0 if that
    /// was at an unknown time. Segments that are no more are left in.
    #[allow(clippy::missing_errors_doc)]
    pub fn deaths(&self) -> Result<Vec<(SegmentId, u64)>, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(DEATHS)?;
            let mut deaths = Vec::new();
            for row in table.iter()? {
                let (segment, since) = row?;
                deaths.push((SegmentId(segment.value()), since.value()));
            }
            Ok(deaths)
        })
    }

    /// Forgets all segments but these.
    #[allow(clippy::missing_errors_doc)]
    pub fn forget_deaths_but(&self, segments: &BTreeSet<SegmentId>) -> Result<(), CatalogError> {
        self.work(|database| {
            let rows = database.begin_read()?.open_table(DEATHS)?.len()?;
            if rows == 0 {
                return Ok(());
            }
            let transaction = begin_write(database)?;
            transaction
                .open_table(DEATHS)?
                .retain(|segment, _| segments.contains(&SegmentId(segment)))?;
            Ok(transaction.commit()?)
        })
    }

    /// The first segments with octets that no record had named at the last checkpoint of each log.
    pub(in crate::index) fn unfinished(&self) -> Result<Vec<SegmentId>, CatalogError> {
        self.work(|database| {
            let table = database.begin_read()?.open_table(UNFINISHED)?;
            let mut first = Vec::new();
            for row in table.iter()? {
                first.push(SegmentId(row?.1.value()));
            }
            Ok(first)
        })
    }
}
