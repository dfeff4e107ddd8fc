//! `mailrace doctor`: checks the machine.

use std::path::PathBuf;

use clap::Args;

use super::exit::{self, Failure};
use crate::tools;

/// Check whether this machine suits mailrace, and say what to change
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Data folder of the server; the disk under it is checked
    #[arg(long, value_name = "DIR", default_value = super::settings::DATA, env = "MAILRACE_DATA")]
    data: PathBuf,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    match tools::doctor(&args.data, args.json) {
        0 => Ok(()),
        1 => Err(Failure::new(exit::Code::ToDo, "one check found something to fix")),
        several => {
            Err(Failure::new(exit::Code::ToDo, format!("{several} checks found something to fix")))
        }
    }
}
