//! The result of a check.

use serde::Serialize;

/// Whether something should be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Fine,
    /// Something should be done.
    ToDo,
    /// The fact could not be read.
    Unknown,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// Verdict.
    pub verdict: Verdict,
    /// The facts.
    pub found: String,
    /// Why something should be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    pub(super) fn fine(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, verdict: Verdict::Fine, found: found.into(), why: None, remedy: None }
    }

    /// The fact could not be read, for the reason in `found`.
    pub(super) fn unknown(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Unknown, ..Finding::fine(check, found) }
    }

    pub(super) fn to_do(
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
