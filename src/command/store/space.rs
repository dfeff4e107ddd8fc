//! `mailrace space` and `mailrace clean`: what takes space, and giving it back.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::command::exit::{self, Failure};
use crate::command::settings::DATA;
use crate::command::{guard, quietly};
use crate::tools::{self, CleanOptions, SpaceOptions, ToolError};

/// Show what takes space in a data folder, and what cleaning would give back
///
/// Asks the server that runs on the folder. Without one, the folder is read and not changed.
#[derive(Args, Clone, Debug)]
pub struct SpaceArgs {
    /// Data folder of the server
    #[arg(long, value_name = "DIR", default_value = DATA, env = "MAILRACE_DATA")]
    data: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Give the space of expunged mail back
///
/// A server does this by itself when there is enough to give back. This asks the server that runs
/// on the folder to clean what is due now, and waits for it; without a server, the folder is
/// cleaned by this process. It can be stopped at any time.
#[derive(Args, Clone, Debug)]
pub struct CleanArgs {
    /// Data folder of the server
    #[arg(long, value_name = "DIR", default_value = DATA, env = "MAILRACE_DATA")]
    data: PathBuf,

    /// Clean every complete segment that gives something back, as fast as possible
    #[arg(long)]
    all: bool,

    /// Remove all octets of expunged mail from complete segments, even where little space comes
    /// back. A running server has to run with --purge-within
    #[arg(long)]
    purge: bool,
}

pub(in crate::command) fn space(args: SpaceArgs) -> Result<(), Failure> {
    let SpaceArgs { data, json } = args;
    let options = SpaceOptions { data, json };
    tools::space(&options).map_err(|error| of_tool(error, &options.data))
}

pub(in crate::command) fn clean(args: CleanArgs) -> Result<(), Failure> {
    guard::only_for_owner();
    let CleanArgs { data, all, purge } = args;
    let options = CleanOptions { data, all, purge };
    let mut failed = None;
    quietly(|| match tools::clean(&options) {
        Err(ToolError::Server(error)) => {
            failed = Some(exit::of_server(&error, &options.data));
            Ok(())
        }
        other => other,
    })?;
    failed.map_or(Ok(()), Err)
}

fn of_tool(error: ToolError, data: &Path) -> Failure {
    match error {
        ToolError::Server(error) => exit::of_server(&error, data),
        error => error.into(),
    }
}
