//! Decides whether a message of an APPEND is accepted.

use std::collections::BTreeMap;

use super::current::Current;
use super::refusal::Refusal;
use super::upload::Upload;
use crate::home::Owner;
use crate::index::{KeywordSet, Keywords};
use crate::limits::ANNOUNCED;
use crate::store::KeywordList;
use imap::protocol::Options;
use imap::protocol::response::Code;
use imap::types::Keyword;

/// The reply when the mailbox no longer exists.
pub(super) const DELETED: &str = "the mailbox was deleted meanwhile";
pub(super) const FULL_OF_KEYWORDS: &str = "the mailbox has as many keywords, or combinations of \
     them, as it can hold; append to another mailbox, or without some of these";
/// Most octets of keyword names (ASCII) in a refusal.
const NAMED: usize = 40;
const TOO_MANY_SETS: &str = "the messages of unfinished batches have too many different \
     combinations of keywords; send smaller batches";

/// The keywords of a batch. The mailbox gets them with the commit.
#[derive(Default)]
pub(super) struct OwnKeywords {
    table: Keywords,
    /// The keyword lists that messages share, by their sets in the table.
    pub lists: BTreeMap<KeywordSet, KeywordList>,
}

impl Upload {
    /// Checks size, quota and keywords of a message. Returns its keyword list.
    pub(super) fn admit(&mut self, options: &Options) -> Result<KeywordList, Refusal> {
        let size = options.literal.size;
        if size > self.by.home.settings.append_limit {
            let text = format!(
                "it has {size} octets, and the largest message taken here {}",
                self.by.home.settings.append_limit
            );
            return Err(Refusal::no(Some(Code::TooBig), text));
        }
        let claimed = size.min(ANNOUNCED);
        let owner = &self.by.owner;
        let Some(claim) = owner.claim(claimed).filter(|_| owner.may_hold(size - claimed)) else {
            let text = format!("the account's quota has no room for its {size} octets");
            return Err(Refusal::no(Some(Code::OverQuota), text));
        };
        let current = self.current.as_mut().expect("the mailbox came before");
        if !current.share.add_message() {
            let text = "too many messages are in unfinished batches; send smaller ones";
            return Err(Refusal::no(Some(Code::Limit), text));
        }
        let keywords = current.keywords(&self.by.owner, &options.keywords)?;
        match &mut current.claim {
            Some(old) => old.add(claim),
            None => current.claim = Some(claim),
        }
        current.unclaimed = size - claimed;
        Ok(keywords)
    }
}

impl Current {
    /// Claims quota for octets of the current message that have arrived.
    pub(super) fn arrive(&mut self, octets: usize) -> Result<(), Refusal> {
        let more = self.unclaimed.min(octets as u64);
        if more > 0 && !self.claim.as_mut().is_some_and(|claim| claim.grow(more)) {
            let text = "the account's quota was filled by others while it came";
            return Err(Refusal::no(Some(Code::OverQuota), text));
        }
        self.unclaimed -= more;
        Ok(())
    }

    /// The list of these keywords. Messages of the batch with equal keywords share it.
    fn keywords(&mut self, owner: &Owner, keywords: &[Keyword]) -> Result<KeywordList, Refusal> {
        if keywords.is_empty() {
            return Ok(KeywordList::default());
        }
        let full = || {
            let mut names = keywords.iter().map(Keyword::as_str);
            let mut named: String = names.by_ref().take(3).collect::<Vec<_>>().join(" ");
            if named.len() > NAMED || names.next().is_some() {
                named.truncate(NAMED);
                named.push_str("...");
            }
            Refusal::no(Some(Code::Limit), format!("({named}): {FULL_OF_KEYWORDS}"))
        };
        {
            let mut account = owner.account.borrow_mut();
            let mailbox = account.mailbox_mut(self.mailbox);
            let mailbox = mailbox.ok_or_else(|| Refusal::no(Some(Code::TryCreate), DELETED))?;
            if !mailbox.has_room_for(keywords) {
                return Err(full());
            }
        }
        let OwnKeywords { table, lists } = &mut self.keywords;
        let before = table.octets();
        let set = table.admit(keywords).ok_or_else(full)?;
        if let Some(list) = lists.get(&set) {
            return Ok(list.clone());
        }
        let list = table.list(set);
        if !self.share.add_keywords(&list, table.octets() - before) {
            return Err(Refusal::no(Some(Code::Limit), TOO_MANY_SETS));
        }
        lists.insert(set, list.clone());
        Ok(list)
    }
}
