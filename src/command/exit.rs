//! How a command ends when it fails: one sentence and one exit code.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use rustix::io::Errno;

use crate::auth::UserError;
use crate::index::{CatalogError, ReplayError};
use crate::limits::LOG_PATIENCE;
use crate::observe::AdminError;
use crate::server::StartError;
use crate::stats::escaped;
use crate::store::{LockError, RecoveryError};
use crate::tools::{self, ToolError};
use client::{SourceError, TrustError};

/// Explains the codes in `--help`.
pub(super) const CODES: &str = "\
Exit codes: 0 success; 1 doctor found something to fix; 64 invalid usage; 65 invalid input, or \
stored data is damaged; 69 io_uring is not available; 70 a bug; 71 the system refused memory, a \
thread or a ring; 72 the data folder disappeared while the server ran; 73 a file cannot be \
created; 74 a file or an address cannot be used; 75 another server uses this data folder, or \
does not answer; 76 a server sent an unexpected reply; 78 the configuration, the users file, a \
certificate or a key is invalid.";

/// An exit code. The numbers are those of sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    // Refusals: what the user asked for is impossible. Asking differently helps.
    /// The doctor found something to fix.
    ToDo = 1,
    /// The command line is invalid.
    Usage = 64,
    /// Input is invalid, or stored data is damaged.
    Data = 65,
    /// Another server uses the data folder, or does not answer. Later it may be possible.
    Running = 75,
    /// A configuration, users, certificate or key file is invalid.
    Config = 78,
    // Faults: the system or another server failed.
    /// The kernel lacks io_uring, or forbids it.
    Kernel = 69,
    /// The system refused memory, a thread or a ring.
    System = 71,
    /// The data folder disappeared.
    Gone = 72,
    /// A file or folder cannot be created.
    Create = 73,
    /// A file or an address cannot be used.
    Io = 74,
    /// A server sent an unexpected reply.
    Protocol = 76,
    // A bug in mailrace.
    /// A reactor ended without a reason.
    Bug = 70,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code of the process.
    pub code: Code,
    /// A sentence for the user.
    pub sentence: String,
}

impl Failure {
    /// A failure with its code and its reason.
    pub fn new(code: Code, reason: impl fmt::Display) -> Failure {
        Failure { code, sentence: reason.to_string() }
    }

    pub(super) fn report(&self) -> ExitCode {
        // The sentence may contain what a client or a server sent.
        let lines: Vec<_> = self.sentence.lines().map(escaped).collect();
        // If this fails, the exit code is all that is left.
        let _ = tell(io::stderr(), format!("mailrace: {}\n", lines.join("\n")));
        ExitCode::from(self.code as u8)
    }
}

impl From<&StartError> for Code {
    fn from(error: &StartError) -> Code {
        match error {
            StartError::Kernel(_) => Code::Kernel,
            StartError::Lost(_) => Code::Gone,
            StartError::Data(..) => Code::Create,
            StartError::Lock(LockError::Held { .. }) => Code::Running,
            StartError::Lock(_) | StartError::Listen(..) | StartError::Log(_) => Code::Io,
            StartError::Users(_)
            | StartError::Tokens(_)
            | StartError::Tls(_)
            | StartError::Certificate(_)
            | StartError::NoCertificate(_) => Code::Config,
            StartError::Replay(
                ReplayError::Catalog(CatalogError::Io { .. })
                | ReplayError::Log(RecoveryError::Io { .. }),
            ) => Code::Io,
            StartError::Replay(_) | StartError::NoData(..) => Code::Data,
            StartError::TooManyReactors => Code::Usage,
            StartError::System(_) | StartError::Rings(_) => Code::System,
            StartError::Vanished => Code::Bug,
        }
    }
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Failure {
        let code = match &error {
            ToolError::Usage(_)
            | ToolError::Certificate { .. }
            | ToolError::Trust(TrustError::Unusable { .. }) => Code::Usage,
            ToolError::Source(SourceError::Io { .. })
            | ToolError::Trust(TrustError::Read { .. })
            | ToolError::Io { .. } => Code::Io,
            ToolError::Source(_) => Code::Data,
            ToolError::Refused(_) => Code::Running,
            ToolError::Client(_) | ToolError::Differs(_) | ToolError::Answer(_) => Code::Protocol,
            ToolError::Server(error) => Code::from(error),
        };
        Failure::new(code, error)
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Failure {
        let code = match &error {
            AdminError::NotLoopback(_) => Code::Usage,
            AdminError::Listen(..) => Code::Io,
            AdminError::System(_) => Code::System,
        };
        Failure::new(code, error)
    }
}

/// Why a server on this folder did not start, or ended, and what to do about it.
pub(super) fn of_server(error: &StartError, data: &Path) -> Failure {
    let folder = data.display().to_string();
    let mut sentence = error.to_string();
    // Errors of the log name its files relative to the data folder.
    let is_data = matches!(error, StartError::Replay(_) | StartError::Log(_));
    if is_data && !sentence.contains(&folder) {
        sentence = format!("{folder}: {sentence}");
    }
    match error {
        StartError::Lock(LockError::Held { .. }) => {
            sentence.push_str("; stop that server, or choose another folder with --data");
        }
        StartError::Data(_, error) if Errno::from_io_error(error) == Some(Errno::ACCESS) => {
            sentence.push_str("; run mailrace as the user who owns the folder");
        }
        StartError::System(_) => {
            let doctor = format!(
                " (a thread, memory or a ring); run `mailrace doctor --data {folder}` to see which"
            );
            sentence.push_str(&doctor);
        }
        _ => {}
    }
    if sentence.contains(TOO_LARGE) {
        sentence.push_str(
            "; raise the file size limit (RLIMIT_FSIZE) with `ulimit -f unlimited`, or with \
             LimitFSIZE=infinity in the unit",
        );
    }
    Failure::new(Code::from(error), sentence)
}

/// What the standard library appends to the text of EFBIG.
const TOO_LARGE: &str = "(os error 27)";

/// Why the entry of a user in the users file of a data folder was not changed.
pub(super) fn of_user(error: UserError, name: &str, data: &Path) -> Failure {
    let whole = Failure::from(error);
    let (name, data) = (escaped(name), data.display());
    Failure { sentence: format!("user {name} in {data}: {}", whole.sentence), ..whole }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Failure {
        let code = match &error {
            UserError::Exists
            | UserError::Unknown
            | UserError::Name(_)
            | UserError::Password(_) => Code::Data,
            UserError::Malformed { .. } | UserError::TooLarge(_) => Code::Config,
            UserError::Io { doing: "create" | "lock", .. } => Code::Create,
            UserError::Io { .. } => Code::Io,
            UserError::Hash(_) | UserError::Random(_) => Code::System,
        };
        Failure::new(code, error)
    }
}

/// Writes to a standard stream. Waits for its reader no longer than the log does.
///
/// # Errors
/// If the stream cannot be written, or not in that time.
pub(super) fn tell(stream: impl AsFd, text: String) -> io::Result<()> {
    // A descriptor of our own: the stream itself would stay locked.
    let mut stream = File::from(stream.as_fd().try_clone_to_owned()?);
    let (done, told) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        // Fails if it took too long.
        let _ = done.send(stream.write_all(text.as_bytes()));
    })?;
    told.recv_timeout(LOG_PATIENCE).unwrap_or_else(|_| Err(Errno::TIMEDOUT.into()))
}

/// Writes the result of a command to standard output. A reader that closed the pipe has seen
/// enough, which is no error.
///
/// # Errors
/// If it cannot be written.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    Ok(tools::say(text)?)
}

/// Prints what is wrong with the command line, or the help that it asked for.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render();
    let text = if io::stderr().is_terminal() { text.ansi().to_string() } else { text.to_string() };
    let _ = tell(io::stderr(), text);
    ExitCode::from(Code::Usage as u8)
}
