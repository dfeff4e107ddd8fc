//! When snapshots of the catalog are written, and what is dropped then.
//!
//! A record file is needed only to make the catalog again. Once a snapshot is durable that has
//! everything in it, the file may go:
//!
//! ```text
//! note      the segments that are stripped now: whatever names their octets is in the catalog
//! snapshot  durable, under its own name
//! drop      of the noted record files, those wholly before its positions
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, thread};

use crate::index::SNAPSHOTS;
use crate::reactor::{Jobs, files, sleep};
use crate::server::config::SnapshotConfig;
use crate::server::shared::Shared;
use crate::store::{Dropped, drop_records};

/// Writes snapshots for as long as the server runs.
pub(in crate::server) struct Snapshots {
    shared: Arc<Shared>,
    how: SnapshotConfig,
    data: PathBuf,
    /// Number and octets of the record files that the last snapshot left.
    left: (u64, u64),
    /// Whether the last attempt failed, which was logged.
    failing: bool,
    stopping: Arc<AtomicBool>,
    /// Last field: ends once its job was told to stop.
    jobs: Jobs,
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl Snapshots {
    pub(in crate::server) fn new(shared: Arc<Shared>) -> io::Result<Snapshots> {
        let data = shared.segments.folder().parent().unwrap_or(Path::new(".")).to_owned();
        Ok(Snapshots {
            how: shared.snapshots.clone(),
            jobs: Jobs::start_behind("snapshot", 1, Jobs::ANY)?,
            shared,
            data,
            left: (0, 0),
            failing: false,
            stopping: Arc::default(),
        })
    }

    /// Looks again and again whether a snapshot is due.
    pub(in crate::server) async fn run(mut self) {
        loop {
            sleep(self.how.look).await;
            let done = match self.is_due().await {
                Ok(false) => continue,
                Ok(true) => self.take().await,
                Err(error) => Err(error),
            };
            match done {
                Ok(dropped) => {
                    self.failing = false;
                    if dropped.files > 0 {
                        let Dropped { files, octets } = dropped;
                        tracing::info!("dropped {files} record files with {octets} bytes");
                    }
                }
                // Logged once per series of failures.
                Err(error) if !std::mem::replace(&mut self.failing, true) => {
                    tracing::warn!("no snapshot of the catalog for now: {error}");
                }
                Err(_) => {}
            }
        }
    }

    /// Whether record files have outgrown the catalog, or are too many.
    async fn is_due(&self) -> Result<bool, String> {
        let (count, octets) = self.record_files();
        let (more, grown) = (count.saturating_sub(self.left.0), octets.saturating_sub(self.left.1));
        if more > self.how.files {
            return Ok(true);
        }
        if grown <= self.how.least {
            return Ok(false);
        }
        let data = self.data.clone();
        let listed = self.jobs.run(move || files::list(&data)).await;
        let listed = listed.map_err(|error| error.to_string())?;
        let listed = listed.map_err(|error| format!("{}: {error}", self.data.display()))?;
        let catalog = listed.iter().find(|(name, _)| name == "catalog.redb");
        let catalog = catalog.map_or(0, |&(_, length)| length);
        Ok(grown > self.how.times * catalog)
    }

    /// Number and octets of all record files.
    fn record_files(&self) -> (u64, u64) {
        let stripped = self.shared.segments.record_files();
        (stripped.len() as u64, stripped.iter().map(|(_, length)| length).sum())
    }

    /// Writes a snapshot now, and drops the record files that it makes superfluous.
    ///
    /// # Errors
    /// A sentence.
    async fn take(&mut self) -> Result<Dropped, String> {
        let segments = self.shared.segments.clone();
        let stripped = segments.record_files();
        let (rate, stopping) = (self.how.rate, self.stopping.clone());
        let pause = move |octets: usize| {
            if let Some(rate) = rate {
                thread::sleep(Duration::from_secs_f64(octets as f64 / rate as f64));
            }
            !stopping.load(Ordering::Relaxed)
        };
        let folder = self.data.join(SNAPSHOTS);
        let written = self.shared.catalog.write_snapshot(&self.jobs, folder, pause).await;
        let Some(snapshot) = written.map_err(|error| error.to_string())? else {
            return Ok(Dropped::default());
        };
        let (number, rows, length) = (snapshot.number, snapshot.rows, snapshot.length);
        tracing::info!("snapshot {number} of the catalog has {rows} rows, {length} bytes");
        let positions = snapshot.positions;
        let dropped = self.jobs.run(move || drop_records(&segments, &stripped, &positions)).await;
        let dropped = dropped.map_err(|error| error.to_string())?;
        let dropped = dropped.map_err(|error| format!("record files are not dropped: {error}"))?;
        self.left = self.record_files();
        Ok(dropped)
    }
}
