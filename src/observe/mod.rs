//! The admin endpoint: metrics, probes and the live page.
//!
//! ```text
//! Watch (the counters of a running server)
//!    └─▶ Reading, once a second ─▶ Observer: history, rates, health
//!                                     ├─▶ Status: /status.json ─▶ the page, `mailrace top`
//!                                     ├─▶ metrics: /metrics
//!                                     └─▶ health: /healthz, /readyz
//! ```
//!
//! The endpoint runs on a thread of its own with low priority, and only reads: no reactor ever
//! waits for it. Names and help of the figures are declared in [`stats`](crate::stats::Figure).

mod answer;
mod disk;
mod endpoint;
mod health;
mod history;
mod metrics;
mod observer;
mod process;
mod reading;
mod status;
mod view;

pub(crate) use endpoint::{AdminError, Bound, Endpoint};
#[cfg(test)]
pub(crate) use status::{Disk, FigureValue, History, Rates, Segments, Totals};
pub(crate) use status::{FigureStatus, Refusal, STATUS_VERSION, Status, Upload};
