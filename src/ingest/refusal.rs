//! The client's fault, or at least the client's news: a command that is not carried out.

use std::borrow::Cow;

/// A tagged NO or BAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// BAD instead of NO: the command itself is wrong.
    pub is_bad: bool,
    /// Response code (RFC 5530), without its brackets.
    pub code: Option<&'static str>,
    /// For a person: what is wrong and what to do.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// A tagged BAD.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { is_bad: true, code: None, text: text.into() }
    }

    /// A tagged NO, with a response code where one fits.
    pub fn no(code: Option<&'static str>, text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { is_bad: false, code, text: text.into() }
    }
}
