//! The SASL mechanism PLAIN (RFC 4616), as AUTHENTICATE carries it (RFC 3501 section 6.2.2).

use std::fmt;

use super::password::Password;

/// What a client said by PLAIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The user's name: the authentication identity.
    pub name: String,
    /// The user's password.
    pub password: Password,
}

/// Why a client's response is no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslError {
    /// It does not have the shape of a `message`.
    Malformed,
    /// The client wants to act as another user than the one whose password it gives.
    OtherIdentity,
}

/// Reads a response, its base64 undone.
///
/// ```abnf
/// message   = [authzid] UTF8NUL authcid UTF8NUL passwd
/// authcid   = 1*SAFE ; MUST accept up to 255 octets
/// authzid   = 1*SAFE ; MUST accept up to 255 octets
/// passwd    = 1*SAFE ; MUST accept up to 255 octets
/// UTF8NUL   = %x00 ; UTF-8 encoded NUL character
/// SAFE      = UTF1 / UTF2 / UTF3 / UTF4
///             ;; any UTF-8 encoded Unicode character except NUL
/// ```
/// A password need not be UTF-8 here, since LOGIN's need not be either.
///
/// # Errors
/// When the response is malformed, or `authzid` is not `authcid`.
pub fn plain(message: &[u8]) -> Result<Plain, SaslError> {
    let mut fields = message.split(|&octet| octet == 0);
    let (Some(authzid), Some(authcid), Some(passwd), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(SaslError::Malformed);
    };
    if authcid.is_empty() || passwd.is_empty() {
        return Err(SaslError::Malformed);
    }
    let name = std::str::from_utf8(authcid).map_err(|_| SaslError::Malformed)?;
    if !authzid.is_empty() && authzid != authcid {
        return Err(SaslError::OtherIdentity);
    }
    Ok(Plain { name: name.into(), password: Password::new(passwd) })
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SaslError::Malformed => "the response is no message of PLAIN",
            SaslError::OtherIdentity => "acting as another user is not possible",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tim() -> Plain {
        let password = Password::new(*b"tanstaaftanstaaf");
        Plain { name: "tim".into(), password }
    }

    #[test]
    fn the_examples_of_rfc_4616() {
        assert_eq!(plain(b"\0tim\0tanstaaftanstaaf"), Ok(tim()));
        assert_eq!(plain(b"Ursel\0Kurt\0xipj3plmq"), Err(SaslError::OtherIdentity));
    }

    #[test]
    fn acting_as_oneself_is_no_other_identity() {
        assert_eq!(plain(b"tim\0tim\0tanstaaftanstaaf"), Ok(tim()));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for message in [
            &b""[..],
            b"tim",
            b"\0tim",
            b"\0tim\0",
            b"\0\0secret",
            b"\0tim\0se\0cret",
            b"\0\xff\0x",
        ] {
            assert_eq!(plain(message), Err(SaslError::Malformed), "{message:?}");
        }
    }
}
