//! The mechanism OAUTHBEARER (RFC 7628).

use super::scram::saslname;
use super::step::{SaslError, Step, text};
use crate::auth::claim::Claim;

/// The error for a refused token (section 3.2.2); the client answers with one octet.
pub(super) const ERROR: &[u8] = br#"{"status":"invalid_token"}"#;

const KVSEP: u8 = 1;

/// The mechanism has a single message.
pub(super) struct OauthBearer;

impl OauthBearer {
    /// ```abnf
    /// kvsep       = %x01
    /// key         = 1*(ALPHA)
    /// value       = *(VCHAR / SP / HTAB / CR / LF )
    /// kvpair      = key "=" value kvsep
    /// client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep
    /// gs2-header  = gs2-cbind-flag "," [ authzid ] ","
    /// authzid     = "a=" saslname
    /// ```
    /// Without channel binding, the flag is `n` or `y`.
    pub(super) fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        let response = text(response, "it is not UTF-8")?;
        let malformed = SaslError::Malformed("OAUTHBEARER is n,a=name,^Aauth=Bearer token^A^A");
        let (header, pairs) = response.split_once(char::from(KVSEP)).ok_or(malformed)?;
        let mut header = header.splitn(3, ',');
        let (Some("n" | "y"), Some(authzid), Some("")) =
            (header.next(), header.next(), header.next())
        else {
            return Err(malformed);
        };
        let acts_for = match authzid.strip_prefix("a=") {
            Some(name) => Some(saslname(name).ok_or(malformed)?),
            None if authzid.is_empty() => None,
            None => return Err(malformed),
        };
        let auth = pairs.split(char::from(KVSEP)).find_map(|pair| pair.strip_prefix("auth="));
        let token = bearer(auth.ok_or(malformed)?).into();
        Ok(Step::Claim(Claim::Token { token, acts_for }))
    }
}

/// The token in `Bearer token`. An empty token, with which a client asks for the error message
/// (section 4.3), counts as a wrong one.
///
/// ```abnf
/// credentials = "Bearer" 1*SP b64token     ; RFC 6750
/// ```
pub(super) fn bearer(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(response: &str) -> Option<(String, Option<String>)> {
        match OauthBearer.step(response.as_bytes()) {
            Ok(Step::Claim(Claim::Token { token, acts_for })) => Some((token.into(), acts_for)),
            _ => None,
        }
    }

    #[test]
    fn the_examples_of_rfc_7628() {
        let user = Some("user@example.com".to_owned());
        let response = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
            auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let expected = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".to_owned();
        assert_eq!(token(response), Some((expected, user.clone())));
        let response = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
            auth=\x01\x01";
        assert_eq!(token(response), Some((String::new(), user)));
    }

    #[test]
    fn a_name_may_be_left_out_and_the_scheme_be_written_as_one_likes() {
        assert_eq!(token("n,,\x01auth=bEaReR  x\x01\x01"), Some(("x".into(), None)));
        assert_eq!(token("y,,\x01auth=Basic x\x01\x01"), Some((String::new(), None)));
        assert_eq!(token("n,a=a=2Cb,\x01auth=Bearer x\x01\x01").unwrap().1, Some("a,b".into()));
    }

    #[test]
    fn malformed_responses_are_refused() {
        for response in [
            "",
            "\x01",
            "n,,",
            "n,\x01auth=Bearer x\x01\x01",
            "p=tls-exporter,,\x01auth=Bearer x\x01\x01",
            "n,b=x,\x01auth=Bearer x\x01\x01",
            "n,a=a=2x,\x01auth=Bearer x\x01\x01",
            "n,,\x01host=x\x01\x01",
        ] {
            assert_eq!(token(response), None, "{response:?}");
        }
        assert!(OauthBearer.step(b"n,,\x01auth=Bearer \xff\x01\x01").is_err());
    }
}
