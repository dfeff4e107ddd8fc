//! The SASL mechanism PLAIN (RFC 4616), as AUTHENTICATE carries it (RFC 3501 section 6.2.2).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

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
    /// The response was `*`: the client gives up. Answered by a tagged BAD.
    Cancelled,
    /// It is no base64. Answered by a tagged BAD.
    NotBase64,
    /// What the base64 carries does not have the shape of a `message`.
    Malformed,
    /// The client wants to act as another user than the one whose password it gives.
    OtherIdentity,
}

/// Reads a response, the line without its CRLF: base64 of
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
/// A password need not be UTF-8 here, since LOGIN's need not be either. An initial response of
/// `=` is an empty one (RFC 4959 section 3) and so no `message`.
///
/// # Errors
/// When the client gave up, the response is malformed, or `authzid` is not `authcid`.
pub fn plain(response: &[u8]) -> Result<Plain, SaslError> {
    if response == b"*" {
        return Err(SaslError::Cancelled);
    }
    if response == b"=" {
        return Err(SaslError::Malformed);
    }
    let message = STANDARD.decode(response).map_err(|_| SaslError::NotBase64)?;
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
            SaslError::Cancelled => "authentication cancelled",
            SaslError::NotBase64 => "the response is no base64",
            SaslError::Malformed => "the response is no message of PLAIN",
            SaslError::OtherIdentity => "acting as another user is not possible",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(message: &[u8]) -> Result<Plain, SaslError> {
        plain(STANDARD.encode(message).as_bytes())
    }

    fn tim() -> Plain {
        let password = Password::new(*b"tanstaaftanstaaf");
        Plain { name: "tim".into(), password }
    }

    #[test]
    fn the_examples_of_rfc_4616() {
        assert_eq!(say(b"\0tim\0tanstaaftanstaaf"), Ok(tim()));
        assert_eq!(say(b"Ursel\0Kurt\0xipj3plmq"), Err(SaslError::OtherIdentity));
    }

    #[test]
    fn the_example_of_rfc_4959() {
        let plain = plain(b"dGVzdAB0ZXN0AHRlc3Q=").unwrap();
        assert_eq!((plain.name.as_str(), plain.password.octets()), ("test", &b"test"[..]));
    }

    #[test]
    fn acting_as_oneself_is_no_other_identity() {
        assert_eq!(say(b"tim\0tim\0tanstaaftanstaaf"), Ok(tim()));
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
            assert_eq!(say(message), Err(SaslError::Malformed), "{message:?}");
        }
        assert_eq!(plain(b"="), Err(SaslError::Malformed));
        assert_eq!(plain(b"*"), Err(SaslError::Cancelled));
        for response in [&b"AHRpbQB0YW5zdGFhZg"[..], b"AHRpbQ!=", b"** *", b"AHRp bQ=="] {
            assert_eq!(plain(response), Err(SaslError::NotBase64), "{response:?}");
        }
    }
}
