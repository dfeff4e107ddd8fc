//! Writing many slices with few system calls.

use std::io::{self, ErrorKind, IoSlice, Write};

/// Slices in one `writev`: the kernel takes at most 1,024.
pub const SLICES: usize = 1024;

/// Writes all slices, at most [`SLICES`], and empties the list.
///
/// # Errors
/// When the writer fails, or takes nothing.
pub fn write_slices(to: &mut impl Write, slices: &mut Vec<IoSlice<'_>>) -> io::Result<()> {
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match to.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    slices.clear();
    to.flush()
}
