//! Writing many pieces with few system calls.

use std::io::{self, ErrorKind, IoSlice, Write};

/// Pieces of one `writev`; the kernel takes 1,024 at most.
pub const SLICES: usize = 1024;

/// Writes all pieces, at most [`SLICES`], and forgets them.
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
