//! The `mailrace` command: every argument, exit code and the configuration file.

mod bench;
mod cert;
pub(crate) mod config;
mod doctor;
mod duration;
mod exit;
mod file;
mod guard;
mod logs;
mod notify;
mod serve;
mod settings;
mod shell;
mod size;
mod store;
mod top;
mod user;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use bench::{BenchArgs, DemoArgs};
pub use cert::CertArgs;
pub use config::ConfigArgs;
pub use doctor::DoctorArgs;
pub use exit::{Code, Failure};
pub use logs::LogFormat;
pub use settings::ServeArgs;
pub use shell::{CompletionsArgs, ManArgs};
pub use store::{BackupArgs, CleanArgs, InspectArgs, RestoreArgs, SpaceArgs, VerifyArgs};
pub use top::TopArgs;
pub use user::UserArgs;

use logs::{LogOptions, Logs};

use crate::tools::{self, ToolError};

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
    Demo(DemoArgs),
    Bench(Box<BenchArgs>),
    Doctor(DoctorArgs),
    Verify(VerifyArgs),
    Inspect(InspectArgs),
    Space(SpaceArgs),
    Clean(CleanArgs),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Top(TopArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Runs the command line and returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let line = match Line::try_parse_from(&arguments) {
        Ok(line) => line,
        Err(error) => return exit::usage(&error),
    };
    let done = match line.command {
        Command::Serve(_) => file::resolve(Line::command(), &arguments).and_then(serve::run),
        Command::User(args) => user::run(args),
        Command::Cert(args) => cert::run(args),
        Command::Config(args) => config::run(args, Line::command()),
        Command::Demo(args) => quietly(|| tools::demo(&args.into())),
        Command::Bench(args) => quietly(|| tools::bench(&(*args).into())),
        Command::Doctor(args) => doctor::run(&args),
        Command::Verify(args) => store::verify(&args),
        Command::Inspect(args) => store::inspect(&args),
        Command::Space(args) => store::space(args),
        Command::Clean(args) => store::clean(args),
        Command::Backup(args) => store::backup(&args),
        Command::Restore(args) => store::restore(&args),
        Command::Top(args) => top::run(&args),
        Command::Completions(args) => shell::completions(&args, Line::command()),
        Command::Man(args) => shell::man(&args, Line::command()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs a tool. Of the server that it starts, only warnings and errors are logged.
fn quietly(tool: impl FnOnce() -> Result<(), ToolError>) -> Result<(), Failure> {
    let (filter, format) = ("warn", LogFormat::Text);
    let _logs = Logs::start(LogOptions { filter, format, file: None, audit: None })?;
    Ok(tool()?)
}

#[cfg(test)]
mod tests {
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
