//! The receiving side: reactors like the server's, each with one thread and one file.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;

use super::failed;
use super::sync::Ring;
use crate::limits::{BLOCK, LARGE_LEASE};
use crate::reactor::{
    Access, Arena, Bound, Conn, LeaseClass, Listener, LogFile, Options, files, run, spawn,
};
use crate::tools::ToolError;

/// Bytes of a file: more than a disk's cache, written in a second.
const FILE: u64 = 1 << 30;

/// Writes in flight per connection.
const WRITES: usize = 3;

/// Running receivers.
pub(super) struct Receivers {
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    stop: tokio::sync::watch::Sender<bool>,
    fdatasyncs: Arc<AtomicU64>,
}

impl Receivers {
    /// Starts this many reactors, with pre-written files in `folder`.
    pub(super) fn start(folder: &Path, reactors: usize) -> Result<Receivers, ToolError> {
        let stop = tokio::sync::watch::Sender::new(false);
        let fdatasyncs = Arc::new(AtomicU64::new(0));
        let (mut addresses, mut threads) = (Vec::new(), Vec::new());
        for number in 0..reactors.max(1) {
            let path = folder.join(format!("floor-{number}"));
            fill(&path).map_err(failed)?;
            let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
            let mut bound = Bound::all(loopback, 1).map_err(failed)?;
            let socket = bound.pop().expect("one was asked for");
            addresses.push(socket.address().map_err(failed)?);
            let (stopped, syncs) = (stop.subscribe(), fdatasyncs.clone());
            let options = Options { core: Some(number) };
            let receive = move || run(options, receive(path, socket, syncs, stopped))?;
            let thread = std::thread::Builder::new().name(format!("floor-{number}"));
            threads.push(thread.spawn(receive).map_err(failed)?);
        }
        Ok(Receivers { addresses, threads, stop, fdatasyncs })
    }

    /// Address for connection `number`; connections are spread evenly.
    pub(super) fn address(&self, number: usize) -> SocketAddr {
        self.addresses[number % self.addresses.len()]
    }

    /// Number of fdatasyncs so far.
    pub(super) fn fdatasyncs(&self) -> u64 {
        self.fdatasyncs.load(Ordering::Relaxed)
    }

    /// Stops all reactors.
    pub(super) fn stop(self) -> Result<(), ToolError> {
        self.stop.send_replace(true);
        for thread in self.threads {
            thread.join().expect("a receiver does not panic").map_err(failed)?;
        }
        Ok(())
    }
}

/// Writes the whole file once. Allocating it would not be enough: see `tuning/README.md`.
fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE >> 20 {
        file.write_all(&zeros)?;
    }
    file.sync_all()
}

async fn receive(
    path: PathBuf,
    socket: Bound,
    fdatasyncs: Arc<AtomicU64>,
    mut stopped: tokio::sync::watch::Receiver<bool>,
) -> io::Result<()> {
    let (file, _) = files::open_direct(&path, Access::Write)?;
    let file = LogFile::new(file);
    let ring = Ring::start(file, FILE, fdatasyncs);
    let arena = Arena::new()?;
    let listener = Listener::new(socket);
    spawn(async move {
        while let Ok(peer) = listener.accept().await {
            spawn(serve(Conn::new(peer), arena.clone(), ring.clone()));
        }
    });
    // The sender is not dropped before it has set the flag.
    let _ = stopped.wait_for(|&stop| stop).await;
    Ok(())
}

/// Serves a connection until it ends. The sending side reports errors.
async fn serve(conn: Conn, arena: Arena, ring: Rc<Ring>) {
    let conn = Rc::new(conn);
    while receive_batch(&conn, &arena, &ring).await.is_ok() {}
}

/// Receives one batch. A task of its own acknowledges it, so that the next one can be received.
async fn receive_batch(conn: &Rc<Conn>, arena: &Arena, ring: &Rc<Ring>) -> io::Result<()> {
    conn.readable().await?;
    let lease = arena.lease(LeaseClass::Large).await;
    let (received, lease) = conn.recv(lease, 0..8, true).await;
    whole(received?, 8)?;
    let mut length = [0; 8];
    length.copy_from_slice(&lease.octets()[..8]);
    let mut left = u64::from_le_bytes(length);
    let receiving = ring.receiving();
    let (mut lease, mut writes) = (Some(lease), std::collections::VecDeque::new());
    while left > 0 {
        let free = match lease.take() {
            Some(first) => first,
            None => arena.lease(LeaseClass::Large).await,
        };
        let here = left.min(LARGE_LEASE as u64) as usize;
        let (received, mut full) = conn.recv(free, 0..here, true).await;
        whole(received?, here)?;
        left -= here as u64;
        let blocks = here.next_multiple_of(BLOCK);
        full.octets_mut()[here..blocks].fill(0);
        let to = ring.clone();
        writes.push_back(spawn(async move { to.write(full, blocks).await }));
        if writes.len() > WRITES {
            joined(writes.pop_front().expect("there are some")).await?;
        }
    }
    let (conn, ring) = (conn.clone(), ring.clone());
    spawn(async move {
        for write in writes {
            joined(write).await?;
        }
        drop(receiving);
        ring.durable().await?;
        conn.send(Bytes::from_static(b"."), false).await
    });
    Ok(())
}

async fn joined(write: tokio::task::JoinHandle<io::Result<()>>) -> io::Result<()> {
    write.await.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()))
}

fn whole(received: usize, wanted: usize) -> io::Result<()> {
    if received == wanted { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
