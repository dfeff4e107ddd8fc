//! The server's side of the control socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{LocalSet, spawn_local};

use super::{Answer, Request, socket};
use crate::limits::{CONTROL_CONNECTIONS, CONTROL_REQUEST, CONTROL_TIME};
use crate::reactor::{give_way, sleep, timeout};
use crate::server::Handle;

/// Pause after a failed accept.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// A control socket that is served. Dropping it ends the connections and removes the socket.
pub(crate) struct Control {
    data: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Control {
    /// Makes the socket in the data folder, which this process has locked. A server runs without
    /// one as well: a failure is logged, and `None` returned.
    pub(crate) fn start(data: &Path, handle: Handle) -> Option<Control> {
        Control::try_start(data, handle)
            .inspect_err(|error| {
                tracing::warn!(
                    "cannot make the control socket {}: {error}; `mailrace space` and `mailrace \
                     clean` cannot ask this server",
                    data.join("control").display()
                );
            })
            .ok()
    }

    fn try_start(data: &Path, handle: Handle) -> io::Result<Control> {
        let listener = socket::listen(data)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            give_way();
            LocalSet::new().block_on(&runtime, async {
                let listener = match UnixListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!("no control socket is served: {error}"),
                };
                tokio::select! {
                    () = serve(listener, handle) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = thread::Builder::new().name("control".into()).spawn(run)?;
        Ok(Control { data: data.to_owned(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic is a bug, and has been logged.
            let _ = thread.join();
        }
        if let Err(error) = socket::remove(&self.data) {
            tracing::debug!("the control socket stays: {error}");
        }
    }
}

async fn serve(listener: UnixListener, handle: Handle) {
    let room = Arc::new(Semaphore::new(CONTROL_CONNECTIONS));
    loop {
        // Further connections wait in the queue of the system.
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let handle = handle.clone();
                spawn_local(async move {
                    if let Err(error) = attend(&stream, &handle).await {
                        tracing::debug!("a connection to the control socket: {error}");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!("the control socket cannot accept a connection: {error}");
                sleep(AFTER_FAILURE).await;
            }
        }
    }
}

/// Serves one connection: a request and its answers.
async fn attend(stream: &UnixStream, handle: &Handle) -> io::Result<()> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "no request came");
    let line = timeout(CONTROL_TIME, line(stream)).await.ok_or_else(late)??;
    let request = match serde_json::from_slice(&line) {
        Ok(request) => request,
        Err(error) => {
            let why = format!("this server does not know that request: {error}");
            return send(stream, &Answer::Refused(why)).await;
        }
    };
    match request {
        Request::Space {} => {
            let space = handle.space().await;
            let refused = |error: crate::server::NoAnswer| Answer::Refused(error.to_string());
            let answer = space.map_or_else(refused, |space| Answer::Space(Box::new(space)));
            send(stream, &answer).await
        }
        Request::Clean { all, purge } => clean(stream, handle, all, purge).await,
        Request::Purge { account } => {
            tracing::info!(%account, "an operator asked to delete the mail of a removed user");
            let purged = handle.purge(account).await;
            let refused = |error: crate::server::NoAnswer| Answer::Refused(error.to_string());
            send(stream, &purged.map_or_else(refused, Answer::Purged)).await
        }
    }
}

async fn clean(stream: &UnixStream, handle: &Handle, all: bool, purge: bool) -> io::Result<()> {
    tracing::info!(all, purge, "an operator asked to clean");
    let mut told = match handle.clean(all, purge) {
        Ok(told) => told,
        Err(error) => return send(stream, &Answer::Refused(error.to_string())).await,
    };
    loop {
        let progress = tokio::select! {
            progress = told.recv() => progress,
            // Cleaning ends after the current segment, because nobody is told any more.
            gone = hung_up(stream) => return gone,
        };
        let Some(progress) = progress else { return Ok(()) };
        send(stream, &Answer::Cleaned(progress)).await?;
    }
}

/// Waits for the end of the connection. Anything else that the command sends is dropped.
async fn hung_up(stream: &UnixStream) -> io::Result<()> {
    let mut dropped = [0; 512];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut dropped) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads a line, without its end.
async fn line(stream: &UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut octets = [0; 512];
    loop {
        stream.readable().await?;
        let read = match stream.try_read(&mut octets) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => &octets[..read],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        if let Some(end) = memchr::memchr(b'\n', read) {
            line.extend_from_slice(&read[..end]);
            return Ok(line);
        }
        line.extend_from_slice(read);
        if line.len() > CONTROL_REQUEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is too long"));
        }
    }
}

async fn send(stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    let mut octets = serde_json::to_vec(answer)?;
    octets.push(b'\n');
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the answer is not read");
    timeout(CONTROL_TIME, write(stream, &octets)).await.ok_or_else(late)?
}

async fn write(stream: &UnixStream, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        stream.writable().await?;
        match stream.try_write(octets) {
            Ok(written) => octets = &octets[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
