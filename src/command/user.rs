//! `mailrace user`: who may log in.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{self, Failure};
use crate::auth::{Password, Users};
use crate::limits;
use crate::tools::parse_size;

/// Add a user
#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a user; the password is asked for, or read from standard input if that is no terminal
    Add {
        /// Name to log in with
        name: String,

        /// Folder of the server's data
        #[arg(long, value_name = "DIR", default_value = "./mailrace-data")]
        data: PathBuf,

        /// Octets of mail the user may keep, like 500M or 10G [default: no limit]
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        quota: Option<u64>,
    },
}

pub(super) fn run(args: UserArgs) -> Result<(), Failure> {
    let Action::Add { name, data, quota } = args.action;
    let users = Users::open(&data)?;
    let password = password()?;
    users.add(&name, &password, quota)?;
    println!("mailrace: user {name} added to {}", data.display());
    Ok(())
}

fn password() -> Result<Password, Failure> {
    let unread = |error| Failure::new(exit::IO, format!("cannot read the password: {error}"));
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return read_password(stdin.lock()).map_err(unread);
    }
    let first = rpassword::prompt_password("Password: ").map_err(unread)?;
    let second = rpassword::prompt_password("Once more: ").map_err(unread)?;
    if first != second {
        return Err(Failure::new(exit::DATA, "the two passwords differ"));
    }
    Ok(Password::new(first.into_bytes()))
}

/// The first line, without its end. What is longer than any password is left to the check.
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
            assert!(users.add("alice", &password, None).is_err());
        }
    }
}
