//! What shells and `man` know of the command line: made from its own definition.

use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::exit::{self, Failure};

/// Print completions for a shell
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write manual pages into a folder
#[derive(Args, Debug)]
pub struct ManArgs {
    /// The folder, which must be there
    folder: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    generate(args.shell, &mut super::Line::command(), "mailrace", &mut text);
    exit::say(&String::from_utf8_lossy(&text))
}

pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    let written = clap_mangen::generate_to(super::Line::command(), &args.folder);
    written.map_err(|error| {
        let folder = args.folder.display();
        Failure::new(exit::IO, format!("cannot write manual pages into {folder}: {error}"))
    })
}
