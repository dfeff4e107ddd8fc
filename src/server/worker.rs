//! The thread of one reactor.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use super::StartError;
use super::shared::Shared;
use super::space::{Cleaner, Scrub, Snapshots};
use crate::home::{Arrival, Checkpoints, GuardedLog, Home, carry_out, publish};
use crate::net::{Acceptor, Concern};
use crate::reactor::{Arena, Bound, Listener, Peer, random, sleep, spawn, timeout, unix_seconds};
use crate::session::{purge, serve};
use crate::stats::{Counters, Tally};
use crate::store::{Files, Log, LogId, PoolCounts, Sequencer};
use imap::protocol::response::Code;

/// Time that sessions have to end when the server stops.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause after a failed accept, which is usually caused by a lack of descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Interval at which a reactor checks that the files of its log are in place.
const LOOK: Duration = Duration::from_millis(250);

/// Where a reactor listens.
pub(super) struct Sockets {
    pub plain: Option<Bound>,
    pub tls: Option<Bound>,
}

/// What a reactor's thread starts with.
pub(super) struct Worker {
    pub number: usize,
    pub sockets: Sockets,
    pub inbox: mpsc::UnboundedReceiver<Arrival>,
    pub shared: Arc<Shared>,
    pub tally: Arc<Tally>,
    pub ready: oneshot::Sender<()>,
}

impl Worker {
    /// Runs the reactor until the server stops or the log breaks.
    pub(super) async fn run(self) -> Result<(), StartError> {
        let Worker { number, sockets, mut inbox, shared, tally, ready } = self;
        let thread = u64::from(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs());
        tally.thread.store(thread, Ordering::Relaxed);
        let home = home(number, &shared, tally).await?;
        let plain = sockets.plain.map(|socket| (Rc::new(Listener::new(socket)), false));
        let tls = sockets.tls.map(|socket| (Rc::new(Listener::new(socket)), true));
        let listeners: Vec<_> = plain.into_iter().chain(tls).collect();
        let checkpoints = Rc::new(Checkpoints::new(home.clone(), shared.pool.clone()));
        let accepting: Vec<_> = listeners
            .iter()
            .map(|(listener, tls)| spawn(accept(home.clone(), listener.clone(), *tls)))
            .collect();
        let saving = spawn({
            let checkpoints = checkpoints.clone();
            async move { checkpoints.run().await }
        });
        let publishing = spawn(publish(home.clone()));
        let reminding = match (number, &shared.settings.tls) {
            (0, Some(acceptor)) => Some(spawn(remind(acceptor.clone()))),
            _ => None,
        };
        let cleaning = match number {
            0 => {
                let cleaner = Cleaner::new(shared.clone()).map_err(StartError::System)?;
                Some(spawn(cleaner.run()))
            }
            _ => None,
        };
        let keeping = match number {
            0 => {
                let snapshots = Snapshots::new(shared.clone()).map_err(StartError::System)?;
                Some(spawn(snapshots.run()))
            }
            _ => None,
        };
        let scrubbing = match number {
            0 => {
                let scrub = Scrub::new(shared.clone()).map_err(StartError::System)?;
                scrub.map(|scrub| spawn(scrub.run()))
            }
            _ => None,
        };
        let guarding = spawn(guard(home.clone(), shared.pool.counts()));
        let _ = ready.send(());
        let broken = loop {
            tokio::select! {
                biased;
                arrival = inbox.recv() => match arrival {
                    Some(Arrival::Stop) | None => break None,
                    Some(Arrival::Clean(step)) => {
                        drop(spawn(carry_out(step, home.clone(), checkpoints.clone())));
                    }
                    Some(Arrival::Purge(request)) => drop(spawn(purge(home.clone(), request))),
                    Some(arrival) => drop(spawn(serve(home.clone(), arrival))),
                },
                why = home.log.broken() => break Some(why),
            }
        };
        listeners.iter().for_each(|(listener, _)| listener.shutdown());
        match &broken {
            None => home.end_sessions(None, "the server is stopping"),
            Some(_) => {
                home.tally.broken.store(true, Ordering::Relaxed);
                home.end_sessions(Some(Code::Unavailable), "the disk failed");
            }
        }
        if timeout(PATIENCE, sessions_end(&home)).await.is_none() {
            // The remaining clients do not read their BYE.
            home.roster.borrow().values().for_each(|conn| conn.shutdown());
        }
        accepting.iter().for_each(|task| task.abort());
        publishing.abort();
        guarding.abort();
        let others = reminding.iter().chain(&cleaning).chain(&keeping).chain(&scrubbing);
        others.for_each(|task| task.abort());
        if let Some(why) = broken {
            let lost = shared.pool.counts().lost.get().is_some();
            let why = why.to_string();
            return Err(if lost { StartError::Lost(why) } else { StartError::Log(why) });
        }
        home.log.durable().await?;
        checkpoints.stop();
        // An error is a panic in the task, which has been logged.
        let _ = saving.await;
        home.count();
        Ok(())
    }
}

async fn home(
    number: usize,
    shared: &Arc<Shared>,
    tally: Arc<Tally>,
) -> Result<Rc<Home>, StartError> {
    let arena = Arena::new().map_err(StartError::System)?;
    let log_id = LogId(u16::try_from(number).map_err(|_| StartError::TooManyReactors)?);
    let salt = random().map_err(StartError::System)?;
    let sequencer = Sequencer::new(shared.epoch, log_id, shared.count, salt);
    let (pool, ingested) = (shared.pool.clone(), shared.ingested.clone());
    let log = Log::start(sequencer, shared.epoch, log_id, pool, ingested, &arena).await?;
    Ok(Rc::new(Home {
        number,
        epoch: shared.epoch,
        arena,
        log: GuardedLog::new(log),
        files: Files::new(shared.segments.clone(), shared.openers.clone()),
        catalog: shared.catalog.clone(),
        verifier: shared.verifier.clone(),
        offload: shared.offload.another(),
        settings: shared.settings.clone(),
        reactors: shared.reactors.clone(),
        mailboxes: shared.mailboxes.clone(),
        connections: shared.connections.clone(),
        seats: Rc::default(),
        tally,
        counters: Rc::new(Counters::new(shared.settings.observed)),
        unfinished: Rc::default(),
        committed: Cell::default(),
        owners: RefCell::default(),
        roster: RefCell::default(),
        ending: RefCell::default(),
        next_session: Cell::new(0),
        ended: Notify::new(),
    }))
}

async fn accept(home: Rc<Home>, listener: Rc<Listener>, implicit_tls: bool) {
    let mut failing = false;
    while home.ending.borrow().is_none() {
        match listener.accept().await {
            Ok(peer) => {
                failing = false;
                admit(&home, peer, implicit_tls);
            }
            Err(_) if home.ending.borrow().is_some() => return,
            Err(error) => {
                // Logged once per series of failures.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!("cannot accept connections: {error}; they wait");
                }
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Logs at startup and once a day if the certificate is not valid or expires soon.
async fn remind(acceptor: Acceptor) {
    loop {
        match acceptor.concern(unix_seconds()) {
            Some(Concern::Invalid(text)) => {
                tracing::error!("clients will refuse this server: {text}")
            }
            Some(Concern::Soon(text)) => tracing::warn!("{text}"),
            None => {}
        }
        sleep(DAY).await;
    }
}

/// Breaks the log when its files were deleted or moved away: the next start would not find what is
/// written to them.
async fn guard(home: Rc<Home>, counts: Arc<PoolCounts>) {
    while home.ending.borrow().is_none() {
        sleep(LOOK).await;
        if let Some(segment) = home.log.nameless() {
            let path = home.files.segments().path(segment);
            counts.lost.get_or_init(|| format!("{} was deleted", path.display()));
        }
        if let Some(lost) = counts.lost.get() {
            return home.log.lose(lost);
        }
    }
}

fn admit(home: &Rc<Home>, peer: Peer, implicit_tls: bool) {
    match home.connections.take(peer.address().ip()) {
        Ok(permit) => {
            let arrival = Arrival::New { guest: peer.into(), permit, implicit_tls };
            drop(spawn(serve(home.clone(), arrival)));
        }
        Err(crowded) => {
            home.turned_away(&peer, &crowded.for_operator());
            if implicit_tls {
                // Without a handshake the client cannot read a reason.
                return;
            }
            drop(spawn(async move {
                let text = format!("* BYE [UNAVAILABLE] {crowded}\r\n");
                let conn = crate::reactor::Conn::new(peer);
                let _ = conn.send(text.into(), false).await;
            }));
        }
    }
}

async fn sessions_end(home: &Home) {
    while !home.roster.borrow().is_empty() {
        home.ended.notified().await;
    }
}
