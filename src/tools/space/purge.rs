//! Deleting the mail of a removed user, for `mailrace user remove --purge`.

use std::path::Path;

use super::ask::{ask, unexpected};
use super::server_on;
use crate::control::{Answer, Request};
use crate::home::Purged;
use crate::tools::error::ToolError;

/// Size of a segment that is made while no server runs: a record for each mailbox goes into it.
const SEGMENT: u32 = 16 << 20;

/// Deletes everything that an account has: by the server that runs on the folder, or by this
/// process.
///
/// # Errors
/// When the server does not answer or cannot do it, or the disk fails.
pub(crate) fn run(data: &Path, account: &str) -> Result<Purged, ToolError> {
    match ask(data, Request::Purge { account: account.to_owned() })? {
        Some(mut answers) => match answers.next().transpose()? {
            Some(Answer::Purged(purged)) => Ok(purged),
            _ => Err(unexpected()),
        },
        None => in_this_process(data, account),
    }
}

fn in_this_process(data: &Path, account: &str) -> Result<Purged, ToolError> {
    let server = server_on(data, SEGMENT, None)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| ToolError::Io { doing: "cannot wait".into(), error })?;
    let purged = runtime.block_on(server.handle().purge(account.to_owned()));
    server.stop()?;
    purged.map_err(|error| ToolError::Refused(error.to_string()))
}
