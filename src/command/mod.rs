//! The `mailrace` command: what stands on its line, and what comes of it.

mod cert;
mod config;
mod exit;
mod file;
mod guard;
mod journal;
mod lines;
mod logs;
mod notify;
mod serve;
mod shell;
mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use cert::CertArgs;
pub use config::ConfigArgs;
pub use exit::Failure;
pub use logs::LogFormat;
pub use serve::ServeArgs;
pub use shell::{CompletionsArgs, ManArgs};
pub use user::UserArgs;

use logs::{LogOptions, Logs};

use crate::tools::{self, BenchArgs, DemoArgs, DoctorArgs, ToolError, TopArgs};

/// An IMAP server for Linux built for bulk ingestion.
#[derive(Parser)]
#[command(name = "mailrace", version, max_term_width = 100, after_help = exit::CODES)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<ServeArgs>),
    User(UserArgs),
    Cert(CertArgs),
    Config(ConfigArgs),
    /// Upload real mail to a server of its own, fetch it back and compare every octet
    Demo(DemoArgs),
    /// Put load on an IMAP server and measure it
    Bench(BenchArgs),
    Doctor(DoctorArgs),
    /// Watch a server that runs with --admin
    Top(TopArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Runs what the command line asks for, to its end.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let line = match Line::try_parse_from(&arguments) {
        Ok(line) => line,
        Err(error) => return exit::usage(&error),
    };
    let done = match line.command {
        Command::Serve(_) => serve::resolve(&arguments).and_then(serve::run),
        Command::User(args) => user::run(args),
        Command::Cert(args) => cert::run(args),
        Command::Config(args) => config::run(args),
        Command::Demo(args) => quietly(|| tools::demo(&args)),
        Command::Bench(args) => quietly(|| tools::bench(&args)),
        Command::Doctor(args) => doctor(&args),
        Command::Top(args) => tools::top(&args).map_err(Failure::from),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Looks at the machine; to have found something to do is a failure.
fn doctor(args: &DoctorArgs) -> Result<(), Failure> {
    match tools::doctor(args) {
        0 => Ok(()),
        1 => Err(Failure::new(exit::TO_DO, "one check wants something done")),
        several => Err(Failure::new(exit::TO_DO, format!("{several} checks want something done"))),
    }
}

/// Runs a tool. Of the server that it starts, only what is wrong is worth a line.
fn quietly(tool: impl FnOnce() -> Result<(), ToolError>) -> Result<(), Failure> {
    let (filter, format) = ("warn", LogFormat::Text);
    let _logs = Logs::start(LogOptions { filter, format, file: None, audit: None })?;
    Ok(tool()?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_flag_has_its_help() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let id = argument.get_id();
                assert!(argument.get_help().is_some(), "{}: {id}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        let mut command = Line::command();
        command.build();
        command.clone().debug_assert();
        check(&command);
    }
}
