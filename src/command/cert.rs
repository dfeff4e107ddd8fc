//! `mailrace cert`: makes certificates for trials.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{self, Failure};
use crate::tools::SelfSigned;

/// Make a certificate for trials
#[derive(Args, Debug)]
pub struct CertArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a self-signed certificate and its key; clients must be configured to trust it
    SelfSigned {
        /// Host name or IP address that clients connect to; repeatable
        #[arg(long = "name", value_name = "NAME",
              default_values = ["localhost", "127.0.0.1", "::1"])]
        names: Vec<String>,

        /// Validity in days
        #[arg(long, value_name = "N", default_value_t = 365,
              value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,

        /// Certificate file to create; an existing file is not overwritten
        #[arg(long, value_name = "FILE", default_value = "mailrace-cert.pem")]
        cert: PathBuf,

        /// Key file to create; an existing file is not overwritten
        #[arg(long, value_name = "FILE", default_value = "mailrace-key.pem")]
        key: PathBuf,
    },
}

pub(super) fn run(args: CertArgs) -> Result<(), Failure> {
    let Action::SelfSigned { names, days, cert, key } = args.action;
    SelfSigned::new(&names, days)?.write(&cert, &key)?;
    let (cert, key) = (cert.display(), key.display());
    exit::say(&format!(
        "mailrace: created {cert} and {key} for {}; use them with\n  \
         mailrace serve --tls-listen ADDR:993 --tls-cert {cert} --tls-key {key}\n",
        names.join(", ")
    ))
}
