//! What SORT and THREAD need of a message, as octets to store.
//!
//! ```text
//!  header ──▶ Dates     sent date           SORT DATE, SENTBEFORE, SENTON, SENTSINCE, THREAD
//!        ├──▶ Keys      strings to compare  SORT, THREAD ORDEREDSUBJECT and REFERENCES
//!        └──▶ Threads   Message-IDs         THREAD REFERENCES and REFS
//! ```
//!
//! A record answers exactly as the header it was made from. `decode` takes any octets and never
//! allocates more than they are long.

mod dates;
mod keys;
#[cfg(test)]
mod tests;
mod threads;

pub use dates::Dates;
pub use keys::Keys;
pub(in crate::mime) use keys::{cut, display, first_address, mailbox};
pub use threads::{MessageId, Threads, message_ids};

/// Appends a number, seven bits to an octet, the lowest first.
fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number from the start. `None` if it is incomplete, longer than needed, or beyond 64
/// bits.
fn take_number(octets: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for (at, &octet) in octets.iter().enumerate().take(10) {
        let bits = u64::from(octet & 0x7f);
        number |= bits.checked_shl(7 * at as u32)?;
        if octet < 0x80 {
            *octets = &octets[at + 1..];
            let fits = at < 9 || bits <= 1;
            return (fits && (bits > 0 || at == 0)).then_some(number);
        }
    }
    None
}
