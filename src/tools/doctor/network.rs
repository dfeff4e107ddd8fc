//! Sockets: the accept backlog and the receive window.

use super::finding::Finding;
use super::kernel::line;

/// The backlog of connections that the server asks for.
const BACKLOG: u64 = 4096;

/// Bytes that a connection should be able to have in flight: 1 Gbit/s over 30 ms.
const WINDOW: u64 = 4 << 20;

/// Limits of the kernel.
pub(super) struct Facts {
    /// `net.core.somaxconn`.
    pub backlog: Option<u64>,
    /// The third number of `net.ipv4.tcp_rmem`, in bytes.
    pub receive: Option<u64>,
}

impl Facts {
    /// Reads the limits.
    pub(super) fn here() -> Facts {
        let last = |line: String| line.split_whitespace().last()?.parse().ok();
        Facts {
            backlog: line("/proc/sys/net/core/somaxconn").and_then(last),
            receive: line("/proc/sys/net/ipv4/tcp_rmem").and_then(last),
        }
    }
}

/// All checks of sockets.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    vec![backlog(facts.backlog), receive(facts.receive)]
}

fn backlog(limit: Option<u64>) -> Finding {
    match limit {
        None => Finding::unknown("backlog", "net.core.somaxconn cannot be read"),
        Some(limit) if limit >= BACKLOG => {
            Finding::fine("backlog", format!("net.core.somaxconn is {limit}"))
        }
        Some(limit) => Finding::to_do(
            "backlog",
            format!("net.core.somaxconn is {limit}"),
            format!("when thousands of clients connect at once, those beyond {limit} must retry"),
            format!(
                "sysctl net.core.somaxconn={BACKLOG}; permanently with \
                 tuning/sysctl.d/90-mailrace.conf"
            ),
        ),
    }
}

fn receive(limit: Option<u64>) -> Finding {
    match limit {
        None => Finding::unknown("receive window", "net.ipv4.tcp_rmem cannot be read"),
        Some(limit) if limit >= WINDOW => {
            Finding::fine("receive window", format!("up to {limit} bytes per connection"))
        }
        Some(limit) => Finding::to_do(
            "receive window",
            format!("up to {limit} bytes per connection"),
            "a single connection cannot fill a fast link over a long distance",
            "sysctl net.ipv4.tcp_rmem='4096 131072 33554432'; permanently with \
             tuning/sysctl.d/90-mailrace.conf",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn limits_are_compared() {
        assert_eq!(backlog(Some(4096)).verdict, Verdict::Fine);
        assert_eq!(backlog(Some(128)).verdict, Verdict::ToDo);
        assert_eq!(receive(Some(6 << 20)).verdict, Verdict::Fine);
        assert_eq!(receive(Some(212_992)).verdict, Verdict::ToDo);
        let unknown = check(&Facts { backlog: None, receive: None });
        assert!(unknown.iter().all(|finding| finding.verdict == Verdict::Unknown));
    }
}
