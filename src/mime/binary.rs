//! Parts without their transfer encoding (RFC 3516, RFC 2045 section 6).

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;

use super::Message;
use super::content::transfer_encoding;
use super::field::Fields;
use super::scan::Kind;
use super::section::find;

/// Why there are no octets to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryError {
    /// There is no such part: the answer is that of a section that is not there.
    NoSuchPart,
    /// Its Content-Transfer-Encoding is not known: `NO [UNKNOWN-CTE]`.
    UnknownEncoding,
    /// It reaches beyond the octets that were parsed (see `Message::parse_prefix`).
    TooLarge,
}

pub(super) fn binary<'a>(
    message: &Message<'a>,
    numbers: &[u32],
) -> Result<Cow<'a, [u8]>, BinaryError> {
    let (_, part) = find(message, numbers).ok_or(BinaryError::NoSuchPart)?;
    let range = if numbers.is_empty() { 0..message.size } else { part.body.clone() };
    if range.end > message.octets.len() as u64 {
        return Err(BinaryError::TooLarge);
    }
    let body = message.slice(&range);
    if numbers.is_empty() || matches!(part.kind, Kind::Multipart | Kind::Message) {
        return Ok(body.into());
    }
    let named = "Content-Transfer-Encoding";
    let encoding = Fields::new(message.slice(&part.header))
        .filter(|field| field.is(named))
        .find_map(|field| transfer_encoding(&field))
        .unwrap_or_default()
        .to_ascii_lowercase();
    match encoding.as_slice() {
        b"" | b"7bit" | b"8bit" | b"binary" => Ok(body.into()),
        b"base64" => Ok(base64(body).into()),
        b"quoted-printable" => Ok(quoted_printable(body).into()),
        _ => Err(BinaryError::UnknownEncoding),
    }
}

/// "Any characters outside of the base64 alphabet are to be ignored" (RFC 2045 section 6.8).
fn base64(body: &[u8]) -> Vec<u8> {
    base64_decode(body).unwrap_or_else(|| {
        let known = |o: &u8| o.is_ascii_alphanumeric() || matches!(o, b'+' | b'/' | b'=');
        let known: Vec<u8> = body.iter().copied().filter(known).collect();
        base64_decode(&known).unwrap_or_default()
    })
}

/// An equals sign that begins nothing stands for itself, as RFC 2045 section 6.7 advises.
fn quoted_printable(body: &[u8]) -> Vec<u8> {
    quoted_printable_decode(body).unwrap_or_else(|| {
        let mut repaired = Vec::with_capacity(body.len() + 64);
        for (at, &octet) in body.iter().enumerate() {
            repaired.push(octet);
            let rest = &body[at + 1..];
            let hex = rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit);
            let soft = matches!(rest.first(), Some(b'\r' | b'\n'));
            if octet == b'=' && !hex && !soft {
                repaired.extend_from_slice(b"3D");
            }
        }
        quoted_printable_decode(&repaired).unwrap_or(repaired)
    })
}
