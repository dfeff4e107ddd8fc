//! Tests on valid and broken messages.

mod examples;
mod hostile;
mod oracle;

use bytes::BytesMut;

use super::*;

fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}
