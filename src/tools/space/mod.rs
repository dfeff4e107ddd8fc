//! `mailrace space` and `mailrace clean`: what takes space in a data folder, and giving it back.
//! Both ask a running server, and work on a folder that no server uses.

mod ask;
mod clean;
mod purge;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ToolError, say};
use crate::control::{Answer, Request};
use crate::index::{ReplayError, stored_live};
use crate::server::{CleaningConfig, Config, Server, Space, StartError, of_stopped};

pub use self::clean::{CleanOptions, run as clean};
pub(crate) use self::purge::run as purge;

/// What `space` prints.
#[derive(Clone, Debug)]
pub struct SpaceOptions {
    /// The data folder.
    pub data: PathBuf,
    /// Print JSON.
    pub json: bool,
}

/// Prints what takes space.
///
/// # Errors
/// When the folder or its catalog cannot be read, or its server does not answer.
pub fn run(options: &SpaceOptions) -> Result<(), ToolError> {
    let space = match ask::ask(&options.data, Request::Space {})? {
        Some(mut answers) => match answers.next().transpose()? {
            Some(Answer::Space(space)) => *space,
            _ => return Err(ask::unexpected()),
        },
        None => of_folder(&options.data)?,
    };
    say(&match options.json {
        true => serde_json::to_string_pretty(&space).expect("it is plain data") + "\n",
        false => text::table(&space),
    })
}

/// A server that nobody can connect to, on a folder that no other one uses.
fn server_on(
    data: &Path,
    segment_size: u32,
    purge_within: Option<Duration>,
) -> Result<Server, StartError> {
    Server::start(Config {
        data: data.to_owned(),
        listens: false,
        reactors: Some(1),
        segment_size,
        // Stripped segments are deleted: nothing is made for mail to come.
        segments_ahead: 0,
        scrub_every: None,
        cleaning: CleaningConfig { purge_within, ..CleaningConfig::default() },
        ..Config::default()
    })
}

/// What takes space in a folder that no server uses.
fn of_folder(data: &Path) -> Result<Space, ToolError> {
    let refused = |error| StartError::Data(data.to_owned(), error);
    // First, because a folder that is not there has no catalog either.
    of_stopped(data, None).map_err(refused)?;
    let live = stored_live(&data.join("catalog.redb"));
    let live = live.map_err(|error| StartError::Replay(ReplayError::Catalog(error)))?;
    Ok(of_stopped(data, live).map_err(refused)?)
}
