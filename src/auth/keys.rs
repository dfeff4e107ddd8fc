//! SCRAM-SHA-256 keys (RFC 5802, RFC 7677): what the server stores of a password. They suffice to
//! check a proof, but not to make one.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::password::Password;
use crate::limits;

/// Length of a key in octets: a SHA-256 hash.
pub(super) const KEY: usize = 32;

/// Length of a new salt in octets.
const SALT: usize = 16;

/// Longest accepted salt in octets.
const LONGEST_SALT: usize = 64;

const SCHEME: &str = "SCRAM-SHA-256";

/// Shortest time in seconds for which an unknown name keeps its keys.
const SHORTEST_LIFE: u64 = 180 * 24 * 3600;

/// Longest such time in seconds.
const LONGEST_LIFE: u64 = 1080 * 24 * 3600;

/// Parameters that most users' keys have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Usual {
    pub iterations: NonZeroU32,
    /// Length of the salt in octets.
    pub salt: usize,
}

impl Usual {
    /// The parameters of new keys.
    pub(super) fn of_ours() -> Usual {
        Usual { iterations: iterations(), salt: SALT }
    }
}

/// The SCRAM keys of a user.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub iterations: NonZeroU32,
    pub salt: Box<[u8]>,
    pub stored: [u8; KEY],
    pub server: [u8; KEY],
}

impl Keys {
    /// The parameters of these keys.
    pub(super) fn usual(&self) -> Usual {
        Usual { iterations: self.iterations, salt: self.salt.len() }
    }

    /// Makes keys for a password with a fresh salt. Takes some tens of milliseconds.
    pub(super) fn new(password: &Password) -> Result<Keys, getrandom::Error> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt)?;
        Ok(Keys::derive(password, &salt, iterations()))
    }

    /// RFC 5802 section 3:
    ///
    /// ```text
    /// SaltedPassword  := Hi(Normalize(password), salt, i)
    /// ClientKey       := HMAC(SaltedPassword, "Client Key")
    /// StoredKey       := H(ClientKey)
    /// ServerKey       := HMAC(SaltedPassword, "Server Key")
    /// ```
    pub(super) fn derive(password: &Password, salt: &[u8], iterations: NonZeroU32) -> Keys {
        let mut salted = [0; KEY];
        let secret = normalize(password.octets());
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, &secret, &mut salted);
        let stored = sha256(&mac(&salted, b"Client Key"));
        Keys { iterations, salt: salt.into(), stored, server: mac(&salted, b"Server Key") }
    }

    /// Keys for an unknown name, so that clients cannot tell it from a user (RFC 5802 section 9
    /// leaves this open). With one secret, a name keeps its keys about as long as users keep their
    /// passwords: a user's salt changes with the password, so a salt that never changes would
    /// reveal an unknown name. Each name changes at its own times, half a year to three years
    /// apart.
    pub(super) fn of_unknown(
        secret: &[u8; KEY],
        name: &str,
        usual: Usual,
        unix_seconds: u64,
    ) -> Keys {
        let draw = |what: &str| mac(secret, format!("{what} {name}").as_bytes());
        let number = |what: &str| u64::from_le_bytes(*draw(what).first_chunk().expect("32 octets"));
        let life = SHORTEST_LIFE + number("life") % (LONGEST_LIFE - SHORTEST_LIFE);
        let password = (unix_seconds + number("birth") % life) / life;
        let Usual { iterations, salt } = usual;
        // Other iterations come with another salt, as when a user sets a password.
        let draw = |what: &str| draw(&format!("{what} {password} {iterations}"));
        let drawn = [draw("salt"), draw("more salt")].concat();
        Keys {
            iterations,
            salt: drawn[..salt.min(drawn.len())].into(),
            stored: draw("stored key"),
            server: draw("server key"),
        }
    }

    /// Whether a proof was made with the password:
    ///
    /// ```text
    /// ClientSignature := HMAC(StoredKey, AuthMessage)
    /// ClientProof     := ClientKey XOR ClientSignature
    /// ```
    pub(super) fn prove(&self, message: &[u8], proof: &[u8]) -> bool {
        let Ok(mut key) = <[u8; KEY]>::try_from(proof) else { return false };
        let signature = mac(&self.stored, message);
        key.iter_mut().zip(signature).for_each(|(octet, mask)| *octet ^= mask);
        constant_time::verify_slices_are_equal(&sha256(&key), &self.stored).is_ok()
    }

    /// `ServerSignature := HMAC(ServerKey, AuthMessage)`
    pub(super) fn signature(&self, message: &[u8]) -> [u8; KEY] {
        mac(&self.server, message)
    }

    /// Parses the output of `Display`; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Keys> {
        let mut parts = text.split('$');
        let (scheme, salted, keys) = (parts.next()?, parts.next()?, parts.next()?);
        if scheme != SCHEME || parts.next().is_some() {
            return None;
        }
        let (iterations, salt) = salted.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| <[u8; KEY]>::try_from(STANDARD.decode(text).ok()?).ok();
        let iterations = Some(iterations).filter(|i| i.bytes().all(|o| o.is_ascii_digit()))?;
        let iterations: NonZeroU32 = iterations.parse().ok()?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?;
        if iterations.get() > limits::SCRAM_ITERATIONS_MAX || salt.len() > LONGEST_SALT {
            return None;
        }
        Some(Keys { iterations, salt: salt.into(), stored: key(stored)?, server: key(server)? })
    }
}

#[cfg(not(test))]
fn iterations() -> NonZeroU32 {
    limits::SCRAM_ITERATIONS
}

/// In the simulation, passwords need no protection.
#[cfg(test)]
fn iterations() -> NonZeroU32 {
    let simulated = crate::reactor::files::are_simulated();
    if simulated { NonZeroU32::MIN } else { limits::SCRAM_ITERATIONS }
}

/// `Normalize` is SASLprep (RFC 4013). A password that it rejects is used unchanged, as clients
/// without SASLprep do, so such a password still works with them.
fn normalize(password: &[u8]) -> Vec<u8> {
    let prepared = std::str::from_utf8(password).ok().and_then(|text| {
        let prepared = stringprep::saslprep(text).ok()?;
        Some(prepared.into_owned().into_bytes())
    });
    prepared.filter(|octets| !octets.is_empty()).unwrap_or_else(|| password.to_vec())
}

pub(super) fn mac(key: &[u8], message: &[u8]) -> [u8; KEY] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    tag.as_ref().try_into().expect("SHA-256 has 32 octets")
}

fn sha256(octets: &[u8]) -> [u8; KEY] {
    digest::digest(&digest::SHA256, octets).as_ref().try_into().expect("SHA-256 has 32 octets")
}

/// The form of RFC 5803, with colons as PostgreSQL and others write it:
///
/// ```abnf
/// scram-mechanism = "SCRAM-SHA-256"
/// authInfo        = iter-count ":" salt
/// authValue       = stored-key ":" server-key
/// ```
/// divided by `$`.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] =
            [&*self.salt, &self.stored, &self.server].map(|octets| STANDARD.encode(octets));
        write!(f, "{SCHEME}${}:{salt}${stored}:{server}", self.iterations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn pencil() -> Keys {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let iterations = NonZeroU32::new(4096).unwrap();
        Keys::derive(&Password::new(*b"pencil"), &salt, iterations)
    }

    #[test]
    fn keys_of_the_password_of_rfc_7677() {
        assert_eq!(pencil().to_string(), PENCIL);
        assert!(Keys::parse(PENCIL) == Some(pencil()));
    }

    #[test]
    fn malformed_keys_are_refused() {
        for (from, to) in [
            ("SCRAM-SHA-256$", "SCRAM-SHA-1$"),
            ("4096:", "0:"),
            ("4096:", "+4096:"),
            ("4096:", "4294967295:"),
            ("4096:", ""),
            ("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
            ("W22Z", "W2!Z"),
            ("WG5d8oPm", "WG5d"),
            ("2dU=", "2dU=$"),
            ("=:w", "=w"),
        ] {
            let text = PENCIL.replacen(from, to, 1);
            assert!(text != PENCIL && Keys::parse(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn unknown_names_have_stable_and_distinct_keys() {
        let usual = Usual::of_ours();
        let nobody = |secret: u8, name: &str| {
            Keys::of_unknown(&[secret; KEY], name, usual, 1_800_000_000).to_string()
        };
        assert_eq!(nobody(1, "mallory"), nobody(1, "mallory"));
        assert_ne!(nobody(1, "mallory"), nobody(2, "mallory"));
        assert_ne!(nobody(1, "mallory"), nobody(1, "trudy"));
        let real = Keys::new(&Password::new(*b"x")).unwrap();
        let fake = Keys::of_unknown(&[1; KEY], "mallory", real.usual(), 0);
        assert_eq!(fake.usual(), real.usual());
        let long = Usual { salt: LONGEST_SALT, ..usual };
        assert_eq!(Keys::of_unknown(&[1; KEY], "mallory", long, 0).usual(), long);
    }

    /// A user's salt changes now and then, and not all on one day.
    #[test]
    fn the_salt_of_an_unknown_name_changes_at_its_own_times() {
        const DAY: u64 = 24 * 3600;
        let usual = Usual::of_ours();
        let changes = |name: &str| -> Vec<u64> {
            let salt = |day| Keys::of_unknown(&[1; KEY], name, usual, day * DAY).salt;
            let days = 20_000..20_000 + 6 * 365;
            days.filter(|&day| salt(day) != salt(day + 1)).collect()
        };
        let all: Vec<_> = ["mallory", "trudy", "eve"].into_iter().map(changes).collect();
        for days in &all {
            assert!((2..=13).contains(&days.len()), "{days:?}");
            assert!(days.windows(2).all(|pair| pair[1] - pair[0] >= 180), "{days:?}");
        }
        assert!(all[0] != all[1] && all[1] != all[2], "{all:?}");
        // When the usual iterations change, it is as if the password had been set again.
        let salt = |iterations| {
            let usual = Usual { iterations: NonZeroU32::new(iterations).unwrap(), ..usual };
            Keys::of_unknown(&[1; KEY], "mallory", usual, 0).salt
        };
        assert_ne!(salt(4096), salt(65_536));
    }

    #[test]
    fn passwords_are_prepared() {
        let normalized = |text: &str| String::from_utf8(normalize(text.as_bytes())).unwrap();
        // RFC 4013 section 3.
        assert_eq!(normalized("I\u{ad}X"), "IX");
        assert_eq!(normalized("\u{aa}"), "a");
        assert_eq!(normalized("\u{2168}"), "IX");
        assert_eq!(normalized("p\u{e4}ss word"), "p\u{e4}ss word");
        // Prohibited characters stay as they are.
        assert_eq!(normalized("\u{7}"), "\u{7}");
        assert_eq!(normalize(b"\xff"), b"\xff");
    }
}
