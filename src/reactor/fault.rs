//! Mistakes that can be made on purpose, in unit tests only: the simulation has to notice each.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was written counts as durable before the fdatasync.
    OkBeforeSync,
    /// Recovery pays no attention to durable watermarks.
    WatermarkIgnored,
    /// Other sessions see a batch when it is written, not when it is durable.
    ShownBeforeDurable,
    /// The checksums of records are not compared.
    FooterUnchecked,
    /// An fdatasync that failed is tried again.
    SyncRetried,
    /// A lease goes back while its write is still under way.
    LeaseReusedEarly,
}

/// Whether to make it. Never, but where the simulation says so.
#[cfg(not(test))]
#[must_use]
pub const fn made(_: Fault) -> bool {
    false
}

#[cfg(test)]
pub use super::simulation::made;
