//! The server: start, threads, stop.
//!
//! A start probes the kernel, locks the data folder, replays the log to its end, and starts one
//! thread per reactor. A stop undoes this in reverse order: sessions get BYE, writes in flight are
//! finished and answered, and the catalog gets a last checkpoint.

mod check;
mod cleaner;
mod config;
mod error;
mod folder;
mod privacy;
mod quarantine;
mod resources;
mod running;
mod shared;
mod watch;
mod worker;

pub use check::Checked;
pub use config::{CleaningConfig, Config};
pub use error::StartError;
pub use privacy::{Exposed, exposed};
pub use running::{Server, Stats};
pub use watch::Watch;
