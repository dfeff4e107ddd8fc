//! `mailrace serve`: runs the server until a signal stops it.

use std::fmt::Write;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::exit::{self, Failure};
use super::guard;
use super::logs::{LogOptions, Logs};
use super::notify::Manager;
use super::settings::{ServeArgs, config};
use crate::control::Control;
use crate::limits;
use crate::observe::{self, AdminError, Endpoint};
use crate::reactor::HandedOver;
use crate::server::{Checked, Config, Server};

/// Checks whether a server could start with these settings, without starting one.
pub(super) fn check(args: &ServeArgs) -> Result<Checked, Failure> {
    let checked =
        Server::check(&config(args)).map_err(|error| exit::of_server(&error, &args.data))?;
    match args.admin.map(observe::Bound::new).transpose() {
        Err(AdminError::Listen(_, error))
            if checked.running && Errno::from_io_error(&error) == Some(Errno::ADDRINUSE) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    Ok(checked)
}

pub(super) fn run(args: ServeArgs) -> Result<(), Failure> {
    let handed_over = HandedOver::take().map_err(|error| Failure::new(exit::Code::Io, error))?;
    guard::only_for_owner();
    // Before the start, so that a signal during it is not lost.
    let signals = catch_signals().map_err(|error| {
        Failure::new(exit::Code::System, format!("cannot wait for signals: {error}"))
    })?;
    let logs = Logs::start(LogOptions {
        filter: &args.log,
        format: args.log_format,
        file: args.log_file.as_deref(),
        audit: args.audit_log.as_deref(),
    })?;
    let served = serve(&args, handed_over, signals, &logs);
    if let (Err(failure), Some(_)) = (&served, &args.log_file) {
        tracing::error!("{}", failure.sentence);
    }
    served
}

fn serve(
    args: &ServeArgs,
    handed_over: HandedOver,
    signals: Signals,
    logs: &Logs,
) -> Result<(), Failure> {
    if !args.core_dumps
        && let Err(error) = guard::no_core_dumps()
    {
        tracing::warn!(
            "cannot turn off core dumps: {error}; a core dump would contain mail and passwords"
        );
    }
    // Before anything else, so that an unusable address fails early.
    let admin = args.admin.map(observe::Bound::new).transpose()?;
    if args.idle_time < limits::AUTOLOGOUT.as_secs() {
        tracing::warn!(
            "--idle-time is below 30 minutes, the minimum of RFC 9051 section 5.4: clients may not \
             expect to be disconnected"
        );
    }
    let manager = Manager::of_environment();
    let failed = |error| exit::of_server(&error, &args.data);
    let server = Server::start(Config { handed_over, ..config(args) }).map_err(failed)?;
    // The endpoint outlives the server, to report that it is stopping.
    let endpoint = admin.map(|bound| Endpoint::start(bound, server.watch())).transpose()?;
    let control = Control::start(&args.data, server.handle());
    // A program that waits for the address must find the messages of the start in the log.
    logs.flush();
    if let Err(error) = announce(&server, endpoint.as_ref()) {
        tracing::warn!("cannot write the addresses to standard output: {error}");
    }
    manager.ready();
    let why = wait(&server, signals, &manager, logs);
    tracing::info!("{why}");
    manager.stopping(&why);
    // Before the folder is free for another server.
    drop(control);
    server.stop().map_err(failed)
}

/// Waits for a signal to stop, or for the server to end by itself. Returns the reason.
fn wait(server: &Server, mut signals: Signals, manager: &Manager, logs: &Logs) -> String {
    let (tell, told) = mpsc::channel();
    let over = tell.clone();
    server.when_over(move || {
        // Fails if a signal came first.
        let _ = over.send(None);
    });
    thread::spawn(move || {
        for signal in signals.forever() {
            let _ = tell.send(Some(signal));
        }
    });
    loop {
        match told.recv() {
            Ok(Some(SIGHUP)) => {
                manager.reloading();
                logs.reopen();
                reload(server);
                manager.ready();
            }
            Ok(Some(SIGUSR1)) => logs.reopen(),
            // Has no meaning, and must not end the server.
            Ok(Some(SIGUSR2)) => {}
            Ok(Some(signal)) => return format!("stopping on signal {signal}"),
            Ok(None) | Err(_) => return "a reactor ended; stopping the others".to_owned(),
        }
    }
}

/// Reloads certificate and key.
fn reload(server: &Server) {
    match server.reload() {
        Ok(true) => tracing::info!("certificate and key reloaded"),
        Ok(false) => {}
        Err(error) => {
            tracing::error!("certificate not reloaded, keeping the previous one: {error}")
        }
    }
}

/// Catches signals from now on. A second SIGTERM or SIGINT ends the process at once, without
/// waiting for the batches in flight.
fn catch_signals() -> io::Result<Signals> {
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
    // A write beyond the file size limit becomes an error and does not kill the process.
    flag::register(SIGXFSZ, Arc::default())?;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag unset, and then sets it.
        flag::register_conditional_shutdown(signal, 128 + signal, stopping.clone())?;
        flag::register(signal, stopping.clone())?;
    }
    Ok(signals)
}

/// Writes a line per address to standard output: from now on clients can connect.
fn announce(server: &Server, endpoint: Option<&Endpoint>) -> io::Result<()> {
    let mut text = format!("mailrace: listening on {}\n", server.address());
    if let Some(address) = server.tls_address() {
        let _ = writeln!(text, "mailrace: listening by TLS on {address}");
    }
    if let Some(endpoint) = endpoint {
        let _ = writeln!(text, "mailrace: admin on http://{}/", endpoint.address());
    }
    exit::tell(io::stdout(), text)
}
