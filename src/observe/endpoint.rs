//! The admin endpoint: its socket, its thread and its limits.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use tokio::time::MissedTickBehavior;

use super::answer::{Answers, Scope};
use super::observer::Observer;
use crate::limits::{
    ADMIN_CONNECTION_TIME, ADMIN_CONNECTIONS, ADMIN_PROBES, ADMIN_REQUEST, ADMIN_REQUEST_TIME,
};
use crate::reactor::{sleep, timeout};
use crate::server::Watch;

/// Time between two readings of the server's counters.
const TICK: Duration = Duration::from_secs(1);

/// Pause after a failed accept.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Largest number of headers in a request.
const HEADERS: usize = 64;

/// Nice value of its thread: reactors go first.
const NICE: i32 = 10;

/// Why there is no endpoint.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The address is not a loopback address.
    #[error(
        "--admin {0}: must be a loopback address, such as 127.0.0.1:9143 or [::1]:9143, because \
         the page shows user names and asks for no password; use ssh -L from other machines"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}; see --admin")]
    Listen(SocketAddr, #[source] io::Error),
    /// The operating system refused a thread.
    #[error("cannot start the admin endpoint: {0}")]
    System(#[source] io::Error),
}

/// The socket of an endpoint that has not started yet.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Listens on a loopback address; port 0 stands for any free port.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub(crate) fn new(address: SocketAddr) -> Result<Bound, AdminError> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(AdminError::NotLoopback(address));
        }
        let listen = |error| AdminError::Listen(address, error);
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Bound { listener, address })
    }
}

/// A running endpoint. Dropping it stops it.
pub(crate) struct Endpoint {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Endpoint {
    /// Starts to serve requests about this server.
    ///
    /// # Errors
    /// If the operating system refuses a thread.
    pub(crate) fn start(bound: Bound, watch: Watch) -> Result<Endpoint, AdminError> {
        let Bound { listener, address } = bound;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(AdminError::System)?;
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            give_way();
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = serve(listener, watch) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name("admin".into()).spawn(run);
        let thread = Some(thread.map_err(AdminError::System)?);
        tracing::info!("admin endpoint on http://{address}/");
        Ok(Endpoint { address, stop: Some(stop), thread })
    }

    /// The address it listens on, with the real port even if 0 was asked for.
    #[must_use]
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic is a bug, and has been logged.
            let _ = thread.join();
        }
    }
}

/// Lowers the priority of this thread: observing must not slow down the server.
fn give_way() {
    let own = Some(rustix::thread::gettid());
    if let Err(error) = rustix::process::setpriority_process(own, NICE) {
        tracing::debug!("the admin endpoint keeps its priority: {error}");
    }
}

async fn serve(listener: TcpListener, watch: Watch) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the admin endpoint does not run: {error}"),
    };
    let observer = Rc::new(RefCell::new(Observer::new(watch)));
    let answers = Rc::new(Answers::new());
    spawn_local(look(observer.clone()));
    let room = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
    let mut probes = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let permit = room.clone().try_acquire_owned().ok();
                let is_probe = permit.is_none();
                let connection = connection(stream, permit, observer.clone(), answers.clone());
                let task = spawn_local(connection);
                if is_probe {
                    make_room(&mut probes);
                    probes.push_back(task);
                    // Answers the probe before the next connection is accepted.
                    yield_now().await;
                }
            }
            Err(error) => {
                tracing::debug!("the admin endpoint cannot accept a connection: {error}");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Ends the oldest probe if there are too many.
fn make_room(probes: &mut VecDeque<JoinHandle<()>>) {
    probes.retain(|task| !task.is_finished());
    if probes.len() == ADMIN_PROBES
        && let Some(oldest) = probes.pop_front()
    {
        oldest.abort();
    }
}

async fn look(observer: Rc<RefCell<Observer>>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first tick is immediate, and the observer has just looked.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        observer.borrow_mut().tick();
    }
}

async fn connection(
    stream: TcpStream,
    permit: Option<OwnedSemaphorePermit>,
    observer: Rc<RefCell<Observer>>,
    answers: Rc<Answers>,
) {
    let scope = if permit.is_some() { Scope::All } else { Scope::Probes };
    let service = service_fn(|request| {
        let response = answers.answer(&request, scope, &mut observer.borrow_mut());
        async { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(ADMIN_REQUEST_TIME)
        .keep_alive(scope == Scope::All)
        .max_buf_size(ADMIN_REQUEST)
        .max_headers(HEADERS);
    let serving = http.serve_connection(TokioIo::new(stream), service);
    // A browser that is cut off reconnects by itself.
    if let Some(Err(error)) = timeout(ADMIN_CONNECTION_TIME, serving).await {
        tracing::debug!("a connection to the admin endpoint: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_is_listened_on() {
        for address in ["0.0.0.0:0", "192.0.2.1:9143", "[::]:0"] {
            let error = Bound::new(address.parse().unwrap()).unwrap_err();
            assert!(matches!(error, AdminError::NotLoopback(_)), "{error}");
            assert!(error.to_string().contains(address), "{error}");
        }
        let bound = Bound::new("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Bound::new(bound.address).unwrap_err();
        assert!(matches!(error, AdminError::Listen(..)), "{error}");
    }
}
