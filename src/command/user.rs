//! `mailrace user`: manages the users file.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};

use super::exit::{self, Failure};
use super::file::ConfigFile;
use super::guard;
use super::quietly;
use super::settings::DATA;
use super::size::parse_size;
use crate::auth::{Format, Import, Kept, Password, UserError, Users};
use crate::home::Purged;
use crate::limits;
use crate::stats::escaped;
use crate::tools;

/// Add, remove, list and change users
#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a user; prompts for the password, or reads it from standard input if not on a terminal
    Add {
        #[command(flatten)]
        whom: Whom,

        /// Quota of mail in bytes, such as 500M or 10G [default: no limit]
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        quota: Option<u64>,

        /// Give the user the mail of the removed user of the same name
        #[arg(long)]
        keep_mail: bool,

        #[command(flatten)]
        keep: Keep,
    },
    /// Remove a user and end all sessions; the mail stays, hidden from later users of that name,
    /// unless --purge is given
    Remove {
        #[command(flatten)]
        whom: Whom,

        /// Delete all mail, mailboxes and subscriptions of the user, or of the user of that name
        /// who was removed last. Their space comes back by cleaning
        #[arg(long)]
        purge: bool,
    },
    /// Change a user's password; ends the sessions that used the old one
    Passwd {
        #[command(flatten)]
        whom: Whom,

        #[command(flatten)]
        keep: Keep,
    },
    /// Change the quota of a user
    #[command(group = ArgGroup::new("what").required(true))]
    Set {
        #[command(flatten)]
        whom: Whom,

        /// Quota of mail in bytes, such as 500M or 10G
        #[arg(long, value_name = "SIZE", value_parser = parse_size, group = "what")]
        quota: Option<u64>,

        /// Remove the quota
        #[arg(long, group = "what")]
        no_quota: bool,
    },
    /// Add the users of another server from a file, all or none; who is there already stays as is
    #[command(after_help = IMPORT)]
    Import {
        /// File of the users
        file: PathBuf,

        /// Form of the file [default: csv if its name ends in .csv, else passwd]
        #[arg(long, value_enum)]
        format: Option<Form>,

        #[command(flatten)]
        place: Place,

        #[command(flatten)]
        keep: Keep,
    },
    /// List users: name, quota in bytes, and how the password can be proven; in parentheses the
    /// scheme of a hash from another server, which the next login replaces
    List {
        #[command(flatten)]
        place: Place,
    },
}

/// Explains the files of `user import`.
const IMPORT: &str = "\
passwd: lines of name:password:uid:gid:gecos:home:shell:extra, as Dovecot and shadow have them. \
Name and password count, and userdb_quota_rule=*:storage=SIZE or userdb_quota_storage_size=SIZE.
csv: the first line names the columns: name, password and perhaps quota.

A password is a hash with its scheme, such as {SHA512-CRYPT}$6$...; a hash of crypt, such as \
$6$...; or {PLAIN} and the password. Users whose password is empty, x, or begins with ! or * \
cannot log in at the other server and are left out.";

/// The form of a file of users.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Passwd,
    Csv,
}

/// The user to change.
#[derive(Args, Debug)]
struct Whom {
    /// Login name
    name: String,

    #[command(flatten)]
    place: Place,
}

impl Whom {
    /// Opens the users file; also returns a function that adds user and folder to its errors.
    fn open(&self) -> Result<(Users, impl Fn(UserError) -> Failure), Failure> {
        let folder = self.place.folder()?;
        let users = Users::open(&folder)?;
        Ok((users, move |error| exit::of_user(error, &self.name, &folder)))
    }
}

#[derive(Args, Debug)]
struct Place {
    /// Data folder of the server [default: from --config, else ./mailrace-data]
    #[arg(long, value_name = "DIR", env = "MAILRACE_DATA")]
    data: Option<PathBuf>,

    /// Configuration file of the server; its key `data` names the data folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// The folder that `mailrace serve` uses with the same flags and environment.
    fn folder(&self) -> Result<PathBuf, Failure> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let Some(config) = &self.config else { return Ok(DATA.into()) };
        let file =
            ConfigFile::read(config).map_err(|error| Failure::new(exit::Code::Config, error))?;
        Ok(file.value("data").unwrap_or(DATA).into())
    }
}

#[derive(Args, Debug)]
struct Keep {
    /// Store no SCRAM-SHA-256 keys, which are cheaper to attack than an argon2id hash if stolen.
    /// While any user has none, the server does not offer SCRAM
    #[arg(long)]
    no_scram: bool,
}

impl Keep {
    fn kept(&self) -> Kept {
        if self.no_scram { Kept::HashOnly } else { Kept::HashAndKeys }
    }
}

pub(super) fn run(args: UserArgs) -> Result<(), Failure> {
    let done = |whom: &Whom, what: &str| {
        let folder = whom.place.folder()?;
        let (name, place) = (escaped(&whom.name), folder.display());
        exit::say(&format!("mailrace: user {name} {what} {place}\n"))
    };
    guard::only_for_owner();
    // This process holds the password and its keys. A failure is no reason to stop.
    let _ = guard::no_core_dumps();
    match args.action {
        Action::Add { whom, quota, keep_mail, keep } => {
            let (users, failed) = whom.open()?;
            let (name, password, kept) = (&whom.name, password()?, keep.kept());
            let added = match keep_mail {
                true => users.add_with_mail(name, &password, quota, kept),
                false => users.add(name, &password, quota, kept),
            };
            added.map_err(failed)?;
            done(&whom, "added to")
        }
        Action::Remove { whom, purge: true } => purge(&whom),
        Action::Remove { whom, purge: false } => {
            let (users, failed) = whom.open()?;
            users.remove(&whom.name).map_err(failed)?;
            done(&whom, "removed from")?;
            exit::say(
                "The mail stays on disk. A new user of that name sees it only if added with \
                 --keep-mail. `mailrace user remove --purge` deletes it.\n",
            )
        }
        Action::Passwd { whom, keep } => {
            let (users, failed) = whom.open()?;
            // Checked before the password is typed twice.
            if users.get(&whom.name).is_none() {
                return Err(failed(UserError::Unknown));
            }
            users.set_password(&whom.name, &password()?, keep.kept()).map_err(failed)?;
            done(&whom, "has a new password in")
        }
        Action::Set { whom, quota, no_quota: _ } => {
            let (users, failed) = whom.open()?;
            users.set_quota(&whom.name, quota).map_err(failed)?;
            done(&whom, "has a new quota in")
        }
        Action::Import { file, format, place, keep } => {
            import(&file, format, &place.folder()?, keep.kept())
        }
        Action::List { place } => list(&Users::open(&place.folder()?)?),
    }
}

/// Removes a user, if that was not done before, and then the mail. If it is interrupted in between,
/// the same command completes it.
fn purge(whom: &Whom) -> Result<(), Failure> {
    let (users, failed) = whom.open()?;
    let (folder, name) = (whom.place.folder()?, escaped(&whom.name));
    let account = match users.remove(&whom.name) {
        Ok(()) | Err(UserError::Unknown) => users.removed_account(&whom.name).map_err(&failed)?,
        Err(error) => return Err(failed(error)),
    };
    let account = account.ok_or_else(|| failed(UserError::Unknown))?;
    let mut purged = Purged::default();
    quietly(|| {
        purged = tools::purge(&folder, &account)?;
        Ok(())
    })
    .inspect_err(|_| {
        let what = "is removed, but perhaps not all of the mail: run this command again";
        let _ = exit::tell(io::stderr(), format!("mailrace: user {name} {what}\n"));
    })?;
    let Purged { mailboxes, messages } = purged;
    let place = folder.display();
    exit::say(&match mailboxes {
        0 => format!(
            "mailrace: user {name} is not in {place} any more, and there was nothing to delete\n"
        ),
        _ => format!(
            "mailrace: user {name} removed from {place}, {mailboxes} mailboxes with {messages} \
             messages deleted\nThe space comes back by cleaning; see `mailrace space`\n"
        ),
    })
}

/// Problems of a file that are told. There may be one for each of its lines.
const TOLD: usize = 20;

fn import(file: &Path, format: Option<Form>, folder: &Path, kept: Kept) -> Result<(), Failure> {
    let (shown, mut text) = (file.display(), Vec::new());
    let read = File::open(file).and_then(|file| {
        file.take(limits::USERS_FILE + 1).read_to_end(&mut text) //
    });
    read.map_err(|error| Failure::new(exit::Code::Io, format!("cannot read {shown}: {error}")))?;
    if text.len() as u64 > limits::USERS_FILE {
        return Err(UserError::TooLarge(file.into()).into());
    }
    let format = match format {
        Some(Form::Csv) => Format::Csv,
        Some(Form::Passwd) => Format::Passwd,
        None if file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv")) => Format::Csv,
        None => Format::Passwd,
    };
    let import = Import::read(&text, format).map_err(|problems| {
        let mut sentence = format!("nothing is imported, because of {shown}");
        problems.iter().take(TOLD).for_each(|problem| {
            let _ = write!(sentence, "\n{problem}");
        });
        if problems.len() > TOLD {
            let _ = write!(sentence, "\nand {} lines more", problems.len() - TOLD);
        }
        Failure::new(exit::Code::Data, sentence)
    })?;
    let done = Users::open(folder)?.import(&import, kept)?;
    let mut told = format!(
        "mailrace: users added to {}: {}, there before and unchanged: {}\n",
        folder.display(),
        done.added,
        done.known,
    );
    if let [first, more @ ..] = &*import.locked {
        let _ = write!(told, "left out, because they have no password: {}", escaped(first));
        more.iter().for_each(|name| {
            let _ = write!(told, ", {}", escaped(name));
        });
        told.push('\n');
    }
    exit::say(&told)
}

/// A line per user with tab-separated fields.
fn list(users: &Users) -> Result<(), Failure> {
    let mut lines = String::new();
    for user in users.list()? {
        let quota = user.quota.map_or_else(|| "none".to_owned(), |octets| octets.to_string());
        let proofs = match (user.scheme(), user.has_keys()) {
            (Some(scheme), _) => format!("password ({})", escaped(scheme)),
            (None, true) => "password,scram".to_owned(),
            (None, false) => "password".to_owned(),
        };
        let _ = writeln!(lines, "{}\t{quota}\t{proofs}", user.name);
    }
    exit::say(&lines)
}

fn password() -> Result<Password, Failure> {
    let unread = |error| Failure::new(exit::Code::Io, format!("cannot read the password: {error}"));
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return read_password(stdin.lock()).map_err(unread);
    }
    let first = rpassword::prompt_password("Password: ").map_err(unread)?;
    let second = rpassword::prompt_password("Repeat password: ").map_err(unread)?;
    if first != second {
        return Err(Failure::new(exit::Code::Data, "the two passwords differ"));
    }
    Ok(Password::new(first.into_bytes()))
}

/// The first line, without its line end. Reads a little more than the longest password, so that the
/// check can refuse a longer one.
fn read_password(input: impl BufRead) -> io::Result<Password> {
    let mut line = Vec::new();
    input.take(limits::PASSWORD as u64 + 2).read_until(b'\n', &mut line)?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(Password::new(text.strip_suffix(b"\r").unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for text in ["secret", "secret\n", "secret\r\n", "secret\nmore\n"] {
            assert_eq!(read_password(text.as_bytes()).unwrap(), Password::new(*b"secret"));
        }
        assert_eq!(read_password(&b"a b \n"[..]).unwrap(), Password::new(*b"a b "));
        assert_eq!(read_password(&b""[..]).unwrap(), Password::new(*b""));
    }

    #[test]
    fn a_password_that_is_too_long_is_not_cut_to_fit() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::open(folder.path()).unwrap();
        for end in ["", "\n", "\r\n"] {
            let text = "x".repeat(limits::PASSWORD + 1) + end;
            let password = read_password(text.as_bytes()).unwrap();
            assert!(users.add("alice", &password, None, Kept::HashOnly).is_err());
        }
    }
}
