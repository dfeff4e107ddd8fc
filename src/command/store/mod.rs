//! `mailrace verify`, `inspect`, `backup` and `restore`: check, show and copy what a data folder
//! holds.

mod space;

use std::path::{Path, PathBuf};

use clap::Args;

pub use self::space::{CleanArgs, SpaceArgs};
pub(super) use self::space::{clean, space};
use super::exit::{self, Code, Failure};
use super::settings::DATA;
use crate::server::StartError;
use crate::store::LockError;
use crate::tools::{
    self, BackupOptions, InspectOptions, RestoreOptions, ToolError, Verdict, VerifyOptions,
};

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

/// Copy the data folder of a running or stopped server
///
/// The copy has everything that was acknowledged when the command began. Segments that no longer
/// change are hard links if both folders are on one file system. Repeated with the same --to, only
/// what is new is copied. If it is interrupted, the previous backup stays complete.
///
/// Exits with 65 if a file is damaged in the data folder, or --verify finds damage.
#[derive(Args, Clone, Debug)]
pub struct BackupArgs {
    /// Data folder of the server
    #[arg(long, value_name = "DIR", default_value = DATA, env = "MAILRACE_DATA")]
    data: PathBuf,

    /// Folder of the backup: empty, or with an earlier backup
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Then check all mail in the backup, as `mailrace verify` does
    #[arg(long)]
    verify: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Make a data folder of a backup
///
/// It holds what was acknowledged when the backup was taken. Mail that came later is not in it, but
/// clients may have seen it, so the first start gives every mailbox a new UIDVALIDITY. If the
/// command is interrupted, run it again.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    /// Folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// Data folder to make: empty, or not there
    #[arg(long, value_name = "DIR", default_value = DATA, env = "MAILRACE_DATA")]
    data: PathBuf,
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

pub(super) fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let BackupArgs { data, to, verify, json } = args.clone();
    let findings = tools::backup(&BackupOptions { data, to, verify, json });
    match findings.map_err(|error| failure(error, &args.to))? {
        0 => Ok(()),
        1 => Err(Failure::new(Code::Data, format!("{}: one finding", args.to.display()))),
        count => Err(Failure::new(Code::Data, format!("{}: {count} findings", args.to.display()))),
    }
}

pub(super) fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let RestoreArgs { from, data } = args.clone();
    let restored = tools::restore(&RestoreOptions { from, data });
    restored.map_err(|error| failure(error, &args.data))
}

fn failure(error: ToolError, folder: &Path) -> Failure {
    match error {
        ToolError::Server(error @ StartError::Lock(LockError::Held { .. })) => {
            Failure::new(Code::from(&error), format!("{error}: wait for its end"))
        }
        ToolError::Server(error) => exit::of_server(&error, folder),
        error => error.into(),
    }
}
