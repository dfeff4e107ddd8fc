//! The NO or BAD to a command that is not carried out.

use std::borrow::Cow;

use bytes::BytesMut;

use imap::protocol::response::{Code, Condition, tagged, untagged};
use imap::protocol::{ErrorReply, OptionsError, Tag};

/// A tagged NO or BAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// NO if the command failed, BAD if it is invalid.
    pub condition: Condition,
    /// The response code, for the client program.
    pub code: Option<Code<'static>>,
    /// The text for a person: what is wrong, and what to do.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A tagged BAD.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { condition: Condition::Bad, code: None, text: text.into() }
    }

    /// A tagged NO, with a response code where one fits.
    pub fn no(code: Option<Code<'static>>, text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { condition: Condition::No, code, text: text.into() }
    }

    /// Writes the response; untagged if the tag could not be parsed.
    pub fn write(&self, out: &mut BytesMut, tag: Option<&Tag>) {
        match tag {
            Some(tag) => tagged(out, tag, self.condition, self.code.as_ref(), &self.text),
            None => untagged(out, self.condition, self.code.as_ref(), &self.text),
        }
    }
}

impl From<OptionsError> for Refusal {
    fn from(error: OptionsError) -> Refusal {
        match error.reply {
            ErrorReply::No => Refusal::no(None, error.text),
            ErrorReply::Bad => Refusal::bad(error.text),
        }
    }
}
