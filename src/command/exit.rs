//! How the command ends when it does not do what it was asked: one sentence, one number.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;

use crate::auth::UserError;
use crate::limits::LOG_PATIENCE;
use crate::server::StartError;
use crate::stats::escaped;
use crate::store::LockError;
use crate::tools::ToolError;

/// Of `--help`. The numbers are those of sysexits.h.
pub(super) const CODES: &str = "\
Exit codes: 0 done; 1 doctor has found something to do; 64 wrong usage; 65 what was given will not \
do, or the log is damaged; 69 no io_uring here; 70 a bug; 71 the system refused memory, a thread \
or a ring; 72 the data folder went away under the server; 73 a file cannot be created; 74 a file \
or an address cannot be used; 75 another server runs on this data; 76 a server did not answer as \
it should; 78 the configuration, the file of users, a certificate or a key will not do.";

/// The doctor has found something to do.
pub(super) const TO_DO: u8 = 1;
/// Wrong usage of the command line.
pub(super) const USAGE: u8 = 64;
/// What the user gave will not do.
pub(super) const DATA: u8 = 65;
/// The system refused something.
pub(super) const SYSTEM: u8 = 71;
/// A file or folder cannot be created.
pub(super) const CREATE: u8 = 73;
/// A file cannot be read or written.
pub(super) const IO: u8 = 74;
/// A file holds what makes no sense.
pub(super) const CONFIG: u8 = 78;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// What the process exits with.
    pub code: u8,
    /// A sentence for the user.
    pub sentence: String,
}

impl Failure {
    /// A failure with its code and its reason.
    pub fn new(code: u8, reason: impl fmt::Display) -> Failure {
        Failure { code, sentence: reason.to_string() }
    }

    pub(super) fn report(&self) -> ExitCode {
        // It may name what a client or a server has sent.
        let lines: Vec<_> = self.sentence.lines().map(escaped).collect();
        // Nobody is left to be told when that fails; the number says something, too.
        let _ = tell(io::stderr(), format!("mailrace: {}\n", lines.join("\n")));
        ExitCode::from(self.code)
    }
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Failure {
        Failure::new(error.exit_code(), error)
    }
}

/// Why a server on this folder did not start, or ended, and what to do about it.
pub(super) fn of_server(error: StartError, data: &Path) -> Failure {
    let folder = data.display().to_string();
    let mut sentence = error.to_string();
    // What is about files of the log names them as they are called in there.
    let is_data = matches!(error, StartError::Replay(_) | StartError::Log(_));
    if is_data && !sentence.contains(&folder) {
        sentence = format!("{folder}: {sentence}");
    }
    match &error {
        StartError::Lock(LockError::Held { .. }) => {
            sentence.push_str("; stop that one, or name another folder by --data");
        }
        StartError::Data(_, error) if error.kind() == ErrorKind::PermissionDenied => {
            sentence.push_str("; run mailrace as the user whom the folder belongs to");
        }
        StartError::System(_) => {
            let doctor =
                format!(" a thread, memory or a ring; see `mailrace doctor --data {folder}`");
            sentence.push_str(&doctor);
        }
        _ => {}
    }
    if sentence.contains(TOO_LARGE) {
        sentence.push_str(
            "; raise the limit on the size of files (RLIMIT_FSIZE) by `ulimit -f unlimited`, or \
             LimitFSIZE=infinity in the unit",
        );
    }
    Failure::new(error.exit_code(), sentence)
}

/// What the standard library writes behind EFBIG.
const TOO_LARGE: &str = "(os error 27)";

/// Why somebody's line in the file of users of a data folder stays as it is.
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
            | UserError::Password(_) => DATA,
            UserError::Malformed { .. } | UserError::TooLarge(_) => CONFIG,
            UserError::Io { doing: "create" | "lock", .. } => CREATE,
            UserError::Io { .. } => IO,
            UserError::Hash(_) | UserError::Random(_) => SYSTEM,
        };
        Failure::new(code, error)
    }
}

/// Writes to a standard stream, and waits for a reader no longer than for that of the log.
///
/// # Errors
/// When it cannot be written, or not in that time.
pub(super) fn tell(stream: impl AsFd, text: String) -> io::Result<()> {
    // A descriptor of our own: the stream itself would stay locked.
    let mut stream = File::from(stream.as_fd().try_clone_to_owned()?);
    let (done, told) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = done.send(stream.write_all(text.as_bytes()));
    })?;
    told.recv_timeout(LOG_PATIENCE).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// Writes the result of a command to standard output. Whoever has stopped reading has what he
/// wanted.
///
/// # Errors
/// When it cannot be written.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(IO, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
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
    ExitCode::from(USAGE)
}
