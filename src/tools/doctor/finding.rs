//! What a check has found.

use serde::Serialize;

/// Whether something should be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Something should be done.
    ToDo,
    /// It could not be looked at.
    Unknown,
}

/// A check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// What was found there.
    pub found: String,
    /// Why it matters; only when something should be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do; likewise.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn fine(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Fine, found: found.into(), why: None, remedy: None }
    }

    /// It could not be looked at; `found` says why.
    pub fn unknown(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Unknown, ..Finding::fine(check, found) }
    }

    /// Something should be done.
    pub fn to_do(
        check: &'static str,
        found: impl Into<String>,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            verdict: Verdict::ToDo,
            why: Some(why.into()),
            remedy: Some(remedy.into()),
            ..Finding::fine(check, found)
        }
    }
}
