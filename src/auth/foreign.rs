//! Password hashes of other servers, in Dovecot's notation: a scheme in braces, then the hash. They
//! are checked as they are, until the first login replaces them by argon2id.
//!
//! ```text
//! {SHA512-CRYPT}$6$rounds=5000$salt$...    SHA-crypt; {SHA256-CRYPT} is $5$
//! {BLF-CRYPT}$2y$05$...                    bcrypt
//! {CRYPT}$6$..., {CRYPT}$2y$...            one of these two, as the hash says
//! {ARGON2ID}$argon2id$..., {ARGON2I}...    PHC strings
//! {PBKDF2}$1$salt$rounds$hexadecimal       PBKDF2 with HMAC-SHA-1
//! {SSHA}..., {SSHA256}..., {SSHA512}...    base64 of a digest of password and salt, and the salt
//! ```

use std::num::NonZeroU32;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha_crypt::{PasswordVerifier, ShaCrypt};

use super::password::{self, Password};
use crate::limits;

/// Why a hash of another server is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignError {
    /// The scheme is not known.
    Scheme,
    /// It does not have the form of its scheme.
    Form,
    /// It would take seconds to check: it asks for more than the [limits] allow.
    TooCostly,
}

/// A hash whose form was checked.
enum Hash<'a> {
    ShaCrypt(&'a str),
    Bcrypt(&'a str),
    Argon2(&'a str),
    Pbkdf2 { salt: &'a str, rounds: NonZeroU32, key: Vec<u8> },
    Salted { algorithm: &'static digest::Algorithm, digest: Vec<u8>, salt: Vec<u8> },
}

/// Whether a hash is in this notation. A PHC string begins with a dollar sign.
pub(super) fn is_foreign(stored: &str) -> bool {
    stored.starts_with('{')
}

/// Checks form and cost of a hash.
///
/// # Errors
/// See [`ForeignError`].
pub(super) fn check(stored: &str) -> Result<(), ForeignError> {
    read(stored).map(drop)
}

/// Whether a stored hash, of argon2id or in this notation, was made from this password; `None` if
/// it is none. The cost depends on the parameters in it.
pub(super) fn matches(password: &Password, stored: &str) -> Option<bool> {
    if !is_foreign(stored) {
        return password::matches(password, stored);
    }
    let octets = password.octets();
    Some(match read(stored).ok()? {
        Hash::ShaCrypt(hash) => ShaCrypt::default().verify_password(octets, hash).is_ok(),
        Hash::Bcrypt(hash) => bcrypt::verify(octets, hash).ok()?,
        Hash::Argon2(hash) => return password::matches(password, hash),
        Hash::Pbkdf2 { salt, rounds, key } => {
            let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
            pbkdf2::verify(algorithm, rounds, salt.as_bytes(), octets, &key).is_ok()
        }
        Hash::Salted { algorithm, digest: expected, salt } => {
            let mut context = digest::Context::new(algorithm);
            context.update(octets);
            context.update(&salt);
            verify_slices_are_equal(context.finish().as_ref(), &expected).is_ok()
        }
    })
}

fn read(stored: &str) -> Result<Hash<'_>, ForeignError> {
    let (scheme, hash) =
        stored.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or(ForeignError::Form)?;
    match &*scheme.to_ascii_uppercase() {
        "SHA512-CRYPT" => sha_crypt(hash, &["$6$"]),
        "SHA256-CRYPT" => sha_crypt(hash, &["$5$"]),
        "BLF-CRYPT" => bcrypt(hash),
        "CRYPT" if hash.starts_with("$2") => bcrypt(hash),
        "CRYPT" => sha_crypt(hash, &["$5$", "$6$"]),
        "ARGON2I" => argon2(hash, Algorithm::Argon2i),
        "ARGON2ID" => argon2(hash, Algorithm::Argon2id),
        "PBKDF2" => pbkdf2(hash),
        "SSHA" => salted(hash, &digest::SHA1_FOR_LEGACY_USE_ONLY),
        "SSHA256" => salted(hash, &digest::SHA256),
        "SSHA512" => salted(hash, &digest::SHA512),
        _ => Err(ForeignError::Scheme),
    }
}

/// `$6$[rounds=N$]salt$hash`. Without a number of rounds it is 5,000.
fn sha_crypt<'a>(hash: &'a str, prefixes: &[&str]) -> Result<Hash<'a>, ForeignError> {
    let rest = prefixes.iter().find_map(|prefix| hash.strip_prefix(prefix));
    let mut fields = rest.ok_or(ForeignError::Form)?.split('$').peekable();
    if let Some(rounds) = fields.next_if(|field| field.starts_with("rounds=")) {
        let rounds: u32 = rounds["rounds=".len()..].parse().map_err(|_| ForeignError::Form)?;
        if !(1_000..=limits::SHA_CRYPT_ROUNDS).contains(&rounds) {
            return Err(ForeignError::TooCostly);
        }
    }
    let length = if hash.starts_with("$5$") { 43 } else { 86 };
    let letter = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'/');
    let fits = |digest: &str| digest.len() == length && digest.bytes().all(letter);
    match (fields.next(), fields.next(), fields.next()) {
        (Some(_), Some(digest), None) if fits(digest) => Ok(Hash::ShaCrypt(hash)),
        _ => Err(ForeignError::Form),
    }
}

/// `$2y$cost$...`, and 2a and 2b, which mean the same today.
fn bcrypt(hash: &str) -> Result<Hash<'_>, ForeignError> {
    let parts: bcrypt::HashParts = hash.parse().map_err(|_| ForeignError::Form)?;
    // 2x was made by an implementation with a bug.
    if hash.starts_with("$2x") {
        return Err(ForeignError::Form);
    }
    match parts.get_cost() <= limits::BCRYPT_COST {
        true => Ok(Hash::Bcrypt(hash)),
        false => Err(ForeignError::TooCostly),
    }
}

fn argon2(hash: &str, algorithm: Algorithm) -> Result<Hash<'_>, ForeignError> {
    let phc = PasswordHash::new(hash).map_err(|_| ForeignError::Form)?;
    if Algorithm::try_from(phc.algorithm.as_str()) != Ok(algorithm)
        || phc.salt.is_none()
        || phc.hash.is_none()
    {
        return Err(ForeignError::Form);
    }
    let params = Params::try_from(&phc).map_err(|_| ForeignError::Form)?;
    match password::is_affordable(&params) {
        true => Ok(Hash::Argon2(hash)),
        false => Err(ForeignError::TooCostly),
    }
}

/// `$1$salt$rounds$key`, with 20 octets of key.
fn pbkdf2(hash: &str) -> Result<Hash<'_>, ForeignError> {
    let mut fields = hash.strip_prefix("$1$").ok_or(ForeignError::Form)?.split('$');
    let (Some(salt), Some(rounds), Some(key), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(ForeignError::Form);
    };
    let rounds: NonZeroU32 = rounds.parse().map_err(|_| ForeignError::Form)?;
    if rounds.get() > limits::PBKDF2_ROUNDS {
        return Err(ForeignError::TooCostly);
    }
    let digits = key.as_bytes().chunks(2).map(|pair| {
        let digit = |octet: &u8| char::from(*octet).to_digit(16);
        Some((digit(pair.first()?)? << 4 | digit(pair.get(1)?)?) as u8)
    });
    let key: Option<Vec<u8>> = digits.collect();
    match key {
        Some(key) if key.len() == 20 => Ok(Hash::Pbkdf2 { salt, rounds, key }),
        _ => Err(ForeignError::Form),
    }
}

/// Base64 of a digest and the salt, which may be empty.
fn salted<'a>(hash: &str, algorithm: &'static digest::Algorithm) -> Result<Hash<'a>, ForeignError> {
    let engine = if hash.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
    let mut digest = engine.decode(hash).map_err(|_| ForeignError::Form)?;
    if digest.len() < algorithm.output_len() {
        return Err(ForeignError::Form);
    }
    let salt = digest.split_off(algorithm.output_len());
    Ok(Hash::Salted { algorithm, digest, salt })
}

#[cfg(test)]
mod tests;
