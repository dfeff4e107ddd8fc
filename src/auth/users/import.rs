//! Users of another server, from a passwd-file of Dovecot, from shadow, or from CSV.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::edit::{keep, make_folder, new_account, with_line};
use super::{FILE, Kept, User, UserError, Users, line, read_text};
use crate::auth::foreign;
use crate::auth::password::Password;

/// How the users of another server are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `name:password:uid:gid:gecos:home:shell:extra fields`, a user a line. Name, password and a
    /// quota among the extra fields count. The lines of shadow have the same beginning.
    Passwd,
    /// Comma-separated values. The first line names the columns: `name`, `password` and perhaps
    /// `quota`.
    Csv,
}

/// What a file of users says.
#[derive(Debug, Default)]
pub(crate) struct Import {
    users: Vec<NewUser>,
    /// Names of users who have no password at the other server, and are left out.
    pub(crate) locked: Vec<Box<str>>,
}

/// What is wrong with a line of such a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line, counted from 1.
    line: u64,
    what: String,
}

/// What an import has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    /// Users who were added.
    pub(crate) added: usize,
    /// Users who were there before, and are unchanged.
    pub(crate) known: usize,
}

#[derive(Debug)]
struct NewUser {
    name: Box<str>,
    secret: Secret,
    quota: Option<u64>,
}

#[derive(Debug)]
enum Secret {
    Hash(Box<str>),
    /// To be hashed.
    Plain(Password),
}

impl Import {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the lines.
    pub(crate) fn read(text: &[u8], format: Format) -> Result<Import, Vec<Problem>> {
        let (mut import, mut problems, mut names) = (Import::default(), Vec::new(), HashMap::new());
        let lines = match format {
            Format::Passwd => passwd(text),
            Format::Csv => csv(text),
        };
        for (number, fields) in lines {
            let added = fields.and_then(|fields| {
                if let Some(first) = names.insert(fields.name.clone(), number) {
                    return Err(format!("the name is that of line {first}"));
                }
                import.add(&fields)
            });
            problems.extend(added.err().map(|what| Problem { line: number, what }));
        }
        if problems.is_empty() { Ok(import) } else { Err(problems) }
    }

    fn add(&mut self, fields: &Fields) -> Result<(), String> {
        let name: Box<str> = fields.name.as_str().into();
        line::check_new_name(&name).map_err(|error| error.to_string())?;
        let quota = match &fields.quota {
            Some((text, unit)) => quota(text, *unit)
                .ok_or_else(|| format!("the quota {text:?} is not a size such as 500M"))?,
            None => None,
        };
        match secret(&fields.password)? {
            Some(secret) => self.users.push(NewUser { name, secret, quota }),
            None => self.locked.push(name),
        }
        Ok(())
    }
}

/// The number of a line, counted from 1, and what it says or what is wrong with it.
type Line = (u64, Result<Fields, String>);

/// What counts in a line.
#[derive(Debug)]
struct Fields {
    name: String,
    password: String,
    /// A size, and the unit of a number without one.
    quota: Option<(String, u64)>,
}

/// What is before a quota among the extra fields of a passwd-file, and the unit of a number without
/// one: of Dovecot 2.3, and of 2.4.
const QUOTAS: [(&str, u64); 3] = [
    ("userdb_quota_rule=*:storage=", 1 << 10),
    ("userdb_quota_rule=*:bytes=", 1),
    ("userdb_quota_storage_size=", 1),
];

fn passwd(text: &[u8]) -> Vec<Line> {
    let lines = text.split(|&octet| octet == b'\n').map(|line| line.trim_ascii());
    let lines = (1..).zip(lines).filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"));
    let lines = lines.map(|(number, line)| {
        let Ok(line) = std::str::from_utf8(line) else {
            return (number, Err("the line is not UTF-8".to_owned()));
        };
        // No hash has a colon in it.
        let mut fields = line.splitn(8, ':');
        let (Some(name), Some(password)) = (fields.next(), fields.next()) else {
            return (number, Err("there is no password: expected name:password".to_owned()));
        };
        let extra = fields.nth(5).unwrap_or_default();
        let quota = extra.split_ascii_whitespace().find_map(|field| {
            let of = |(before, unit)| Some((field.strip_prefix(before)?.to_owned(), unit));
            QUOTAS.into_iter().find_map(of)
        });
        (number, Ok(Fields { name: name.to_owned(), password: password.to_owned(), quota }))
    });
    lines.collect()
}

fn csv(text: &[u8]) -> Vec<Line> {
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder.trim(csv::Trim::Headers).comment(Some(b'#')).from_reader(text);
    let columns = match reader.headers() {
        Ok(headings) => ["name", "password", "quota"]
            .map(|name| headings.iter().position(|heading| heading.eq_ignore_ascii_case(name))),
        Err(error) => return vec![(1, Err(what_is_wrong(&error)))],
    };
    let [Some(name), Some(password), quota] = columns else {
        let what = "the first line does not name the columns `name` and `password`";
        return vec![(1, Err(what.to_owned()))];
    };
    let lines = reader.records().map(|record| match record {
        Ok(record) => {
            let field = |at: usize| record.get(at).unwrap_or_default();
            let quota = quota.map(|at| field(at).trim()).filter(|quota| !quota.is_empty());
            let fields = Fields {
                name: field(name).trim().to_owned(),
                password: field(password).to_owned(),
                quota: quota.map(|quota| (quota.to_owned(), 1)),
            };
            (record.position().map_or(0, csv::Position::line), Ok(fields))
        }
        Err(error) => {
            let line = error.position().map_or(0, csv::Position::line);
            (line, Err(what_is_wrong(&error)))
        }
    });
    lines.collect()
}

/// The error without the position, which [`Problem`] has.
fn what_is_wrong(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "the line is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("expected {expected_len} fields as in the first line, found {len}")
        }
        kind => format!("not CSV: {kind:?}"),
    }
}

/// What is stored of a password field; `None` if nobody can log in by it.
fn secret(text: &str) -> Result<Option<Secret>, String> {
    // Dovecot also lets no password stand for any password. That is not taken over.
    if text.is_empty() || text == "x" || text.starts_with(['!', '*']) {
        return Ok(None);
    }
    if let Some((scheme, password)) = text.strip_prefix('{').and_then(|text| text.split_once('}'))
        && ["PLAIN", "CLEAR", "CLEARTEXT"].iter().any(|plain| plain.eq_ignore_ascii_case(scheme))
    {
        let password = Password::new(password.as_bytes());
        password.check().map_err(|error| error.to_string())?;
        return Ok(Some(Secret::Plain(password)));
    }
    // Without a scheme, passwd-files and shadow have the hashes of crypt(3).
    let hash = match text {
        text if foreign::is_foreign(text) || text.starts_with("$argon2id$") => text.to_owned(),
        text if text.starts_with('$') => format!("{{CRYPT}}{text}"),
        _ => {
            let what = "the password is not a hash with its scheme, such as {SHA512-CRYPT}$6$...; \
                        a password in clear text is written {PLAIN}...";
            return Err(what.to_owned());
        }
    };
    line::check_hash(&hash).map_err(|error| error.to_string())?;
    Ok(Some(Secret::Hash(hash.into())))
}

/// Octets of a size such as `10485760`, `500M` or `1G`. `Some(None)` is no limit.
fn quota(text: &str, unit: u64) -> Option<Option<u64>> {
    if ["none", "unlimited"].iter().any(|word| word.eq_ignore_ascii_case(text)) {
        return Some(None);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let unit = match &*suffix.to_ascii_uppercase() {
        "" => unit,
        "B" => 1,
        "K" | "KB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        "T" | "TB" => 1 << 40,
        _ => return None,
    };
    let octets = number.parse::<u64>().ok()?.checked_mul(unit)?;
    Some((octets > 0).then_some(octets))
}

impl Users {
    /// Adds all these users at once: after a crash either all of them are there or none. Who is
    /// there before is left as is. Passwords in clear text are hashed first, on all processors:
    /// some tens of milliseconds for each. As with [`Users::add`], nobody gets the mail of a
    /// removed user with the same name.
    ///
    /// # Errors
    /// If the file is malformed, or on a disk error. Nothing has changed then.
    pub(crate) fn import(&self, import: &Import, kept: Kept) -> Result<Imported, UserError> {
        make_folder(&self.folder)?;
        let known = self.now()?;
        let new: Vec<_> =
            import.users.iter().filter(|user| known.get(&user.name).is_none()).collect();
        let new = hashed(&new, kept)?;
        let _lock = self.lock()?;
        let (known, mut text) = (self.now()?, read_text(&self.folder.join(FILE))?);
        let removed: HashSet<Box<str>> = text
            .split(|&octet| octet == b'\n')
            .filter_map(|line| line::parse_removed(line).map(|(name, _)| name.into()))
            .collect();
        let mut added = 0;
        for mut user in new {
            if known.get(&user.name).is_some() {
                continue;
            }
            if removed.contains(&user.name) {
                user.account = Some(new_account()?);
            }
            text = with_line(text, &line::format(&user));
            added += 1;
        }
        if added > 0 {
            self.replace(&text)?;
        }
        Ok(Imported { added, known: import.users.len() - added })
    }
}

/// The users to store, in their order.
fn hashed(users: &[&NewUser], kept: Kept) -> Result<Vec<User>, UserError> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(users.len())));
    let work = || {
        while let Some((at, user)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, users.get(at)?)))
        {
            let result = stored(user, kept);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn stored(new: &NewUser, kept: Kept) -> Result<User, UserError> {
    let mut user = User {
        name: new.name.clone(),
        account: None,
        quota: new.quota,
        hash: "".into(),
        keys: None,
        master: None,
    };
    match &new.secret {
        Secret::Hash(hash) => user.hash = (**hash).into(),
        Secret::Plain(password) => keep(&mut user, password, kept)?,
    }
    Ok(user)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

#[cfg(test)]
mod tests;
