//! Tokens for OAUTHBEARER and XOAUTH2: JWTs (RFC 7519) signed with a key of a key set.
//!
//! Nothing is fetched. The operator puts the issuer's key set (RFC 7517) into a file, with a timer
//! if the keys change. The file is reloaded when it changes.

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

/// Which tokens to accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenConfig {
    /// The file with the key set.
    pub keys: PathBuf,
    /// Required value of `iss`.
    pub issuer: String,
    /// Required value of `aud`, or a member of it.
    pub audience: String,
    /// The claim that names the user. It must be one that users cannot set themselves.
    pub user_claim: String,
}

/// Allowed clock difference between issuer and server, in seconds.
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

/// A key, and the algorithms it may be used with.
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
    /// The file is not a JSON object with a list `keys`.
    NoSet(PathBuf),
    /// No key in the file can sign tokens: they are shared secrets, for encryption, or of an
    /// unknown kind.
    NoKeys(PathBuf),
}

/// Why a token is refused.
#[derive(Debug)]
pub(super) enum TokenError {
    /// It has a critical extension (RFC 7515 section 4.1.11); none is supported.
    Critical,
    /// No key of the set matches its signature algorithm and key ID.
    NoKey,
    /// A required claim is missing or wrong, or the signature is.
    Invalid(jsonwebtoken::errors::Error),
    /// Its `iss` is not a single string.
    ManyIssuers,
    /// It names no user, or names one by an unverified mail address.
    NoUser,
}

impl Tokens {
    /// Loads the key set.
    ///
    /// # Errors
    /// See [`TokenKeysError`].
    pub fn open(config: TokenConfig) -> Result<Tokens, TokenKeysError> {
        let (stamp, keys) = read(&config.keys)?;
        Ok(Tokens { config, read: Mutex::new(Reading { stamp, keys: Arc::new(keys) }) })
    }

    /// The user that a valid token names. Takes up to a millisecond.
    pub(super) fn user_of(&self, token: &str) -> Result<String, TokenError> {
        let header = decode_header(token).map_err(TokenError::Invalid)?;
        if header.crit.is_some() {
            return Err(TokenError::Critical);
        }
        let mut why = TokenError::NoKey;
        for key in self.keys().iter() {
            let named = header.kid.is_none() || key.id.is_none() || header.kid == key.id;
            // The key determines its algorithms, not the token.
            if !named || !key.algorithms.contains(&header.alg) {
                continue;
            }
            let validation = self.validation(header.alg);
            match decode::<Map<String, Value>>(token, &key.key, &validation) {
                // A single issuer, not a list that contains it (RFC 7519 section 4.1.1).
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
                    tracing::info!(keys = keys.len(), "token keys reloaded");
                    *reading = Reading { stamp, keys: Arc::new(keys) };
                }
                Err(error) => {
                    tracing::error!(%error, "token keys not reloaded, keeping the previous ones");
                    // Remembered, so that a bad file is reported once and not at every login.
                    reading.stamp = Stamp::of(path).unwrap_or(reading.stamp);
                }
            }
        }
        reading.keys.clone()
    }
}

/// Whether the issuer has verified the user's mail address (OpenID Connect Core section 5.1). The
/// claim is a boolean. Some issuers send the strings "true" and "false", some nothing: those count
/// as not verified, because any user could have entered the address.
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
    // A set may have keys of unknown kinds (RFC 7517 section 5).
    let keys: Vec<Key> = list.iter().filter_map(key).collect();
    if keys.is_empty() {
        return Err(TokenKeysError::NoKeys(path.into()));
    }
    Ok((stamp, keys))
}

/// A key that can sign tokens; `None` for other kinds. That includes shared secrets: a holder who
/// can verify could also sign.
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
                "{} is not a JSON Web Key Set: it must be an object with a list \"keys\"",
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
            TokenError::NoKey => f.write_str("no key of the set matches its algorithm and key ID"),
            // The error quotes everything that the client sent as JSON.
            TokenError::Invalid(error) => f.write_str(&harmless(&error.to_string())),
            TokenError::ManyIssuers => f.write_str("its iss is not a string"),
            TokenError::NoUser => f.write_str(
                "it names no user: the claim is missing, or is an email without \
                 email_verified: true",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
