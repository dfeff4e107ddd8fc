//! SEARCH, SORT and THREAD.

use imap::protocol::{
    DateField, DateOrder, Returns, Search, SearchKey, Sort, SortKey, Thread, ThreadAlgorithm,
};
use imap::types::{Date, Flags, InternalDate};

use super::Printer;

impl Printer {
    fn returns(&mut self, returns: Option<Returns>) {
        let Some(returns) = returns else { return };
        self.word("RETURN (");
        let words = [
            (returns.min, "MIN"),
            (returns.max, "MAX"),
            (returns.count, "COUNT"),
            (returns.all, "ALL"),
            (returns.save, "SAVE"),
            (returns.update, "UPDATE"),
            (returns.context, "CONTEXT"),
        ];
        words.into_iter().filter(|(set, _)| *set).for_each(|(_, word)| self.word(word));
        if let Some(partial) = returns.partial {
            self.partial_range(partial);
        }
        self.text(")");
    }

    pub(super) fn search(&mut self, search: &Search) {
        self.verb(search.uid, "SEARCH");
        self.returns(search.returns);
        if let Some(charset) = &search.charset {
            self.word("CHARSET");
            self.string(charset.as_bytes());
        }
        self.key(&search.key);
    }

    pub(super) fn sort(&mut self, sort: &Sort) {
        self.verb(sort.uid, "SORT");
        self.returns(sort.returns);
        self.list(&sort.criteria, |out, criterion| {
            if criterion.reverse {
                out.word("REVERSE");
            }
            out.word(match criterion.key {
                SortKey::Arrival => "ARRIVAL",
                SortKey::Cc => "CC",
                SortKey::Date => "DATE",
                SortKey::DisplayFrom => "DISPLAYFROM",
                SortKey::DisplayTo => "DISPLAYTO",
                SortKey::From => "FROM",
                SortKey::Size => "SIZE",
                SortKey::Subject => "SUBJECT",
                SortKey::To => "TO",
            });
        });
        self.string(sort.charset.as_bytes());
        self.key(&sort.key);
    }

    pub(super) fn thread(&mut self, thread: &Thread) {
        self.verb(thread.uid, "THREAD");
        self.word(match thread.algorithm {
            ThreadAlgorithm::OrderedSubject => "ORDEREDSUBJECT",
            ThreadAlgorithm::References => "REFERENCES",
            ThreadAlgorithm::Refs => "REFS",
        });
        self.string(thread.charset.as_bytes());
        self.key(&thread.key);
    }

    fn key(&mut self, key: &SearchKey) {
        match key {
            SearchKey::All => self.word("ALL"),
            SearchKey::Nothing => self.word("NOT ALL"),
            SearchKey::And(keys) => self.list(keys, |out, key| out.key(key)),
            SearchKey::Or(keys) => {
                (1..keys.len()).for_each(|_| self.word("OR"));
                keys.iter().for_each(|key| self.key(key));
            }
            SearchKey::Not(key) => {
                self.word("NOT");
                self.key(key);
            }
            SearchKey::Flags(flags) => self.word(flag(*flags)),
            SearchKey::Keyword(keyword) => self.word(format!("KEYWORD {keyword}")),
            SearchKey::Recent => self.word("RECENT"),
            SearchKey::Date { field, order, day } => {
                let field = match field {
                    DateField::Internal => "",
                    DateField::Sent => "SENT",
                    DateField::Saved => "SAVED",
                };
                let order = match order {
                    DateOrder::Before => "BEFORE",
                    DateOrder::On => "ON",
                    DateOrder::Since => "SINCE",
                };
                self.word(format!("{field}{order} {}", date(*day)));
            }
            SearchKey::SaveDateSupported => self.word("SAVEDATESUPPORTED"),
            SearchKey::Older(seconds) => self.word(format!("OLDER {seconds}")),
            SearchKey::Younger(seconds) => self.word(format!("YOUNGER {seconds}")),
            SearchKey::Larger(octets) => self.word(format!("LARGER {octets}")),
            SearchKey::Smaller(octets) => self.word(format!("SMALLER {octets}")),
            SearchKey::Header { name, text } => {
                self.word("HEADER");
                self.string(name);
                self.string(text);
            }
            SearchKey::Body(text) => self.word_and_string("BODY", text),
            SearchKey::Text(text) => self.word_and_string("TEXT", text),
            SearchKey::Sequence(set) => self.word(set),
            SearchKey::Uid(set) => self.word(format!("UID {set}")),
            SearchKey::ModSeq(modseq) => self.word(format!("MODSEQ {modseq}")),
            SearchKey::EmailId(id) => self.word_and_string("EMAILID", id),
            SearchKey::ThreadId(id) => self.word_and_string("THREADID", id),
        }
    }

    fn word_and_string(&mut self, word: &str, text: &[u8]) {
        self.word(word);
        self.string(text);
    }
}

/// The key for one system flag.
fn flag(flags: Flags) -> &'static str {
    let mut names = flags.names();
    let name = names.next().expect("a flag is asked for");
    assert!(names.next().is_none(), "several flags are several keys");
    &name[1..]
}

/// As `date` of the grammar.
pub fn date(day: Date) -> String {
    let text = InternalDate::from_unix(i64::from(day.0) * 86_400).to_text();
    String::from_utf8_lossy(&text[..11]).trim_start().to_owned()
}
