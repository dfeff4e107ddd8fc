//! Rows of the catalog: little-endian values, then their checksum.

use xxhash_rust::xxh3::xxh3_64;

use super::error::Rot;

/// Length in bytes of the checksum (XXH3-64, seed 0) at the end of every row.
const SEAL: usize = 8;

/// Writes a row.
#[derive(Default)]
pub(super) struct Row(Vec<u8>);

impl Row {
    pub(super) fn with_capacity(octets: usize) -> Row {
        Row(Vec::with_capacity(octets + SEAL))
    }

    pub(super) fn octets(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.octets(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.octets(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.octets(&value.to_le_bytes());
    }

    /// A u16 length, then the text: at most 65,535 bytes.
    pub(super) fn text(&mut self, text: &str) {
        self.u16(u16::try_from(text.len()).expect("names are bounded far below 64 KiB"));
        self.octets(text.as_bytes());
    }

    /// Appends the checksum.
    pub(super) fn seal(mut self) -> Vec<u8> {
        let checksum = xxh3_64(&self.0);
        self.u64(checksum);
        self.0
    }
}

/// Reads a row whose checksum is right.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Checks the checksum.
    pub(super) fn open(row: &'a [u8]) -> Result<Fields<'a>, Rot> {
        let (octets, seal) =
            row.split_last_chunk::<SEAL>().ok_or(Rot("a row is shorter than its checksum"))?;
        if xxh3_64(octets) != u64::from_le_bytes(*seal) {
            return Err(Rot("the checksum of a row is wrong"));
        }
        Ok(Fields(octets))
    }

    pub(super) fn octets(&mut self, count: usize) -> Result<&'a [u8], Rot> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Rot("a row ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Rot> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Rot("a row ends early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Rot> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Rot> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Rot> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Rot> {
        let length = self.u16()?;
        std::str::from_utf8(self.octets(usize::from(length))?)
            .map_err(|_| Rot("a text in a row is not UTF-8"))
    }

    /// Checks that every value has been read.
    pub(super) fn end(self) -> Result<(), Rot> {
        if self.0.is_empty() { Ok(()) } else { Err(Rot("a row is longer than its values")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let mut row = Row::default();
        row.u16(2);
        row.u32(3);
        row.u64(4);
        row.text("é");
        let row = row.seal();
        let mut fields = Fields::open(&row).unwrap();
        assert_eq!((fields.u16(), fields.u32()), (Ok(2), Ok(3)));
        assert_eq!((fields.u64(), fields.text()), (Ok(4), Ok("é")));
        assert!(fields.u16().is_err());
        assert_eq!(fields.end(), Ok(()));
    }

    #[test]
    fn any_flipped_bit_shows() {
        let mut row = Row::default();
        row.text("abc");
        let row = row.seal();
        for bit in 0..row.len() * 8 {
            let mut rotten = row.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert!(Fields::open(&rotten).is_err());
        }
        assert!(Fields::open(&row[..7]).is_err());
    }
}
