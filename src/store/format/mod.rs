//! What lies on the disk, octet by octet: segments, frames and records. No I/O.

pub mod frame;

#[cfg(test)]
mod codec_tests;
pub(super) mod decode;
mod encode;
pub(super) mod ids;
pub(super) mod keywords;
mod octets;
pub(super) mod packing;
pub(super) mod record;
pub(super) mod segment;
