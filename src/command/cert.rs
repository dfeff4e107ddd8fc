//! `mailrace cert`: certificates for trials.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{self, Failure};
use crate::tools::SelfSigned;

/// Make a certificate for a trial
#[derive(Args, Debug)]
pub struct CertArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a certificate that signs itself, and its key; clients must be told to trust it
    SelfSigned {
        /// Host name or address by which clients reach the server; repeatable
        #[arg(long = "name", value_name = "NAME",
              default_values = ["localhost", "127.0.0.1", "::1"])]
        names: Vec<String>,

        /// Days that it is valid
        #[arg(long, value_name = "N", default_value_t = 365,
              value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,

        /// File of the certificate; never overwritten
        #[arg(long, value_name = "FILE", default_value = "mailrace-cert.pem")]
        cert: PathBuf,

        /// File of the key; never overwritten
        #[arg(long, value_name = "FILE", default_value = "mailrace-key.pem")]
        key: PathBuf,
    },
}

pub(super) fn run(args: CertArgs) -> Result<(), Failure> {
    let Action::SelfSigned { names, days, cert, key } = args.action;
    SelfSigned::new(&names, days)?.write(&cert, &key)?;
    let (cert, key) = (cert.display(), key.display());
    exit::say(&format!(
        "mailrace: {cert} and {key} made, for {}; use them by\n  \
         mailrace serve --tls-listen ADDR:993 --tls-cert {cert} --tls-key {key}\n",
        names.join(", ")
    ))
}
