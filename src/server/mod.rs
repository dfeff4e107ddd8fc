//! The server: start, threads, stop.
//!
//! A start probes the kernel, locks the data folder, replays the log to its end, and starts one
//! thread per reactor. A stop undoes this in reverse order: sessions get BYE, writes in flight are
//! finished and answered, and the catalog gets a last checkpoint.

mod asked;
mod check;
mod config;
mod error;
mod folder;
mod handle;
mod privacy;
mod quarantine;
mod resources;
mod running;
mod shared;
mod space;
mod watch;
mod worker;

pub(crate) use asked::Cleaned;
pub use check::Checked;
pub use config::{CleaningConfig, Config, SnapshotConfig};
pub use error::StartError;
pub(crate) use folder::{MANIFEST, RESTORING};
pub(crate) use handle::{Handle, NoAnswer};
pub use privacy::{Exposed, exposed};
pub use running::{Server, Stats};
pub(crate) use space::{Files, NextCleaning, Purging, Scrubbed, Space, of_stopped};
pub use watch::Watch;
