//! Tests on valid and broken messages.

mod examples;
mod hostile;
mod oracle;

use bytes::BytesMut;

use super::*;

pub(super) fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

/// The messages of the folder MAILRACE_CORPUS: `messages.mbox`, and the files of `torture`. None if
/// the variable is not set.
pub(super) fn corpus() -> Vec<Vec<u8>> {
    let Some(folder) = std::env::var_os("MAILRACE_CORPUS").map(std::path::PathBuf::from) else {
        return Vec::new();
    };
    let mbox = std::fs::read(folder.join("messages.mbox")).unwrap();
    let mut messages: Vec<Vec<u8>> = Vec::new();
    for line in mbox.split_inclusive(|&octet| octet == b'\n') {
        match messages.last_mut() {
            _ if line.starts_with(b"From ") => messages.push(Vec::new()),
            Some(message) => message.extend_from_slice(line),
            None => {}
        }
    }
    for entry in std::fs::read_dir(folder.join("torture")).unwrap() {
        messages.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    messages
}
