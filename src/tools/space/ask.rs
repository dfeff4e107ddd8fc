//! Asking the server of a data folder.

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::control::{Answer, Request, connect};
use crate::store::DataLock;
use crate::tools::error::ToolError;

/// The answers of a server, in order.
pub(super) struct Answers(Lines<BufReader<UnixStream>>);

/// Asks the server of a data folder; `None` when none uses it.
pub(super) fn ask(data: &Path, request: Request) -> Result<Option<Answers>, ToolError> {
    let mut stream = match connect(data) {
        Ok(stream) => stream,
        Err(error) if DataLock::is_held(data) => {
            let data = data.display();
            return Err(ToolError::Refused(format!(
                "another mailrace works on {data} and does not answer at {data}/control: {error}; \
                 if it is starting, stopping or a check, try again later"
            )));
        }
        Err(_) => return Ok(None),
    };
    let text = serde_json::to_string(&request).expect("a request is plain data") + "\n";
    stream.write_all(text.as_bytes()).map_err(broken)?;
    Ok(Some(Answers(BufReader::new(stream).lines())))
}

impl Iterator for Answers {
    type Item = Result<Answer, ToolError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.0.next()? {
            Ok(line) => line,
            Err(error) => return Some(Err(broken(error))),
        };
        Some(match serde_json::from_str(&line) {
            Ok(Answer::Refused(why)) => Err(ToolError::Refused(why)),
            Ok(answer) => Ok(answer),
            Err(error) => {
                let what =
                    format!("the server gave an answer that this mailrace cannot read: {error}");
                Err(ToolError::Answer(what))
            }
        })
    }
}

fn broken(error: std::io::Error) -> ToolError {
    ToolError::Io { doing: "the connection to the server broke".into(), error }
}

/// The answer is not to what was asked, or is missing.
pub(super) fn unexpected() -> ToolError {
    ToolError::Refused("the server stopped before it was done; nothing is lost".into())
}
