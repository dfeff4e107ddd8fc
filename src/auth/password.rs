//! Passwords and their argon2id hashes in PHC string format.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};

use crate::limits;
use crate::reactor::Pages;

/// A password in clear text, between client and check. `Debug` hides it, so that it cannot end up
/// in a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

/// Why a new user cannot have this password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordError {
    /// No octets: SASL PLAIN cannot carry an empty password.
    Empty,
    /// Longer than [`limits::PASSWORD`].
    TooLong,
    /// Contains NUL, CR or LF, which a client cannot send in a quoted string.
    NotALine,
}

impl Password {
    /// Takes the octets unchecked. A password that is not allowed simply matches no user.
    #[must_use]
    pub fn new(octets: impl Into<Box<[u8]>>) -> Password {
        Password(octets.into())
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Whether a new user can have this password: it must fit LOGIN's `quoted` (RFC 3501 section 9)
    /// and SASL's `passwd` (RFC 4616 section 2).
    pub(super) fn check(&self) -> Result<(), PasswordError> {
        if self.0.is_empty() {
            return Err(PasswordError::Empty);
        }
        if self.0.len() > limits::PASSWORD {
            return Err(PasswordError::TooLong);
        }
        if self.0.iter().any(|octet| matches!(octet, 0 | b'\r' | b'\n')) {
            return Err(PasswordError::NotALine);
        }
        Ok(())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The crate's default cost, which OWASP recommends.
#[cfg(not(test))]
fn argon2() -> Argon2<'static> {
    Argon2::default()
}

/// In the simulation, logins are frequent and passwords need no protection.
#[cfg(test)]
fn argon2() -> Argon2<'static> {
    if !crate::reactor::files::are_simulated() {
        return Argon2::default();
    }
    let least = argon2::Params::new(8, 1, 1, None).expect("the least that argon2 takes");
    Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, least)
}

/// The PHC string of a password with a fresh salt. Takes some tens of milliseconds and 19 MiB.
pub(super) fn hash(password: &Password) -> Result<Box<str>, argon2::Error> {
    let argon2 = argon2();
    let salt = Salt::generate();
    let mut octets = [0; Params::DEFAULT_OUTPUT_LEN];
    derive(&argon2, password, &salt, &mut octets)?;
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).map_err(|_| argon2::Error::OutOfMemory)?,
        salt: Some(salt),
        hash: Some(Output::new(&octets).map_err(|_| argon2::Error::OutputTooLong)?),
    };
    Ok(hash.to_string().into())
}

/// Whether a user's hash may have these parameters: a login must not take seconds, or gigabytes.
pub(super) fn is_affordable(params: &Params) -> bool {
    params.m_cost() <= limits::ARGON2_MEMORY_KIB
        && params.t_cost() <= limits::ARGON2_PASSES
        && params.p_cost() <= limits::ARGON2_LANES
}

/// Whether a PHC string was made from this password; `None` if it is none. The cost depends on the
/// parameters in it.
pub(super) fn matches(password: &Password, phc: &str) -> Option<bool> {
    let hash = PasswordHash::new(phc).ok()?;
    let (salt, expected) = (hash.salt?, hash.hash?);
    let params = Params::try_from(&hash).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let argon2 = Argon2::new(algorithm, version, params);
    let mut octets = vec![0; expected.len()];
    derive(&argon2, password, &salt, &mut octets).ok()?;
    // In constant time.
    Some(aws_lc_rs::constant_time::verify_slices_are_equal(&octets, expected.as_bytes()).is_ok())
}

/// The hash, computed in memory that returns to the kernel.
fn derive(
    argon2: &Argon2,
    password: &Password,
    salt: &[u8],
    out: &mut [u8],
) -> Result<(), argon2::Error> {
    let memory = Pages::filled(Block::new(), argon2.params().block_count());
    let mut memory = memory.map_err(|_| argon2::Error::OutOfMemory)?;
    argon2.hash_password_into_with_memory(password.octets(), salt, out, &mut *memory)
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::Empty => f.write_str("the password is empty"),
            PasswordError::TooLong => {
                write!(f, "the password is longer than {} octets", limits::PASSWORD)
            }
            PasswordError::NotALine => f.write_str("the password contains NUL, CR or LF"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_password_alone() {
        let phc = hash(&Password::new(*b"correct horse")).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_eq!(matches(&Password::new(*b"correct horse"), &phc), Some(true));
        assert_eq!(matches(&Password::new(*b"correct horsf"), &phc), Some(false));
        assert_eq!(matches(&Password::new(*b""), &phc), Some(false));
        assert_eq!(matches(&Password::new(*b"correct horse"), "no hash at all"), None);
    }

    #[test]
    fn a_password_does_not_show_itself() {
        let text = format!("{:?}", Some(Password::new(*b"secret")));
        assert_eq!(text, "Some(Password(..))");
    }

    #[test]
    fn new_passwords_are_lines() {
        let check = |octets: &[u8]| Password::new(octets).check();
        assert_eq!(check(b"p\xc3\xa4ss word"), Ok(()));
        assert_eq!(check(b""), Err(PasswordError::Empty));
        assert_eq!(check(b"a\0b"), Err(PasswordError::NotALine));
        assert_eq!(check(&[b'x'; limits::PASSWORD]), Ok(()));
        assert_eq!(check(&[b'x'; limits::PASSWORD + 1]), Err(PasswordError::TooLong));
    }
}
