//! `mailrace verify` and `mailrace inspect`: check and show what a data folder holds.

mod space;

use std::path::PathBuf;

use clap::Args;

pub use self::space::{CleanArgs, SpaceArgs};
pub(super) use self::space::{clean, space};
use super::exit::{self, Code, Failure};
use super::settings::DATA;
use crate::tools::{self, InspectOptions, Verdict, VerifyOptions};

/// Check all mail in a data folder: every segment, message and entry of the catalog
///
/// Exits with 0 if everything is sound, and with 65 if something is damaged. Nothing is changed
/// without --repair. Beside a running server only complete segments are checked, and not the
/// catalog.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Data folder of the server
    #[arg(long, value_name = "DIR", default_value = DATA, env = "MAILRACE_DATA")]
    data: PathBuf,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Accept the damage that is found: later starts serve what is sound without --quarantine, and
    /// refuse only new damage. A catalog that contradicts the log is set aside
    #[arg(long)]
    repair: bool,
}

/// Print the segments of a data folder, or the frames and records of one; never mail
///
/// Damaged places are named and skipped. It works beside a running server.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// Segment to print: its number or file name [default: all]
    segment: Option<String>,

    /// Data folder of the server
    #[arg(long, value_name = "DIR", default_value = DATA, env = "MAILRACE_DATA")]
    data: PathBuf,

    /// Print the frames as well
    #[arg(long)]
    frames: bool,

    /// Print the frames and the records in them
    #[arg(long)]
    records: bool,
}

pub(super) fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let VerifyArgs { data, json, repair } = args.clone();
    let verdict = match tools::verify(&VerifyOptions { data, json, repair }) {
        Ok(verdict) => verdict,
        Err(tools::ToolError::Server(error)) => return Err(exit::of_server(&error, &args.data)),
        Err(error) => return Err(error.into()),
    };
    let data = args.data.display();
    match verdict {
        Verdict::Sound | Verdict::Repaired => Ok(()),
        Verdict::Damaged(1) => Err(Failure::new(Code::Data, format!("{data}: one finding"))),
        Verdict::Damaged(count) => {
            Err(Failure::new(Code::Data, format!("{data}: {count} findings")))
        }
    }
}

pub(super) fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let InspectArgs { segment, data, frames, records } = args.clone();
    let frames = frames || records;
    Ok(tools::inspect(&InspectOptions { data, segment, frames, records })?)
}
