//! What the operator sees: the admin endpoint with its metrics, probes and live page.
//!
//! ```text
//! Watch (the counters of a running server)
//!    └─▶ Reading, once a second ─▶ Observer: history, rates, health
//!                                     ├─▶ Status: /status.json ─▶ the page, `mailrace top`
//!                                     ├─▶ metrics: /metrics
//!                                     └─▶ health: /healthz, /readyz
//! ```
//!
//! It runs on a thread of its own, of low priority, and only reads: whatever happens here, no
//! reactor waits for it.

mod answer;
mod disk;
mod endpoint;
mod health;
mod history;
mod metrics;
mod observer;
mod reading;
mod status;
mod view;

pub use endpoint::{AdminError, Bound, Endpoint};
pub use status::{
    Disk, History, Latency, Rates, Reactor, Refusal, STATUS_VERSION, Segments, Status, Totals,
    Upload,
};
