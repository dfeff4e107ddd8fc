//! Writing keyword tables to the catalog, and reading them.

use super::admission::Admission;
use super::{KeywordSet, Keywords, NameUse};
use crate::index::codec::{Fields, Row};
use crate::index::error::Rot;
use crate::store::bits;
use imap::types::Keyword;

use std::sync::Arc;

impl Keywords {
    pub(in crate::index) fn encode(&self, row: &mut Row) {
        let live = |used: &NameUse| used.live > 0;
        let names = self.uses.iter().rposition(live).map_or(0, |last| last + 1);
        row.u16(u16::try_from(names).expect("names are numbered in 16 bits"));
        for (name, used) in self.names.iter().zip(&self.uses).take(names) {
            row.text(if live(used) { name.as_str() } else { "" });
        }
        let sets = u32::try_from(self.sets.len()).expect("sets are numbered in 32 bits");
        row.u32(sets);
        for number in 1..=sets {
            let uses = self.sets.uses(number);
            let set = if uses > 0 { self.sets.get(number) } else { &[] };
            row.u16(u16::try_from(set.len()).expect("a set has each name once"));
            if uses > 0 {
                row.octets(set);
                row.u32(uses);
            }
        }
    }

    pub(in crate::index) fn decode(fields: &mut Fields<'_>) -> Result<Keywords, Rot> {
        let (mut keywords, mut made) = (Keywords::default(), Admission::default());
        for index in 0..fields.u16()? {
            let text = fields.text()?;
            if text.is_empty() {
                keywords.skip_name(index)?;
                continue;
            }
            let name =
                Keyword::new(text.as_bytes()).map_err(|_| Rot("a name is not a valid keyword"))?;
            if keywords.number(&name).is_some() {
                return Err(Rot("a mailbox has a keyword twice"));
            }
            keywords.append_name(index, &name, &mut made);
        }
        for number in 1..=fields.u32()? {
            let length = fields.u16()?;
            if length == 0 {
                keywords.sets.skip();
                continue;
            }
            let set = fields.octets(length.into())?;
            let known = |number: u16| keywords.by_name_at(number);
            if set.last() == Some(&0) || !bits(set).all(known) {
                return Err(Rot("a keyword set contains an unknown keyword"));
            }
            if keywords.sets.append(set) != Some(number) {
                return Err(Rot("a mailbox has a keyword set twice"));
            }
            keywords.hold(number, true);
            let messages = fields.u32()?;
            if messages == 0 {
                return Err(Rot("a keyword set has no message"));
            }
            keywords.used(KeywordSet(number), messages);
        }
        if (0..).zip(&keywords.uses).any(|(at, used)| used.live == 0 && keywords.by_name_at(at)) {
            return Err(Rot("a keyword has no message"));
        }
        keywords.free.reverse();
        keywords.count();
        Ok(keywords)
    }

    /// Leaves the next number without a name.
    fn skip_name(&mut self, number: u16) -> Result<(), Rot> {
        let nameless = Keyword::new(b"-").map_err(|_| Rot("a name is not a valid keyword"))?;
        Arc::make_mut(&mut self.names).push(nameless);
        self.uses.push(NameUse::default());
        self.free.push(number);
        Ok(())
    }
}
