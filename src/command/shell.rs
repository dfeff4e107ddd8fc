//! Completions and manual pages, generated from the definition of the command line.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::exit::{self, Failure};

/// Print completions for a shell
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Shell
    shell: Shell,
}

/// Write manual pages into a folder
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Existing folder
    folder: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs, mut program: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    generate(args.shell, &mut program, "mailrace", &mut text);
    exit::say(&String::from_utf8_lossy(&text))
}

pub(super) fn man(args: &ManArgs, program: Command) -> Result<(), Failure> {
    let written = clap_mangen::generate_to(program, &args.folder);
    written.map_err(|error| {
        let folder = args.folder.display();
        Failure::new(exit::Code::Io, format!("cannot write manual pages into {folder}: {error}"))
    })
}
