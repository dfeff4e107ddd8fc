//! One line of the users file.
//!
//! ```text
//! # comment
//! alice:$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$...:10737418240
//! bob:$argon2id$v=19$m=19456,t=2,p=1$...$...:none:SCRAM-SHA-256$65536:c2Fs...$...:...
//! carol:$argon2id$...$...:none:account=5f3a9c0b77e01d24:SCRAM-SHA-256$...
//! dave:{SHA512-CRYPT}$6$...$...:none
//! #removed erin
//! #removed frank 81b2c4d6e8f00913
//! ```
//! The SCRAM-SHA-256 keys may be omitted. A hash in braces is of another server: see [`foreign`].
//! Empty lines and lines that begin with `#` are kept and ignored, except the lines of removed
//! users.
//!
//! An account is the mail of one user. It is named after the user; if the name was used before, a
//! random number follows it. So a new user with the name of a removed one does not see the old
//! mail.

use std::fmt;
use std::sync::Arc;

use argon2::{ARGON2ID_IDENT, Params, password_hash::phc::PasswordHash};

use super::foreign::{self, ForeignError};
use super::keys::Keys;
use super::password;
use super::users::{NameError, User};
use crate::limits;

/// Prefix of an account's number.
const ACCOUNT: &str = "account=";

/// Prefix of a removed user's name.
const REMOVED: &str = "#removed ";

/// What is wrong with a line of the users file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// The line does not have three or four fields separated by colons.
    Fields(usize),
    /// The first field is not a valid user name.
    Name(NameError),
    /// The second field is not an argon2id PHC string with salt and hash.
    Hash,
    /// The second field is a hash of another server that is not taken.
    Foreign(ForeignError),
    /// The second field asks for more memory, passes or lanes of argon2id than the
    /// [limits] allow.
    HashTooCostly,
    /// The third field is neither a number of octets nor `none`.
    Quota,
    /// `account=` is not followed by 16 lower-case hexadecimal digits.
    Account,
    /// The last field is not a set of SCRAM-SHA-256 keys, or asks for more iterations than
    /// [`limits::SCRAM_ITERATIONS_MAX`].
    Keys,
    /// An earlier line has the same name.
    Duplicate,
    /// The line is not UTF-8.
    NotText,
}

/// Parses a line without its line end; `None` for a comment or an empty line.
pub(super) fn parse(line: &[u8]) -> Result<Option<User>, LineError> {
    let text = std::str::from_utf8(line).map_err(|_| LineError::NotText)?;
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    // The keys contain colons.
    let mut fields = text.splitn(4, ':');
    let (Some(name), Some(hash), Some(quota), keys) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(LineError::Fields(text.split(':').count()));
    };
    check_name(name).map_err(LineError::Name)?;
    check_hash(hash)?;
    let quota = parse_quota(quota)?;
    let (account, keys) = match keys.and_then(|rest| rest.strip_prefix(ACCOUNT)) {
        None => (None, keys),
        Some(rest) => {
            let (account, keys) = rest.split_once(':').map_or((rest, None), |(a, k)| (a, Some(k)));
            (Some(check_account(account).ok_or(LineError::Account)?), keys)
        }
    };
    let keys = match keys {
        Some(keys) => Some(Arc::new(Keys::parse(keys).ok_or(LineError::Keys)?)),
        None => None,
    };
    Ok(Some(User { name: name.into(), account, quota, hash: hash.into(), keys, master: None }))
}

/// Name and account number in the line of a removed user.
pub(super) fn parse_removed(line: &[u8]) -> Option<(&str, Option<Box<str>>)> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix(REMOVED)?;
    match text.split_once(' ') {
        None => Some((text, None)),
        Some((name, account)) => Some((name, Some(check_account(account)?))),
    }
}

/// The line of a removed user, with line end.
pub(super) fn format_removed(user: &User) -> String {
    let account = user.account.as_ref().map_or_else(String::new, |account| format!(" {account}"));
    format!("{REMOVED}{}{account}\n", user.name)
}

fn check_account(text: &str) -> Option<Box<str>> {
    let digit = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == 16 && text.bytes().all(digit)).then(|| text.into())
}

/// The line of a user, with line end.
pub(super) fn format(user: &User) -> String {
    let quota = user.quota.map_or_else(|| "none".to_owned(), |octets| octets.to_string());
    let keys = user.keys.as_ref().map_or_else(String::new, |keys| format!(":{keys}"));
    let account = user.account.as_ref();
    let account = account.map_or_else(String::new, |account| format!(":{ACCOUNT}{account}"));
    format!("{}:{}:{quota}{account}{keys}\n", user.name, user.hash)
}

/// Whether a new user can have this name. In `alice*admin` the asterisk separates the user from the
/// master user who acts. Existing names with an asterisk remain valid.
pub(super) fn check_new_name(name: &str) -> Result<(), NameError> {
    check_name(name)?;
    if name.contains('*') { Err(NameError::Character('*')) } else { Ok(()) }
}

/// Whether a user can have this name.
pub(super) fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > limits::USER_NAME {
        return Err(NameError::TooLong);
    }
    if name.starts_with('#') {
        return Err(NameError::Comment);
    }
    match name.chars().find(|&c| c == ':' || c.is_control() || c.is_whitespace()) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

pub(super) fn check_hash(hash: &str) -> Result<(), LineError> {
    if foreign::is_foreign(hash) {
        return foreign::check(hash).map_err(LineError::Foreign);
    }
    let hash = PasswordHash::new(hash).map_err(|_| LineError::Hash)?;
    if hash.algorithm != ARGON2ID_IDENT || hash.salt.is_none() || hash.hash.is_none() {
        return Err(LineError::Hash);
    }
    let params = Params::try_from(&hash).map_err(|_| LineError::Hash)?;
    if password::is_affordable(&params) { Ok(()) } else { Err(LineError::HashTooCostly) }
}

/// Only digits: `u64::from_str` also accepts a plus sign.
fn parse_quota(text: &str) -> Result<Option<u64>, LineError> {
    if text == "none" {
        return Ok(None);
    }
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(LineError::Quota);
    }
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(octets) => Ok(Some(octets)),
        Err(_) => Err(LineError::Quota),
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::Fields(count) => {
                write!(f, "expected 3 or 4 fields (name:hash:quota:keys), found {count}")
            }
            LineError::Name(error) => error.fmt(f),
            LineError::Hash => {
                f.write_str("the second field is not an argon2id hash ($argon2id$...)")
            }
            LineError::Foreign(ForeignError::Scheme) => f.write_str(
                "the scheme of the hash is not one of ARGON2ID, ARGON2I, SHA512-CRYPT, \
                 SHA256-CRYPT, BLF-CRYPT, CRYPT, PBKDF2, SSHA, SSHA256 and SSHA512",
            ),
            LineError::Foreign(ForeignError::Form) => {
                f.write_str("the hash does not have the form of its scheme")
            }
            LineError::HashTooCostly | LineError::Foreign(ForeignError::TooCostly) => write!(
                f,
                "the hash asks for more than m={},t={},p={} of argon2, {} rounds of SHA-crypt, \
                 cost {} of bcrypt or {} rounds of PBKDF2",
                limits::ARGON2_MEMORY_KIB,
                limits::ARGON2_PASSES,
                limits::ARGON2_LANES,
                limits::SHA_CRYPT_ROUNDS,
                limits::BCRYPT_COST,
                limits::PBKDF2_ROUNDS,
            ),
            LineError::Quota => {
                f.write_str("the third field is neither a number of octets nor `none`")
            }
            LineError::Account => {
                f.write_str("`account=` is not followed by 16 lower-case hexadecimal digits")
            }
            LineError::Keys => {
                f.write_str("the last field is not SCRAM-SHA-256 keys (SCRAM-SHA-256$...)")
            }
            LineError::Duplicate => f.write_str("an earlier line has the same name"),
            LineError::NotText => f.write_str("the line is not UTF-8"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHC: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0\
                       $AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    const KEYS: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn line(text: &str) -> Result<Option<User>, LineError> {
        parse(whole(text).as_bytes())
    }

    fn whole(text: &str) -> String {
        text.replace("PHC", PHC).replace("KEYS", KEYS)
    }

    #[test]
    fn a_line_comes_back_as_it_was() {
        for text in [
            "alice:PHC:10737418240",
            "b\u{f6}b@example.org:PHC:none",
            "alice:PHC:1:KEYS",
            "alice*admin:PHC:none:KEYS",
            "alice:PHC:none:account=0123456789abcdef",
            "alice:PHC:7:account=0123456789abcdef:KEYS",
        ] {
            let user = line(text).unwrap().unwrap();
            assert_eq!(user.has_keys(), text.ends_with("KEYS"));
            assert_eq!(format(&user), whole(text) + "\n");
        }
        assert_eq!(line("alice:PHC:0").unwrap().unwrap().quota, None);
    }

    #[test]
    fn removed_users_are_remembered() {
        let number = "0123456789abcdef";
        for (text, account) in [("alice:PHC:1", None), ("alice:PHC:1:account=", Some(number))] {
            let user = line(&format!("{text}{}", account.unwrap_or_default())).unwrap().unwrap();
            let removed = format_removed(&user);
            let found = parse_removed(removed.trim_end().as_bytes());
            assert_eq!(found, Some(("alice", account.map(Box::from))));
            assert_eq!(line(removed.trim_end()), Ok(None), "nobody can log in by it");
        }
        for text in ["# removed alice", "#removed alice x", "alice:PHC:1", ""] {
            assert_eq!(parse_removed(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn comments_and_empty_lines_mean_nothing() {
        assert_eq!(line(""), Ok(None));
        assert_eq!(line("# alice:PHC:none"), Ok(None));
    }

    #[test]
    fn bad_lines_are_refused_with_their_reason() {
        for (text, error) in [
            ("alice", LineError::Fields(1)),
            ("alice:PHC", LineError::Fields(2)),
            ("alice:PHC:none:", LineError::Keys),
            ("alice:PHC:none:SCRAM-SHA-1$4096:a$a:a", LineError::Keys),
            ("alice:PHC:none:account=", LineError::Account),
            ("alice:PHC:none:account=0123456789ABCDEF:KEYS", LineError::Account),
            ("alice:PHC:none:account=0123456789abcdef:", LineError::Keys),
            (":PHC:none", LineError::Name(NameError::Empty)),
            ("al ice:PHC:none", LineError::Name(NameError::Character(' '))),
            ("alice\t:PHC:none", LineError::Name(NameError::Character('\t'))),
            ("alice:PHC:none\r", LineError::Quota),
            ("alice:PHC:", LineError::Quota),
            ("alice:PHC:+1", LineError::Quota),
            ("alice:PHC:10G", LineError::Quota),
            ("alice:PHC:18446744073709551616", LineError::Quota),
            ("alice:secret:none", LineError::Hash),
            ("alice:$argon2id$v=19$m=19456,t=2,p=1:none", LineError::Hash),
            ("alice:$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$AAECAwQFBgc:none", LineError::Hash),
        ] {
            assert_eq!(line(text), Err(error), "{text}");
        }
        assert_eq!(parse(b"\xff:x:none"), Err(LineError::NotText));
    }

    #[test]
    fn a_hash_that_would_eat_the_machine_is_refused() {
        for params in ["m=4194304,t=2,p=1", "m=19456,t=1000,p=1", "m=19456,t=2,p=1000"] {
            let phc = PHC.replace("m=19456,t=2,p=1", params);
            let text = format!("alice:{phc}:none");
            assert_eq!(parse(text.as_bytes()), Err(LineError::HashTooCostly), "{params}");
        }
    }

    #[test]
    fn names_are_words() {
        assert_eq!(check_name("a"), Ok(()));
        assert_eq!(check_name(&"x".repeat(255)), Ok(()));
        assert_eq!(check_name(&"x".repeat(256)), Err(NameError::TooLong));
        assert_eq!(check_name("#a"), Err(NameError::Comment));
        assert_eq!(check_name("a:b"), Err(NameError::Character(':')));
        assert_eq!(check_name("a\0b"), Err(NameError::Character('\0')));
        assert_eq!(check_name("a\u{a0}b"), Err(NameError::Character('\u{a0}')));
        assert_eq!(check_name("a\u{85}b"), Err(NameError::Character('\u{85}')));
        assert_eq!(check_new_name("alice"), Ok(()));
        assert_eq!(check_new_name("alice*admin"), Err(NameError::Character('*')));
        assert_eq!(check_new_name(""), Err(NameError::Empty));
    }
}
