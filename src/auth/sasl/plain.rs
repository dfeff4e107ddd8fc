//! The mechanism PLAIN (RFC 4616).

use super::step::{SaslError, Step, text};
use crate::auth::Password;
use crate::auth::claim::{Claim, Identity};

/// The mechanism has a single message.
pub(super) struct Plain;

impl Plain {
    /// ```abnf
    /// message   = [authzid] UTF8NUL authcid UTF8NUL passwd
    /// authcid   = 1*SAFE ; MUST accept up to 255 octets
    /// authzid   = 1*SAFE ; MUST accept up to 255 octets
    /// passwd    = 1*SAFE ; MUST accept up to 255 octets
    /// UTF8NUL   = %x00 ; UTF-8 encoded NUL character
    /// SAFE      = UTF1 / UTF2 / UTF3 / UTF4
    ///             ;; any UTF-8 encoded Unicode character except NUL
    /// ```
    /// The password need not be UTF-8, because LOGIN's need not be either.
    pub(super) fn step(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        let malformed = SaslError::Malformed("PLAIN has three fields, separated by NUL");
        let mut fields = message.split(|&octet| octet == 0);
        let (Some(authzid), Some(authcid), Some(passwd), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(malformed);
        };
        if authcid.is_empty() || passwd.is_empty() {
            return Err(malformed);
        }
        let name = text(authcid, "the user's name is not UTF-8")?;
        let identity = Identity::new(name, text(authzid, "the other user's name is not UTF-8")?);
        Ok(Step::Claim(Claim::Password { identity, password: Password::new(passwd) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(message: &[u8]) -> Option<(String, Option<String>, Password)> {
        match Plain.step(message) {
            Ok(Step::Claim(Claim::Password { identity, password })) => {
                Some((identity.name, identity.acts_for, password))
            }
            _ => None,
        }
    }

    #[test]
    fn the_examples_of_rfc_4616() {
        let password = Password::new(*b"tanstaaftanstaaf");
        let tim = Some(("tim".to_owned(), None, password));
        assert_eq!(plain(b"\0tim\0tanstaaftanstaaf"), tim);
        let kurt = ("Kurt".to_owned(), Some("Ursel".to_owned()), Password::new(*b"xipj3plmq"));
        assert_eq!(plain(b"Ursel\0Kurt\0xipj3plmq"), Some(kurt));
        // A user acting as themselves is not another identity.
        assert_eq!(plain(b"tim\0tim\0tanstaaftanstaaf"), tim);
    }

    #[test]
    fn malformed_messages_are_refused() {
        for message in [
            &b""[..],
            b"tim",
            b"\0tim",
            b"\0tim\0",
            b"\0\0secret",
            b"\0tim\0se\0cret",
            b"\0\xff\0x",
            b"\xff\0tim\0x",
        ] {
            assert_eq!(plain(message), None, "{message:?}");
        }
    }
}
