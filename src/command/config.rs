//! `mailrace config`: checks a configuration file, or prints an example.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Arg, Args, Command, Subcommand};

use super::exit::{self, Failure};
use super::{file, serve};

/// Check a configuration file, or print an example with every key
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check whether a server would start with this file; list every problem if not
    Check {
        /// Configuration file
        file: PathBuf,
    },
    /// Print a configuration file with every key, its meaning and its default
    Example,
}

pub(super) fn run(args: ConfigArgs, program: Command) -> Result<(), Failure> {
    match args.action {
        Action::Check { file: path } => {
            let line = ["mailrace".into(), "serve".into(), "--config".into(), path.clone().into()];
            let config = file::resolve(program, &line)?;
            let checked = serve::check(&config)
                .map_err(|failure| Failure { code: exit::Code::Config, ..failure })?;
            let warnings = checked.warnings.iter().map(|what| format!("mailrace: {what}\n"));
            let warnings: String = warnings.collect();
            exit::say(&format!("{warnings}mailrace: {} is valid\n", path.display()))
        }
        Action::Example => exit::say(&example()),
    }
}

/// Every key as a comment, with its default.
pub(crate) fn example() -> String {
    let mut text = String::from(
        "# Configuration of mailrace. Every key is also a flag of `mailrace serve`, which\n\
         # overrides the key. Check this file with `mailrace config check FILE`.\n",
    );
    for arg in file::keys() {
        let Some(key) = arg.get_long() else { continue };
        let _ = writeln!(text);
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        for line in wrapped(&help, 98) {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "#{key} = {}", value(&arg));
    }
    text
}

/// The default of a key as TOML; for a key without one, the placeholder of its value.
fn value(arg: &Arg) -> String {
    if !arg.get_action().takes_values() {
        return "false".into();
    }
    let name = || arg.get_value_names().and_then(|names| names.first().cloned());
    let defaults: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    let value = match &defaults[..] {
        [] => name().map(|name| name.to_string()).unwrap_or_default(),
        [value] => value.to_string(),
        values => return format!("{values:?}"),
    };
    let value = if value.parse::<u64>().is_ok() { value } else { format!("{value:?}") };
    match arg.get_action() {
        clap::ArgAction::Append => format!("[{value}]"),
        _ => value,
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + 1 + word.len() > width {
            lines.push(word.into());
        } else {
            let line = &mut lines[last];
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The table of all settings for the manual: flag and key, default, meaning.
#[cfg(test)]
pub(crate) fn table() -> String {
    let mut text = String::new();
    for arg in file::keys() {
        let Some(key) = arg.get_long() else { continue };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        // The help of a flag whose default is no constant says what it is.
        let (meaning, default) = match help.rsplit_once(" [default: ") {
            Some((meaning, default)) => (meaning.to_owned(), default.trim_end_matches(']').into()),
            None => (help, default(&arg)),
        };
        let name = arg.get_value_names().and_then(|names| names.first());
        let name = name.filter(|_| arg.get_action().takes_values());
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        let _ = writeln!(text, "| `--{key}{name}` | {default} | {meaning} |");
    }
    text
}

#[cfg(test)]
fn default(arg: &Arg) -> String {
    match (arg.get_action().takes_values(), arg.get_default_values()) {
        (false, _) => "off".into(),
        (true, []) => "none".into(),
        (true, [value, ..]) => format!("`{}`", value.to_string_lossy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_names_every_key_and_its_defaults_are_valid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mailrace.toml");
        let text = example();
        std::fs::write(&path, &text).unwrap();
        file::ConfigFile::read(&path).unwrap();
        // With the defaults taken in, where there are any.
        let has_default = |key: &str| {
            let arg = file::keys().into_iter().find(|arg| arg.get_long() == Some(key)).unwrap();
            !arg.get_default_values().is_empty()
        };
        let mut keys = 0;
        let lines = text.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => {
                let (key, _) = setting.split_once(" = ").unwrap();
                keys += 1;
                if has_default(key) { setting } else { line }
            }
            _ => line,
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(&path, &text).unwrap();
        file::ConfigFile::read(&path).unwrap();
        assert_eq!(keys, file::keys().len());
        assert!(text.contains("\nlisten = \"127.0.0.1:1143\""), "{text}");
    }
}
