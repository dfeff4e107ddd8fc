//! A running server, from its start to its stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::folder::{make_folder, recover};
use super::handle::Handle;
use super::resources::{self, Ring};
use super::shared::Shared;
use super::worker::{Sockets, Worker};
use super::{Config, StartError, Watch, check, privacy};
use crate::auth::Users;
use crate::home::Arrival;
use crate::net::{Acceptor, TlsError};
use crate::reactor::{Bound, Instant, Options, Thread, ThreadEnd};
use crate::stats::{Figure, Tally};
use crate::store::{DataLock, SegmentPool};

/// A running server.
pub struct Server {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    tls: Option<Acceptor>,
    reactors: Vec<mpsc::UnboundedSender<Arrival>>,
    threads: Vec<Thread<Result<(), StartError>>>,
    watch: Watch,
    handle: Handle,
    pool: SegmentPool,
    over: Arc<Over>,
    /// Last field: released after all threads have ended.
    _lock: DataLock,
}

/// Counters since the start of the server, summed over all reactors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Sessions now.
    pub sessions: u64,
    /// Batches committed.
    pub batches: u64,
    /// Messages committed.
    pub messages: u64,
    /// Octets of these messages.
    pub octets: u64,
    /// Number of fdatasyncs.
    pub fdatasyncs: u64,
    /// Processor time of the reactors.
    pub cpu: Duration,
    /// Number of waits for a lease.
    pub lease_waits: u64,
    /// Segments taken into use that were only allocated, not written.
    pub unwritten_segments: u64,
}

impl Server {
    /// Starts a server and returns once it accepts connections.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub fn start(config: Config) -> Result<Server, StartError> {
        let begun = Instant::now();
        let (mut server, ready) = Server::begin(config)?;
        for reactor in ready {
            // A reactor that fails drops its sender; its thread returns the reason.
            if reactor.blocking_recv().is_err() {
                return Err(server.end().err().unwrap_or(StartError::Vanished));
            }
        }
        let (address, reactors) = (server.address, server.threads.len());
        tracing::info!(%address, reactors, "ready after {} ms", begun.elapsed().as_millis());
        Ok(server)
    }

    /// Starts a server without waiting for its reactors. Each signals when it is ready, or drops
    /// its sender.
    pub(crate) fn begin(config: Config) -> Result<(Server, Ready), StartError> {
        let begun = Instant::now();
        let rings = resources::rings(&config)?;
        let reactors = rings.len();
        let connections = resources::connections(&config, reactors);
        make_folder(&config.data)?;
        let config = config.for_its_disk();
        privacy::make_private(&config.data)?;
        let lock = DataLock::acquire(&config.data).map_err(StartError::Lock)?;
        let users = Users::open(&config.data).map_err(StartError::Users)?;
        check::unknown_masters(&config, &users).iter().for_each(|what| tracing::warn!("{what}"));
        let (segments, catalog, recovered, quarantine) = recover(&config, begun)?;
        let listen = |error| StartError::Listen(config.listen, error);
        let sockets = match &config.handed_over.imap {
            Some(socket) => Bound::adopt(socket, reactors),
            None if config.listens => Bound::all(config.listen, reactors),
            None => Ok(Vec::new()),
        };
        let sockets = sockets.map_err(listen)?;
        let address = sockets.first().map(Bound::address).transpose().map_err(listen)?;
        let address = address.unwrap_or(config.listen);
        let tls = config.tls.clone().map(Acceptor::new).transpose().map_err(StartError::Tls)?;
        let (tls_sockets, tls_address) = listen_by_tls(&config, tls.as_ref(), reactors)?;
        let watch = Watch::new(address, &config, connections, &quarantine);
        let room = (reactors, connections);
        let certificate = tls.clone();
        let log = (segments, &recovered, quarantine);
        let shared = Shared::new(&config, tls.clone(), catalog, users, log, room)?;
        let mut server = Server {
            address,
            tls_address,
            tls,
            reactors: Vec::new(),
            threads: Vec::new(),
            watch: Watch {
                pool: shared.pool.counts(),
                space: shared.space.clone(),
                scrub: shared.scrub_every.map(|_| shared.scrub.clone()),
                certificate,
                ..watch
            },
            handle: Handle::new(config.data.clone(), &shared),
            pool: shared.pool.clone(),
            over: Arc::default(),
            _lock: lock,
        };
        let (mut plain, mut tls) = (sockets.into_iter(), tls_sockets.into_iter());
        let sockets = std::iter::repeat_with(|| Sockets { plain: plain.next(), tls: tls.next() });
        let ready = server.launch(&shared, rings.into_iter().zip(sockets).collect());
        Ok((server, ready))
    }

    /// Starts the reactors.
    fn launch(&mut self, shared: &Arc<Shared>, reactors: Vec<(Ring, Sockets)>) -> Ready {
        let mut inboxes = Vec::new();
        for _ in &reactors {
            let (sender, inbox) = mpsc::unbounded_channel();
            self.reactors.push(sender);
            inboxes.push(inbox);
        }
        let _ = shared.reactors.set(self.reactors.clone());
        let mut ready = Vec::new();
        for (number, ((ring, sockets), inbox)) in reactors.into_iter().zip(inboxes).enumerate() {
            let tally = Arc::new(Tally::default());
            self.watch.reactors.push(tally.clone());
            let (tell, told) = oneshot::channel();
            ready.push(told);
            let (shared, over) = (shared.clone(), self.over.clone());
            let options = Options { core: shared.pin.then_some(number) };
            let worker = Worker { number, sockets, inbox, shared, tally, ready: tell };
            let run = async move || {
                let result = worker.run().await;
                call(&over);
                result
            };
            self.threads.push(ring.start(options, run));
        }
        ready
    }

    /// Where it listens, if it does. The port is the actual one, even if the configuration has 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens with TLS, if it does.
    #[must_use]
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// Reloads certificate and key; `false` when the server has none. Open sessions are unaffected.
    ///
    /// # Errors
    /// When the files cannot be used. The previous certificate stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.tls.as_ref().map(Acceptor::reload).transpose().map(|reloaded| reloaded.is_some())
    }

    /// Blocks until the segments prepared ahead are ready: until then, fdatasync is slower than
    /// later. Do not call it from async code.
    pub fn wait_until_settled(&self) {
        // An error means that the pool has ended and prepares no more segments.
        let _ = self.pool.settled().blocking_recv();
    }

    /// The current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for tally in &self.watch.reactors {
            let values = tally.values.load();
            stats.sessions += tally.sessions.load(Ordering::Relaxed);
            stats.batches += values.get(Figure::Batches);
            stats.messages += values.get(Figure::Messages);
            stats.octets += values.get(Figure::MailBytes);
            stats.fdatasyncs += values.get(Figure::Fdatasync);
            stats.cpu += Duration::from_micros(values.get(Figure::ReactorCpu));
            stats.lease_waits += values.get(Figure::LeaseWaits);
            stats.unwritten_segments += values.get(Figure::UnwrittenSegments);
        }
        stats
    }

    /// A view for observers, which works even after the server has ended.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// What commands ask through. It keeps nothing of the server alive.
    #[must_use]
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Calls `tell` once when a reactor ends by itself, for example because the disk fails.
    pub fn when_over(&self, tell: impl FnOnce() + Send + 'static) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tell));
        if self.threads.iter().any(Thread::is_over) {
            call(&self.over);
        }
    }

    /// Stops the server: sessions get BYE, batches in flight finish or are dropped whole.
    ///
    /// # Errors
    /// The failure of a reactor.
    pub fn stop(mut self) -> Result<(), StartError> {
        self.end()
    }

    /// [`Server::stop`] for async code.
    #[cfg(test)]
    pub(crate) async fn ended(mut self) -> Result<(), StartError> {
        let mut result = Ok(());
        for thread in self.tell_to_end() {
            result = result.and(outcome(thread.ended().await));
        }
        result
    }

    fn end(&mut self) -> Result<(), StartError> {
        let mut result = Ok(());
        for thread in self.tell_to_end() {
            result = result.and(outcome(thread.join()));
        }
        result
    }

    /// Tells all reactors to end and returns their threads, which the caller waits for.
    fn tell_to_end(&mut self) -> Vec<Thread<Result<(), StartError>>> {
        self.watch.stopping.store(true, Ordering::Relaxed);
        for reactor in &self.reactors {
            // An error means that the reactor has ended already.
            let _ = reactor.send(Arrival::Stop);
        }
        std::mem::take(&mut self.threads)
    }
}

/// The result of a reactor's thread.
fn outcome(ended: Result<Result<(), StartError>, ThreadEnd>) -> Result<(), StartError> {
    ended.unwrap_or_else(|end| match end {
        ThreadEnd::Failed(error) => Err(StartError::System(error)),
        ThreadEnd::Panicked => Err(StartError::Vanished),
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!("{error}");
        }
    }
}

/// Signals from the reactors that they accept connections.
type Ready = Vec<oneshot::Receiver<()>>;

/// Callback for the end of a reactor.
type Over = Mutex<Option<Box<dyn FnOnce() + Send>>>;

fn call(over: &Over) {
    let tell = over.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(tell) = tell {
        tell();
    }
}

/// The TLS sockets, one for each reactor, and their address; none without TLS.
fn listen_by_tls(
    config: &Config,
    tls: Option<&Acceptor>,
    reactors: usize,
) -> Result<(Vec<Bound>, Option<SocketAddr>), StartError> {
    let wished = config.tls_listen.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 993)));
    let listen = |error| StartError::Listen(wished, error);
    let sockets = match (&config.handed_over.imaps, config.tls_listen) {
        (Some(socket), _) => Bound::adopt(socket, reactors),
        (None, Some(address)) if tls.is_some() => Bound::all(address, reactors),
        (None, Some(address)) => return Err(StartError::NoCertificate(address)),
        (None, None) => return Ok((Vec::new(), None)),
    };
    let sockets = sockets.map_err(listen)?;
    let address = sockets[0].address().map_err(listen)?;
    if tls.is_none() {
        return Err(StartError::NoCertificate(address));
    }
    Ok((sockets, Some(address)))
}
