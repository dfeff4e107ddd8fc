//! `mailrace top`: watches a server.

use std::net::SocketAddr;

use clap::Args;

use super::exit::Failure;
use crate::tools;

/// Watch a server that runs with --admin
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Admin endpoint of the server, as given to `mailrace serve --admin`
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9143")]
    admin: SocketAddr,

    /// Print the status once as text and exit
    #[arg(long)]
    once: bool,
}

pub(super) fn run(args: &TopArgs) -> Result<(), Failure> {
    Ok(tools::top(args.admin, args.once)?)
}
