//! Search keys for header fields. Many of them are answered in one pass over the header: each field
//! is compared only with the keys of its name, and decoded once for all of them.

use std::collections::HashMap;

use imap::mime::{FieldText, Fields, Needle};

/// Up to this number of keys, each gets a pass of its own, until one decides.
const FEW: usize = 4;

/// The keys for header fields, by field name.
#[derive(Debug, Default)]
pub(super) struct FieldKeys {
    /// The indexes of the keys in the program, by field name in lower case.
    by_name: HashMap<Vec<u8>, Vec<u32>>,
    keys: usize,
    /// Length of the longest name, in bytes.
    longest: usize,
}

impl FieldKeys {
    /// Adds the key at index `place` of the program.
    pub(super) fn add(&mut self, name: &[u8], place: u32) {
        self.keys += 1;
        self.longest = self.longest.max(name.len());
        self.by_name.entry(name.to_ascii_lowercase()).or_default().push(place);
    }

    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.keys
    }

    /// Whether one pass for all keys is faster than one pass per key.
    pub(super) fn are_many(&self) -> bool {
        self.keys > FEW
    }

    /// Answers all keys that have no answer yet. `header` may be the complete message.
    pub(super) fn answer<'n>(
        &self,
        header: &[u8],
        needle: impl Fn(u32) -> Option<&'n Needle>,
        answers: &mut [Option<bool>],
    ) {
        let mut name = Vec::with_capacity(self.longest);
        for field in Fields::new(header).filter(|field| field.name.len() <= self.longest) {
            name.clear();
            name.extend(field.name.iter().map(u8::to_ascii_lowercase));
            let Some(places) = self.by_name.get(&name) else { continue };
            let text = FieldText::new(&field);
            for &place in places {
                let answer = &mut answers[place as usize];
                if *answer != Some(true) {
                    *answer = Some(needle(place).is_some_and(|needle| needle.in_field(&text)));
                }
            }
        }
        for &place in self.by_name.values().flatten() {
            answers[place as usize].get_or_insert(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// A single pass has the same results as a pass per key.
        #[test]
        fn one_pass_is_as_good_as_many(
            header in "([ab]:( [uvw]{0,3}|=\\?utf-8\\?q\\?v=C3=A9\\?=|\r\n u){0,3}\r\n){0,6}",
            keys in prop::collection::vec(("[aAbB]|d", "[uvwé ]{0,2}"), 1..12),
        ) {
            let needle = |text: &String| Needle::new(text.as_bytes(), "UTF-8").unwrap();
            let needles: Vec<_> = keys.iter().map(|(_, text)| needle(text)).collect();
            let mut fields = FieldKeys::default();
            for (place, (name, _)) in (0..).zip(&keys) {
                fields.add(name.as_bytes(), place);
            }
            let mut answers = vec![None; keys.len()];
            fields.answer(header.as_bytes(), |place| needles.get(place as usize), &mut answers);
            for (at, (name, _)) in keys.iter().enumerate() {
                let alone = needles[at].in_header_field(header.as_bytes(), name.as_bytes());
                prop_assert_eq!(answers[at], Some(alone), "{} in {}", at, header);
            }
        }
    }
}
