//! The space of a data folder: what takes it, and how the space of deleted mail is given back.

mod cleaner;
mod purge;
mod report;
mod scrub;
mod snapshots;
mod steps;
mod survey;

pub(super) use cleaner::Cleaner;
pub(super) use report::of_running;
pub(crate) use report::{Files, NextCleaning, Purging, Scrubbed, Space, of_stopped};
pub(super) use scrub::Scrub;
pub(super) use snapshots::Snapshots;
