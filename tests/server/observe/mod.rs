//! The admin endpoint, its page and `mailrace top`, on the real binary.

mod audit;
pub mod http;
mod limits;
mod lines;
mod load;
mod log;
mod metrics;
mod page;
mod picture;
mod probes;
mod top;
mod webdriver;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kit::{Folder, Server};

/// A server with an admin endpoint and two reactors.
fn observed(folder: &Folder, flags: &[&str]) -> (Server, SocketAddr) {
    let mut all = vec!["--admin", "127.0.0.1:0", "--reactors", "2"];
    all.extend_from_slice(flags);
    let server = Server::with(folder, &all);
    let admin = server.admin();
    (server, admin)
}

/// Longer than any change takes to show on a busy machine. A test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks repeatedly until there is a result.
#[track_caller]
pub fn until<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(found) = what() {
            return found;
        }
    }
    panic!("it does not become so");
}
