//! The mechanism EXTERNAL (RFC 4422 appendix A): the transport has verified the client's
//! certificate.

use super::step::{SaslError, Step, text};
use crate::auth::claim::Claim;

/// The names in the client's certificate.
pub(super) struct External {
    pub names: Vec<Box<str>>,
}

impl External {
    /// ```abnf
    /// response          = [ authz-id-string ]
    /// authz-id-string   = *( UTF8-char-no-nul )
    /// ```
    pub(super) fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if response.contains(&0) {
            return Err(SaslError::Malformed("EXTERNAL takes one name"));
        }
        let name = text(response, "the user's name is not UTF-8")?;
        let acts_for = Some(name).filter(|name| !name.is_empty());
        Ok(Step::Claim(Claim::Certificate { names: std::mem::take(&mut self.names), acts_for }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(response: &[u8]) -> Option<Option<String>> {
        match (External { names: vec!["tim".into()] }).step(response) {
            Ok(Step::Claim(Claim::Certificate { names, acts_for })) => {
                assert_eq!(names, [Box::from("tim")]);
                Some(acts_for)
            }
            _ => None,
        }
    }

    #[test]
    fn the_client_may_say_as_whom() {
        assert_eq!(claim(b""), Some(None));
        assert_eq!(claim(b"fred@example.com"), Some(Some("fred@example.com".into())));
        assert_eq!(claim(b"a\0b"), None);
        assert_eq!(claim(b"\xff"), None);
    }
}
