//! Time, as a reactor sees it.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Waits so long.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits for `future` at most so long; `None` when the time is over. Only for futures that may be
/// dropped: see the rules of [`super`].
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(duration, future).await.ok()
}

/// Seconds since 1970-01-01T00:00:00Z, for dates that are kept.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Processor time that this thread has used since it began.
#[must_use]
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
