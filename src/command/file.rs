//! The configuration file: TOML, whose keys are the flags of `mailrace serve`.
//!
//! ```text
//! listen = "0.0.0.0:143"
//! tls-listen = "0.0.0.0:993"
//! tls-cert = "/etc/mailrace/cert.pem"
//! segments-ahead = 4
//! allow-plaintext-auth = false
//! ```
//! A key becomes the flag of that name and is parsed by the same rules, so every key is a flag and
//! every flag is a key. A flag on the command line overrides the key.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::exit::{self, Failure};
use super::settings::ServeArgs;

/// How similar a misspelt key and a known one must be, from 0 to 1, as clap has it for flags.
const ALIKE: f64 = 0.7;

/// Flags that are not keys.
const NOT_KEYS: [&str; 3] = ["config", "help", "version"];

/// The content of a file, one flag for each value.
#[derive(Debug)]
pub(super) struct ConfigFile {
    flags: Vec<Flag>,
}

#[derive(Debug)]
struct Flag {
    key: String,
    /// `--key=value`, or `--key` for a switch.
    text: String,
}

/// Every problem of a file.
#[derive(Debug)]
pub(super) struct FileError {
    path: PathBuf,
    /// Line, counted from 1, and problem. Line 0 stands for the whole file.
    problems: Vec<(usize, String)>,
    /// Why the file could not be read.
    source: Option<io::Error>,
}

impl ConfigFile {
    /// Reads a file and checks each key by itself.
    pub(super) fn read(path: &Path) -> Result<ConfigFile, FileError> {
        let text = fs::read_to_string(path).map_err(|error| FileError {
            path: path.into(),
            problems: vec![(0, format!("cannot be read: {error}"))],
            source: Some(error),
        })?;
        parse(&text).map_err(|problems| FileError { path: path.into(), problems, source: None })
    }

    /// The value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let flag = self.flags.iter().find(|flag| flag.key == key)?;
        flag.text.strip_prefix("--")?.strip_prefix(key)?.strip_prefix('=')
    }

    /// The flags of the keys that neither the command line nor the environment sets.
    pub(super) fn beside(&self, line: &ArgMatches) -> impl Iterator<Item = &str> {
        let set = |key: &str| {
            let known = keys().into_iter().find(|arg| arg.get_long() == Some(key));
            let id = known.map(|arg| arg.get_id().to_string());
            let source = id.and_then(|id| line.value_source(&id));
            matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
        };
        self.flags.iter().filter(move |flag| !set(&flag.key)).map(|flag| flag.text.as_str())
    }
}

/// The flags of `mailrace serve` that are keys, in the order of its help.
pub(super) fn keys() -> Vec<Arg> {
    let flags = serve().get_arguments().cloned().collect::<Vec<_>>();
    let is_key = |arg: &Arg| arg.get_long().is_some_and(|long| !NOT_KEYS.contains(&long));
    flags.into_iter().filter(is_key).collect()
}

/// The settings of a command line `mailrace serve …`, completed from its configuration file.
/// `program` is the definition of the whole command line.
pub(super) fn resolve(program: Command, line: &[OsString]) -> Result<ServeArgs, Failure> {
    let args = read(program, line)?;
    if args.oauth_keys.is_some() && args.oauth_user_claim.is_none() {
        let code = if args.config.is_some() { exit::Code::Config } else { exit::Code::Usage };
        return Err(Failure::new(code, NO_USER_CLAIM));
    }
    Ok(args)
}

/// There is no default: only the operator knows which claims users can set themselves.
const NO_USER_CLAIM: &str = "--oauth-keys needs --oauth-user-claim, the token claim that names \
     the user: one that users cannot set themselves, such as sub, or email if the issuer verifies \
     addresses (a token must then contain email_verified: true)";

fn read(program: Command, line: &[OsString]) -> Result<ServeArgs, Failure> {
    let matches = program.clone().try_get_matches_from(line).map_err(usage)?;
    let Some(serve) = matches.subcommand_matches("serve") else {
        return Err(Failure::new(exit::Code::Usage, "not a serve command"));
    };
    let args = ServeArgs::from_arg_matches(serve).map_err(usage)?;
    let Some(path) = &args.config else { return Ok(args) };
    let file = ConfigFile::read(path).map_err(|error| Failure::new(exit::Code::Config, error))?;
    let all = line.iter().cloned().chain(file.beside(serve).map(OsString::from));
    let all = program.try_get_matches_from(all).map_err(|error| {
        Failure::new(exit::Code::Config, format!("{}: {}", path.display(), usage(error).sentence))
    })?;
    let serve = all.subcommand_matches("serve").unwrap_or(serve);
    ServeArgs::from_arg_matches(serve).map_err(usage)
}

fn usage(error: clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Failure::new(exit::Code::Usage, text)
}

fn serve() -> Command {
    ServeArgs::augment_args(Command::new("serve"))
}

fn parse(text: &str) -> Result<ConfigFile, Vec<(usize, String)>> {
    let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_of(span.start));
        vec![(line, error.message().to_owned())]
    })?;
    let (mut flags, mut problems) = (Vec::new(), Vec::new());
    for (key, value) in table.into_inner() {
        match flags_of(key.get_ref(), value) {
            Ok(found) => flags.extend(found),
            Err(problem) => problems.push((line_of(key.span().start), problem)),
        }
    }
    problems.sort();
    if problems.is_empty() { Ok(ConfigFile { flags }) } else { Err(problems) }
}

fn flags_of(key: &str, value: Spanned<DeValue<'_>>) -> Result<Vec<Flag>, String> {
    let keys = keys();
    let known = keys.iter().find(|arg| arg.get_long() == Some(key));
    let Some(arg) = known else { return Err(unknown(key, &keys)) };
    let is_switch = !arg.get_action().takes_values();
    let is_list = matches!(arg.get_action(), clap::ArgAction::Append);
    let values = match value.into_inner() {
        DeValue::Boolean(on) if is_switch => {
            let text = format!("--{key}");
            return Ok(on.then(|| Flag { key: key.into(), text }).into_iter().collect());
        }
        _ if is_switch => return Err(format!("{key} must be true or false")),
        DeValue::Array(values) if is_list => {
            let values = values.into_iter().map(|value| scalar(key, value.into_inner()));
            values.collect::<Result<Vec<_>, _>>()?
        }
        value => vec![scalar(key, value)?],
    };
    let flags = values.into_iter().map(|value| {
        let text = format!("--{key}={value}");
        check(&text).map_err(|why| format!("{key} = {value:?}: {why}"))?;
        Ok(Flag { key: key.into(), text })
    });
    flags.collect()
}

fn scalar(key: &str, value: DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().replace('_', "")),
        DeValue::Boolean(_) => Err(format!("{key} must be text or a number, not true or false")),
        DeValue::Array(_) => Err(format!("{key} takes one value, not a list")),
        DeValue::Table(_) => Err(format!("{key} takes one value, not a section")),
        _ => Err(format!("{key} must be text in quotes or a decimal integer")),
    }
}

fn unknown(key: &str, keys: &[Arg]) -> String {
    let names = keys.iter().filter_map(Arg::get_long);
    let likeness = |name: &str| strsim::jaro(key, name);
    let nearest = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|name| likeness(name) > ALIKE) {
        Some(name) => format!("unknown key {key}; did you mean {name}?"),
        None => format!("unknown key {key}; `mailrace config example` lists all keys"),
    }
}

/// Parses one flag alone. Other flags that it requires may be set elsewhere.
fn check(flag: &str) -> Result<(), String> {
    use clap::error::ErrorKind;
    let Err(error) = serve().try_get_matches_from(["serve", flag]) else { return Ok(()) };
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return Ok(());
    }
    if let Some(why) = error.source() {
        return Err(why.to_string());
    }
    // Without the usage, which describes the command line.
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
    Err(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for (number, (line, problem)) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\nmailrace: ")?;
            }
            match line {
                0 => write!(f, "{path}: {problem}")?,
                line => write!(f, "{path}, line {line}: {problem}")?,
            }
        }
        Ok(())
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(text: &str) -> Vec<String> {
        let flags = parse(text).unwrap().flags;
        flags.into_iter().map(|flag| flag.text).collect()
    }

    fn problems(text: &str) -> Vec<(usize, String)> {
        parse(text).unwrap_err()
    }

    #[test]
    fn keys_become_flags() {
        let text = "# a comment\nlisten = \"[::]:143\"\nconnections = 1_000\n\
                    segment-size = '64M'\nallow-plaintext-auth = true\n";
        let mut found = flags(text);
        found.sort();
        assert_eq!(
            found,
            [
                "--allow-plaintext-auth",
                "--connections=1000",
                "--listen=[::]:143",
                "--segment-size=64M"
            ]
        );
        let file = parse("data = '/srv/a=b'").unwrap();
        assert_eq!((file.value("data"), file.value("log")), (Some("/srv/a=b"), None));
        assert_eq!(flags("allow-plaintext-auth = false"), [""; 0]);
        assert_eq!(flags(""), [""; 0]);
    }

    #[test]
    fn what_requires_another_key_is_checked_with_all_of_them() {
        assert_eq!(flags("tls-listen = '0.0.0.0:993'"), ["--tls-listen=0.0.0.0:993"]);
    }

    #[test]
    fn all_problems_are_told_with_their_lines() {
        let text = "listen = 'nowhere'\n\nlisten-tls = '0.0.0.0:993'\nsegment-size = '1M'\n\
                    connections = true\nallow-plaintext-auth = 1\nreactors = [1, 2]\n";
        let found = problems(text);
        let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 4, 5, 6, 7], "{found:?}");
        for (problem, wanted) in found.iter().zip([
            "listen = \"nowhere\": invalid socket address",
            "unknown key listen-tls; did you mean tls-listen?",
            "segment-size = \"1M\": must be 4M to 4092M",
            "connections must be text or a number",
            "allow-plaintext-auth must be true or false",
            "reactors takes one value",
        ]) {
            assert!(problem.1.contains(wanted), "{problem:?}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        assert_eq!(problems("listen = \"[::]:143\"\nlog =\n")[0].0, 2);
        let twice = problems("log = 'info'\nlog = 'warn'\n");
        assert!(twice[0].0 == 2 && twice[0].1.contains("duplicate"), "{twice:?}");
        let section = problems("[server]\nlog = 'info'\n");
        assert!(section[0].1.contains("unknown key server"), "{section:?}");
        assert!(problems("config = 'other.toml'")[0].1.contains("unknown key config"));
        assert!(problems("zzz = 1")[0].1.contains("mailrace config example"));
    }
}
