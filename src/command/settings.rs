//! Every setting of the server, declared once: a flag of `mailrace serve`.
//!
//! The help, the configuration file with its checks and suggestions, `mailrace config example`,
//! completions, manual pages and the table in the manual are made from these declarations. A new
//! setting is a field of [`ServeArgs`], and its use.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::duration::parse_duration;
use super::logs::LogFormat;
use super::size::parse_size;
use crate::auth::{MechanismName, TokenConfig};
use crate::index::OnDamage;
use crate::limits;
use crate::net::TlsFiles;
use crate::reactor::HandedOver;
use crate::server::{CleaningConfig, Config};

/// The data folder if nothing else is said.
pub(super) const DATA: &str = "./mailrace-data";

/// Run the server
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// TOML configuration file; keys are these flags without the leading dashes. Flags override
    /// the file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Data folder; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = DATA, env = "MAILRACE_DATA")]
    pub data: PathBuf,

    /// Address to listen on without TLS; clients can upgrade with STARTTLS
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:1143")]
    pub listen: SocketAddr,

    /// Address to listen on with implicit TLS, by convention port 993
    #[arg(long, value_name = "ADDR:PORT", requires = "tls_cert")]
    pub tls_listen: Option<SocketAddr>,

    /// PEM file: the certificate followed by its intermediates. Reloaded on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// PEM file of the certificate's private key. Reloaded on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// PEM file of the CAs that issue client certificates, for AUTHENTICATE EXTERNAL
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,

    /// Accept passwords and tokens without TLS from other machines too; only for networks where
    /// nobody can eavesdrop
    #[arg(long)]
    pub allow_plaintext_auth: bool,

    /// Start even if mail is damaged: serve intact mail, refuse the rest, and list the damage in
    /// the log and in quarantine.json
    #[arg(long)]
    pub quarantine: bool,

    /// Number of reactors, threads with their own ring and log [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub reactors: Option<u16>,

    /// Size of a segment file: 4M to 4092M in steps of 4K; at most a sixteenth of the disk
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = parse_segment_size)]
    pub segment_size: u32,

    /// Number of empty segments to keep written and ready for use
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(0..=64))]
    pub segments_ahead: u16,

    /// Bytes a second that cleaning may write to get space back: 50M, 1G [default: automatic, more
    /// when there is more to get back]
    #[arg(long, value_name = "SIZE", value_parser = parse_rate)]
    pub clean_rate: Option<u64>,

    /// Remove octets of expunged mail from the disk within this time, in the background, even where
    /// cleaning gives little space back: 12h, 30d, off. See "Expunged mail" in the manual
    #[arg(long, value_name = "DURATION", default_value = "off", value_parser = parse_duration)]
    pub purge_within: Duration,

    /// Read and check all stored mail once in this time, slowly, in the background: 12h, 30d, off
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_duration)]
    pub scrub_every: Duration,

    /// Size limit of a message in bytes (APPENDLIMIT, RFC 7889)
    #[arg(long, value_name = "SIZE", default_value_t = limits::APPEND_LIMIT,
          value_parser = parse_append_limit)]
    pub append_limit: u64,

    /// Maximum number of connections; more get BYE [default: 16384, or as many as the file
    /// descriptor limit allows]
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=limits::CONNECTIONS as i64))]
    pub connections: Option<u16>,

    /// Close a connection that has not logged in this many seconds after the greeting
    #[arg(long, value_name = "SECONDS", default_value_t = limits::LOGIN_TIME.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=limits::AUTOLOGOUT.as_secs()))]
    pub login_time: u64,

    /// Loopback address to serve metrics, probes and the live page on [default: none]
    #[arg(long, value_name = "ADDR:PORT")]
    pub admin: Option<SocketAddr>,

    /// Maximum number of connections from one IPv4 address, or from one IPv6 /64 network
    #[arg(long, value_name = "N", default_value_t = limits::CONNECTIONS_PER_ADDRESS as u16,
          value_parser = clap::value_parser!(u16).range(1..=limits::CONNECTIONS as i64))]
    pub connections_per_address: u16,

    /// Maximum number of connections per user
    #[arg(long, value_name = "N", default_value_t = limits::CONNECTIONS_PER_USER as u16,
          value_parser = clap::value_parser!(u16).range(1..=limits::CONNECTIONS as i64))]
    pub connections_per_user: u16,

    /// Close a session after this many seconds without input, or without reading its replies
    #[arg(long, value_name = "SECONDS", default_value_t = limits::AUTOLOGOUT.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=7 * 24 * 3600))]
    pub idle_time: u64,

    /// Close a connection that has not logged in after this many commands
    #[arg(long, value_name = "N", default_value_t = limits::COMMANDS_BEFORE_LOGIN,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub commands_before_login: u32,

    /// Failed logins from one address in ten minutes; further attempts are refused unchecked
    #[arg(long, value_name = "N", default_value_t = limits::LOGIN_FAILURES,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub login_failures: u32,

    /// SASL mechanisms to offer, for example PLAIN,LOGIN,SCRAM-SHA-256 [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = parse_mechanism)]
    pub auth_mechanisms: Option<Vec<MechanismName>>,

    /// User who may log in as any other user, as alice*NAME with NAME's password; repeatable
    #[arg(long, value_name = "NAME")]
    pub master_user: Vec<String>,

    /// JSON Web Key Set of the issuer of OAUTHBEARER and XOAUTH2 tokens
    #[arg(long, value_name = "FILE", requires_all = ["oauth_issuer", "oauth_audience"])]
    pub oauth_keys: Option<PathBuf>,

    /// Required value of the token claim iss
    #[arg(long, value_name = "TEXT", requires = "oauth_keys")]
    pub oauth_issuer: Option<String>,

    /// Required value of the token claim aud, or one of its values
    #[arg(long, value_name = "TEXT", requires = "oauth_keys")]
    pub oauth_audience: Option<String>,

    /// Token claim that names the user, required with --oauth-keys. Choose one that users cannot
    /// set themselves, such as sub; email counts only if email_verified is true
    #[arg(long, value_name = "CLAIM", requires = "oauth_keys")]
    pub oauth_user_claim: Option<String>,

    /// Allow core dumps, which contain mail, passwords and keys
    #[arg(long)]
    pub core_dumps: bool,

    /// Log level (error, warn, info, debug) or a filter such as warn,mailrace::store=debug
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = parse_filter)]
    pub log: String,

    /// Log format: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub log_format: LogFormat,

    /// Append the log to this file instead of standard error. Reopened on SIGHUP and SIGUSR1
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    /// Append the audit trail (logins and every change of mail) to this file instead of the log,
    /// one JSON object per line. Reopened on SIGHUP and SIGUSR1
    #[arg(long, value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
}

/// The configuration of a server with these settings.
pub(super) fn config(args: &ServeArgs) -> Config {
    let standard = Config::default();
    Config {
        listens: true,
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
        cleaning: CleaningConfig {
            rate: args.clean_rate,
            least: 2 * u64::from(args.segment_size),
            purge_within: Some(args.purge_within).filter(|time| !time.is_zero()),
            ..standard.cleaning
        },
        snapshots: standard.snapshots,
        scrub_every: Some(args.scrub_every).filter(|period| !period.is_zero()),
        on_damage: if args.quarantine { OnDamage::Quarantine } else { OnDamage::Stop },
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

fn parse_mechanism(text: &str) -> Result<MechanismName, String> {
    MechanismName::parse(text).ok_or_else(|| {
        let known = MechanismName::ALL.map(MechanismName::as_str).join(", ");
        format!("unknown mechanism; known are {known}")
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
        _ => Err(format!("must be {}M to 4092M, in steps of 4K", limits::SEGMENT_SIZE_MIN >> 20)),
    }
}

fn parse_rate(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("nothing would ever be cleaned; the least is 1".into()),
        rate => Ok(rate),
    }
}

fn parse_append_limit(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("no message would fit".into()),
        octets if octets > limits::APPEND_LIMIT => {
            Err(format!("must be at most {} bytes", limits::APPEND_LIMIT))
        }
        octets => Ok(octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Serve {
        #[command(flatten)]
        args: ServeArgs,
    }

    /// A server in this process and one from the command line start out the same.
    #[test]
    fn flags_and_the_library_have_the_same_defaults() {
        let parsed = <Serve as clap::Parser>::try_parse_from(["serve"]).ok().unwrap().args;
        // The environment may name a data folder.
        let parsed = config(&ServeArgs { data: DATA.into(), ..parsed });
        assert_eq!(format!("{parsed:#?}"), format!("{:#?}", Config::default()));
    }

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
