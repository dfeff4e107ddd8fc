//! The mechanism LOGIN (draft-murchison-sasl-login-00): not a standard, but the only one besides
//! PLAIN in many clients.

use super::step::{SaslError, Step, text};
use crate::auth::Password;
use crate::auth::claim::{Claim, Identity};

/// The first challenge. Some clients check its text, including the colon.
pub(super) const USERNAME: &[u8] = b"Username:";
const PASSWORD: &[u8] = b"Password:";

/// ```abnf
/// challenges = "Username:" / "Password:"
/// username   = *OCTET
/// password   = *OCTET
/// ```
#[derive(Default)]
pub(super) struct Login {
    name: Option<String>,
}

impl Login {
    pub(super) fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        match self.name.take() {
            None => {
                self.name = Some(text(response, "the user's name is not UTF-8")?);
                Ok(Step::Challenge(PASSWORD.to_vec()))
            }
            Some(name) => {
                let password = Password::new(response);
                Ok(Step::Claim(Claim::Password { identity: Identity::of(name), password }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_password_are_asked_for_in_turn() {
        let mut login = Login::default();
        assert!(matches!(login.step(b"tim"), Ok(Step::Challenge(c)) if c == b"Password:"));
        let Ok(Step::Claim(Claim::Password { identity, password })) = login.step(b"secret") else {
            panic!("no claim");
        };
        assert_eq!((identity, password), (Identity::of("tim"), Password::new(*b"secret")));
    }

    #[test]
    fn a_name_is_text() {
        assert!(Login::default().step(b"\xff").is_err());
    }
}
