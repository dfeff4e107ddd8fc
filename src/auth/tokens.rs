//! Tokens of OAUTHBEARER and XOAUTH2: JWTs (RFC 7519) signed by a key of a set in a file.
//!
//! Nothing is fetched: who runs the server puts the issuer's key set (RFC 7517) into the file, by a
//! timer if the keys change. The file is read anew when it has changed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::stamp::Stamp;
use crate::limits;
use crate::stats::harmless;

/// Whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// The file with the key set.
    pub keys: PathBuf,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be, or have among others.
    pub audience: String,
    /// The claim that names the user: one that users cannot set themselves.
    pub user_claim: String,
}

/// Seconds by which the clocks of issuer and server may differ.
const LEEWAY: u64 = 60;

/// Verifies tokens.
pub struct Tokens {
    config: TokenConfig,
    read: Mutex<Reading>,
}

struct Reading {
    stamp: Stamp,
    keys: Arc<Vec<Key>>,
}

/// A key and what it may have signed with.
struct Key {
    id: Option<String>,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

/// Why a key set cannot be used.
#[derive(Debug)]
pub enum TokenKeysError {
    /// The file cannot be read.
    Io(PathBuf, io::Error),
    /// The file is larger than [`limits::TOKEN_KEYS_FILE`].
    TooLarge(PathBuf),
    /// The file is no JSON object with a list `keys`.
    NoSet(PathBuf),
    /// None of its keys can sign tokens: they are secrets, or for encryption, or of a kind that is
    /// not known here.
    NoKeys(PathBuf),
}

/// Why a token is not taken.
#[derive(Debug)]
pub(super) enum TokenError {
    /// It has a critical extension (RFC 7515 section 4.1.11); none is known here.
    Critical,
    /// No key of the set may have made such a signature.
    NoKey,
    /// It does not hold what it must, or the signature is not right.
    Invalid(jsonwebtoken::errors::Error),
    /// Its `iss` is not one text.
    ManyIssuers,
    /// It has no claim that names a user, or a mail address that is not verified.
    NoUser,
}

impl Tokens {
    /// Reads the key set.
    ///
    /// # Errors
    /// See [`TokenKeysError`].
    pub fn open(config: TokenConfig) -> Result<Tokens, TokenKeysError> {
        let (stamp, keys) = read(&config.keys)?;
        Ok(Tokens { config, read: Mutex::new(Reading { stamp, keys: Arc::new(keys) }) })
    }

    /// The user whom a token names, if it is good. Takes up to a millisecond.
    pub(super) fn user_of(&self, token: &str) -> Result<String, TokenError> {
        let header = decode_header(token).map_err(TokenError::Invalid)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let mut why = TokenError::NoKey;
        for key in self.keys().iter() {
            let named = header.kid.is_none() || key.id.is_none() || header.kid == key.id;
            // What a key can be used with, the key says, and not the token.
            if !named || !key.algorithms.contains(&header.alg) {
                continue;
            }
            let validation = self.validation(header.alg);
            match decode::<Map<String, Value>>(token, &key.key, &validation) {
                // One issuer, and not a list with it (RFC 7519 section 4.1.1).
                Ok(token) if !token.claims.get("iss").is_some_and(Value::is_string) => {
                    why = TokenError::ManyIssuers;
                }
                Ok(token) => return self.user(&token.claims).ok_or(TokenError::NoUser),
                Err(error) => why = TokenError::Invalid(error),
            }
        }
        Err(why)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation
    }

    fn user(&self, claims: &Map<String, Value>) -> Option<String> {
        let claim = &*self.config.user_claim;
        let name = claims.get(claim)?.as_str()?;
        (claim != "email" || is_verified(claims)).then(|| name.to_owned())
    }

    fn keys(&self) -> Arc<Vec<Key>> {
        let mut reading = self.read.lock().expect("nothing panics while it holds this lock");
        let path = &self.config.keys;
        if Stamp::of(path).is_some_and(|stamp| stamp != reading.stamp) {
            match read(path) {
                Ok((stamp, keys)) => {
                    tracing::info!(keys = keys.len(), "token keys read anew");
                    *reading = Reading { stamp, keys: Arc::new(keys) };
                }
                Err(error) => {
                    tracing::error!(%error, "token keys not read, the former ones stay");
                    // Remembered, so that a bad file is reported once and not with every login.
                    reading.stamp = Stamp::of(path).unwrap_or(reading.stamp);
                }
            }
        }
        reading.keys.clone()
    }
}

/// OpenID Connect Core section 5.1: whether the issuer has verified that the address is the user's.
/// It is a boolean there. Issuers that send the text "true" send "false" as well, and some send
/// neither: those are read as an address that anybody could have entered.
fn is_verified(claims: &Map<String, Value>) -> bool {
    claims.get("email_verified") == Some(&Value::Bool(true))
}

fn read(path: &Path) -> Result<(Stamp, Vec<Key>), TokenKeysError> {
    let io = |error| TokenKeysError::Io(path.into(), error);
    let file = File::open(path).map_err(io)?;
    let stamp = Stamp::from(&file.metadata().map_err(io)?);
    let mut text = Vec::new();
    file.take(limits::TOKEN_KEYS_FILE + 1).read_to_end(&mut text).map_err(io)?;
    if text.len() as u64 > limits::TOKEN_KEYS_FILE {
        return Err(TokenKeysError::TooLarge(path.into()));
    }
    let set: Value = serde_json::from_slice(&text).unwrap_or_default();
    let Some(list) = set.get("keys").and_then(Value::as_array) else {
        return Err(TokenKeysError::NoSet(path.into()));
    };
    // A set may have keys of kinds that are not known here (RFC 7517 section 5).
    let keys: Vec<Key> = list.iter().filter_map(key).collect();
    if keys.is_empty() {
        return Err(TokenKeysError::NoKeys(path.into()));
    }
    Ok((stamp, keys))
}

/// A key that can have signed a token; `None` when it is of another kind. A shared secret is:
/// whoever verifies by it could sign as well.
fn key(json: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(json.clone()).ok()?;
    if jwk.common.public_key_use.as_ref().is_some_and(|other| *other != PublicKeyUse::Signature) {
        return None;
    }
    let possible: &'static [Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDSA]
        }
        _ => return None,
    };
    let algorithms = match jwk.common.key_algorithm {
        None => possible,
        Some(only) => {
            let name = only.to_string();
            let at = possible.iter().position(|algorithm| format!("{algorithm:?}") == name)?;
            &possible[at..=at]
        }
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key { id: jwk.common.key_id, algorithms, key })
}

impl fmt::Display for TokenKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenKeysError::Io(path, error) => {
                write!(f, "cannot read the token keys {}: {error}", path.display())
            }
            TokenKeysError::TooLarge(path) => {
                write!(f, "{} is larger than {} octets", path.display(), limits::TOKEN_KEYS_FILE)
            }
            TokenKeysError::NoSet(path) => write!(
                f,
                "{} is no JSON Web Key Set: an object with a list \"keys\"",
                path.display()
            ),
            TokenKeysError::NoKeys(path) => write!(
                f,
                "{} has no public key for signatures (RSA, P-256, P-384 or Ed25519)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TokenKeysError {}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::Critical => f.write_str("it has a critical extension"),
            TokenError::NoKey => f.write_str("no key of the set fits its algorithm and key ID"),
            // Of what the client sent as JSON, the error quotes all.
            TokenError::Invalid(error) => f.write_str(&harmless(&error.to_string())),
            TokenError::ManyIssuers => f.write_str("its iss is not one text"),
            TokenError::NoUser => f.write_str(
                "it names no user: no such claim, or an email without email_verified: true",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
