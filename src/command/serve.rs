//! `mailrace serve`: the server, until a signal ends it.

use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;

use super::exit::{self, Failure};
use super::file::ConfigFile;
use super::logs::{LogFormat, LogOptions, Logs};
use super::notify::Manager;
use super::{Line, guard};
use crate::auth::{MechanismName, TokenConfig};
use crate::index::OnDamage;
use crate::limits;
use crate::net::TlsFiles;
use crate::observe::{self, AdminError, Endpoint};
use crate::reactor::HandedOver;
use crate::server::{Checked, Config, Server};
use crate::tools::parse_size;

/// Run the server
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Configuration file, TOML; its keys are these flags without the dashes, which go before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Folder of the data; made if there is none
    #[arg(long, value_name = "DIR", default_value = "./mailrace-data", env = "MAILRACE_DATA")]
    pub data: PathBuf,

    /// Where to listen in clear text; clients can go over to TLS by STARTTLS
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:1143")]
    pub listen: SocketAddr,

    /// Where to listen by TLS from the first octet on, port 993 by custom
    #[arg(long, value_name = "ADDR:PORT", requires = "tls_cert")]
    pub tls_listen: Option<SocketAddr>,

    /// PEM file: the certificate followed by its intermediates. Reloaded on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file of the certificate's private key. Reloaded on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// PEM file of authorities whose certificates clients may show, for AUTHENTICATE EXTERNAL
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,

    /// Take passwords and tokens in clear text from other machines, too: only where nobody between
    /// can listen
    #[arg(long)]
    pub allow_plaintext_auth: bool,

    /// Start although mail is damaged: serve what is sound, answer NO (CORRUPTION) for the rest,
    /// and list it in the log and in quarantine.json
    #[arg(long)]
    pub quarantine: bool,

    /// Reactors, each a thread with a ring and a log of its own [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub reactors: Option<u16>,

    /// Size of a segment file
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_segment_size)]
    pub segment_size: u32,

    /// Segments to keep written and ready, ahead of need
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(0..=64))]
    pub segments_ahead: u16,

    /// Largest message, in octets (RFC 7889)
    #[arg(long, value_name = "SIZE", default_value_t = limits::APPEND_LIMIT,
          value_parser = parse_append_limit)]
    pub append_limit: u64,

    /// Connections at a time; more are told BYE [default: 16384, or as many as there are
    /// descriptors for]
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=limits::CONNECTIONS as i64))]
    pub connections: Option<u16>,

    /// Seconds from the greeting to the login, after which a connection is ended
    #[arg(long, value_name = "SECONDS", default_value_t = limits::LOGIN_TIME.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=limits::AUTOLOGOUT.as_secs()))]
    pub login_time: u64,

    /// Where to show metrics, probes and the live page, on a loopback address [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    pub admin: Option<SocketAddr>,
    /// Connections from one address at a time (64 bits of one of IPv6)
    #[arg(long, value_name = "N", default_value_t = limits::CONNECTIONS_PER_ADDRESS as u16,
          value_parser = clap::value_parser!(u16).range(1..=limits::CONNECTIONS as i64))]
    pub connections_per_address: u16,

    /// Connections of one user at a time
    #[arg(long, value_name = "N", default_value_t = limits::CONNECTIONS_PER_USER as u16,
          value_parser = clap::value_parser!(u16).range(1..=limits::CONNECTIONS as i64))]
    pub connections_per_user: u16,

    /// Seconds after which a session ends that says nothing, or reads nothing
    #[arg(long, value_name = "SECONDS", default_value_t = limits::AUTOLOGOUT.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=7 * 24 * 3600))]
    pub idle_time: u64,

    /// Commands before the login, after which a connection is ended
    #[arg(long, value_name = "N", default_value_t = limits::COMMANDS_BEFORE_LOGIN,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub commands_before_login: u32,

    /// Failed logins of an address in ten minutes, after which its passwords are not looked at
    #[arg(long, value_name = "N", default_value_t = limits::LOGIN_FAILURES,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub login_failures: u32,

    /// SASL mechanisms that may be offered, as PLAIN,LOGIN,SCRAM-SHA-256 [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_mechanism)]
    pub auth_mechanisms: Option<Vec<MechanismName>>,

    /// A user who may log in as any other, as alice*NAME with his own password; may be repeated
    #[arg(long, value_name = "NAME")]
    pub master_user: Vec<String>,

    /// JSON Web Key Set of whoever issues tokens for OAUTHBEARER and XOAUTH2
    #[arg(long, value_name = "FILE", requires_all = ["oauth_issuer", "oauth_audience"])]
    pub oauth_keys: Option<PathBuf>,

    /// What the claim iss of a token must be
    #[arg(long, value_name = "TEXT", requires = "oauth_keys")]
    pub oauth_issuer: Option<String>,

    /// What the claim aud of a token must be, or have among others
    #[arg(long, value_name = "TEXT", requires = "oauth_keys")]
    pub oauth_audience: Option<String>,

    /// Claim of a token that names the user, required with --oauth-keys: one that users cannot set
    /// themselves, like sub; email counts only where email_verified is true
    #[arg(long, value_name = "CLAIM", requires = "oauth_keys")]
    pub oauth_user_claim: Option<String>,

    /// Let the system keep a core dump of a crash: it holds mail, passwords and keys
    #[arg(long)]
    pub core_dumps: bool,

    /// What to log: error, warn, info, debug, or a filter like warn,mailrace::store=debug
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = parse_filter)]
    pub log: String,

    /// How to log: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub log_format: LogFormat,

    /// Append the log to this file instead of standard error. Reopened on SIGHUP and SIGUSR1
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    /// Append the audit trail to this file, a JSON object a line, instead of to the log: logins and
    /// every change of mail. Reopened on SIGHUP and SIGUSR1
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
}

/// The arguments of a line that says `serve`, with those of the configuration file that it names.
pub(super) fn resolve(line: &[OsString]) -> Result<ServeArgs, Failure> {
    let args = read(line)?;
    if args.oauth_keys.is_some() && args.oauth_user_claim.is_none() {
        let code = if args.config.is_some() { exit::CONFIG } else { exit::USAGE };
        return Err(Failure::new(code, NO_USER_CLAIM));
    }
    Ok(args)
}

/// There is no default, for which claims users can set themselves only the operator knows.
const NO_USER_CLAIM: &str = "--oauth-keys needs --oauth-user-claim, the claim of a token that \
     names the user: one that users cannot set themselves, such as sub, or email if the issuer \
     verifies addresses (a token must then say email_verified: true)";

fn read(line: &[OsString]) -> Result<ServeArgs, Failure> {
    let matches = Line::command().try_get_matches_from(line).map_err(usage)?;
    let Some(serve) = matches.subcommand_matches("serve") else {
        return Err(Failure::new(exit::USAGE, "this is not about serving"));
    };
    let args = ServeArgs::from_arg_matches(serve).map_err(usage)?;
    let Some(path) = &args.config else { return Ok(args) };
    let file = ConfigFile::read(path).map_err(|error| Failure::new(exit::CONFIG, error))?;
    let all = line.iter().cloned().chain(file.beside(serve).map(OsString::from));
    let all = Line::command().try_get_matches_from(all).map_err(|error| {
        Failure::new(exit::CONFIG, format!("{}: {}", path.display(), usage(error).sentence))
    })?;
    let serve = all.subcommand_matches("serve").unwrap_or(serve);
    ServeArgs::from_arg_matches(serve).map_err(usage)
}

fn usage(error: clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Failure::new(exit::USAGE, text)
}

/// Whether a server could start with this, as far as can be seen without starting one.
pub(super) fn check(args: &ServeArgs) -> Result<Checked, Failure> {
    let checked =
        Server::check(&config(args)).map_err(|error| exit::of_server(error, &args.data))?;
    match args.admin.map(observe::Bound::new).transpose() {
        Err(AdminError::Listen(_, error))
            if checked.running && error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    Ok(checked)
}

pub(super) fn run(args: ServeArgs) -> Result<(), Failure> {
    let handed_over = HandedOver::take().map_err(|error| Failure::new(exit::IO, error))?;
    guard::only_for_owner();
    // Before the start, so that a signal during it is not lost.
    let signals = catch_signals().map_err(|error| {
        Failure::new(exit::SYSTEM, format!("signals cannot be waited for: {error}"))
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
            "core dumps cannot be turned off: {error}; one would hold mail and passwords"
        );
    }
    // Before anything else: an address that will not do costs no start.
    let admin = args.admin.map(observe::Bound::new).transpose()?;
    if args.idle_time < limits::AUTOLOGOUT.as_secs() {
        tracing::warn!(
            "--idle-time is under 30 minutes, the least that RFC 9051 section 5.4 allows: clients \
             may be surprised"
        );
    }
    let manager = Manager::of_environment();
    let failed = |error| exit::of_server(error, &args.data);
    let server = Server::start(Config { handed_over, ..config(args) }).map_err(failed)?;
    // It outlives the server, to say that it stops.
    let endpoint = admin.map(|bound| Endpoint::start(bound, server.watch())).transpose()?;
    // Whoever waits for the address finds in the log what there was to say of the start.
    logs.flush();
    if let Err(error) = announce(&server, endpoint.as_ref()) {
        tracing::warn!("nobody reads on standard output where mailrace listens: {error}");
    }
    manager.ready();
    let why = wait(&server, signals, &manager, logs);
    tracing::info!("{why}");
    manager.stopping(&why);
    server.stop().map_err(failed)
}

/// Waits for a signal to stop, or for the server to end by itself. Says which it was.
fn wait(server: &Server, mut signals: Signals, manager: &Manager, logs: &Logs) -> String {
    let (tell, told) = mpsc::channel();
    let over = tell.clone();
    server.when_over(move || {
        // Nobody listens any more when a signal came first.
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
            // It means nothing here, and shall not end the server.
            Ok(Some(SIGUSR2)) => {}
            Ok(Some(signal)) => return format!("stopping on signal {signal}"),
            Ok(None) | Err(_) => return "a reactor has ended, the others stop".to_owned(),
        }
    }
}

/// A certificate that has run out is replaced while the server runs.
fn reload(server: &Server) {
    match server.reload() {
        Ok(true) => tracing::info!("certificate and key reloaded"),
        Ok(false) => {}
        Err(error) => tracing::error!("the former certificate stays in use: {error}"),
    }
}

fn config(args: &ServeArgs) -> Config {
    let standard = Config::default();
    Config {
        data: args.data.clone(),
        listen: args.listen,
        tls_listen: args.tls_listen,
        handed_over: HandedOver::default(),
        tls: tls_files(args),
        allow_plaintext_auth: args.allow_plaintext_auth,
        reactors: args.reactors.map(usize::from),
        segment_size: args.segment_size,
        first_segment: standard.first_segment.min(args.segment_size),
        reserve: standard.reserve,
        reserves: standard.reserves,
        spare: standard.spare,
        segments_ahead: args.segments_ahead.into(),
        append_limit: args.append_limit,
        connections: args.connections.map(usize::from),
        connections_per_address: args.connections_per_address.into(),
        connections_per_user: args.connections_per_user.into(),
        login_time: Duration::from_secs(args.login_time),
        observed: args.admin.is_some(),
        idle_time: Duration::from_secs(args.idle_time),
        commands_before_login: args.commands_before_login,
        login_failures: args.login_failures,
        mechanisms: args.auth_mechanisms.clone().unwrap_or(standard.mechanisms),
        master_users: args.master_user.iter().map(|name| name.as_str().into()).collect(),
        tokens: tokens(args),
        on_damage: if args.quarantine { OnDamage::Quarantine } else { OnDamage::Stop },
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Failure {
        Failure::new(error.exit_code(), error)
    }
}

fn tls_files(args: &ServeArgs) -> Option<TlsFiles> {
    let certificate = args.tls_cert.clone()?;
    let key = args.tls_key.clone()?;
    Some(TlsFiles { certificate, key, client_authorities: args.tls_client_ca.clone() })
}

fn tokens(args: &ServeArgs) -> Option<TokenConfig> {
    Some(TokenConfig {
        keys: args.oauth_keys.clone()?,
        issuer: args.oauth_issuer.clone()?,
        audience: args.oauth_audience.clone()?,
        user_claim: args.oauth_user_claim.clone()?,
    })
}

/// Signals from now on are waited for; a second one ends the process at once, for those who will
/// not wait until the batches in flight are done.
fn catch_signals() -> io::Result<Signals> {
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
    // A write beyond the limit on the size of files is an error, and not the end.
    flag::register(SIGXFSZ, Arc::default())?;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first one finds the flag down, and then raises it.
        flag::register_conditional_shutdown(signal, 128 + signal, stopping.clone())?;
        flag::register(signal, stopping.clone())?;
    }
    Ok(signals)
}

/// A line an address on standard output: whoever started the server may connect now.
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

fn parse_mechanism(text: &str) -> Result<MechanismName, String> {
    MechanismName::parse(text).ok_or_else(|| {
        let known = MechanismName::ALL.map(MechanismName::as_str).join(", ");
        format!("no such mechanism; there are {known}")
    })
}

fn parse_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn parse_segment_size(text: &str) -> Result<u32, String> {
    let size = parse_size(text)?;
    let fits = (limits::SEGMENT_SIZE_MIN..=limits::SEGMENT_SIZE_MAX).contains(&size);
    match u32::try_from(size) {
        Ok(size) if fits && size.is_multiple_of(limits::BLOCK as u32) => Ok(size),
        _ => Err(format!(
            "a segment has {}M to 4092M, in steps of 4K",
            limits::SEGMENT_SIZE_MIN >> 20
        )),
    }
}

fn parse_append_limit(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("no message would be small enough".into()),
        octets if octets > limits::APPEND_LIMIT => {
            Err(format!("a message has at most {} octets", limits::APPEND_LIMIT))
        }
        octets => Ok(octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_counted_in_blocks() {
        assert_eq!(parse_segment_size("1G"), Ok(1 << 30));
        assert_eq!(parse_segment_size("16M"), Ok(16 << 20));
        assert_eq!(parse_segment_size("4092M"), Ok(4092 << 20));
        for size in ["0", "1M", "16777217", "4G", "much"] {
            assert!(parse_segment_size(size).is_err(), "{size}");
        }
    }

    #[test]
    fn messages_have_a_limit() {
        assert_eq!(parse_append_limit("50M"), Ok(50 << 20));
        assert_eq!(parse_append_limit("4294967295"), Ok(u64::from(u32::MAX)));
        assert!(parse_append_limit("4G").is_err());
        assert!(parse_append_limit("0").is_err());
    }

    #[test]
    fn filters_are_checked() {
        assert!(parse_filter("warn,mailrace::store=debug").is_ok());
        assert!(parse_filter("mailrace=loud").is_err());
    }
}
