//! Whether a message of an APPEND may come.

use super::owner::Owner;
use super::refusal::Refusal;
use super::upload::{Current, Upload};
use crate::protocol::Options;
use crate::protocol::response::Code;
use crate::types::{Keyword, KeywordList};

/// What a client is told whose mailbox has gone.
pub(super) const DELETED: &str = "the mailbox was deleted meanwhile";
const FULL_OF_KEYWORDS: &str = "the mailbox has as many keywords, or combinations of them, as it \
     can hold; append to another mailbox, or without some of these keywords";
const TOO_MANY_SETS: &str = "the messages of unfinished batches have too many different \
     combinations of keywords; send smaller batches";

impl Upload {
    /// Whether the message may come: size, quota, keywords. Gives the latter as its record has
    /// them.
    pub(super) fn admit(&mut self, options: &Options) -> Result<KeywordList, Refusal> {
        let size = options.literal.size;
        if size > self.context.append_limit {
            let text =
                format!("the largest message taken here has {} octets", self.context.append_limit);
            return Err(Refusal::no(Some(Code::TooBig), text));
        }
        let Some(claim) = self.context.owner.claim(size) else {
            return Err(Refusal::no(
                Some(Code::OverQuota),
                "the account's quota does not allow it",
            ));
        };
        let current = self.current.as_mut().expect("the mailbox came before");
        if !current.share.one_more() {
            let text = "too many messages are in unfinished batches; send smaller ones";
            return Err(Refusal::no(Some(Code::Limit), text));
        }
        let keywords = current.keywords(&self.context.owner, &options.keywords)?;
        match &mut current.claim {
            Some(old) => old.add(claim),
            None => current.claim = Some(claim),
        }
        Ok(keywords)
    }
}

impl Current {
    /// The list of these keywords, which all messages of the batch share that have the same.
    fn keywords(&mut self, owner: &Owner, keywords: &[Keyword]) -> Result<KeywordList, Refusal> {
        if keywords.is_empty() {
            return Ok(KeywordList::default());
        }
        let mut account = owner.account.borrow_mut();
        let mailbox = account.mailbox_mut(self.mailbox);
        let mailbox = mailbox.ok_or_else(|| Refusal::no(Some(Code::TryCreate), DELETED))?;
        let set = mailbox.admit(keywords);
        let set = set.ok_or_else(|| Refusal::no(Some(Code::Limit), FULL_OF_KEYWORDS))?;
        if let Some(list) = self.lists.get(&set) {
            return Ok(list.clone());
        }
        let list = mailbox.keywords().list(set);
        if !self.share.keywords(&list) {
            return Err(Refusal::no(Some(Code::Limit), TOO_MANY_SETS));
        }
        self.lists.insert(set, list.clone());
        Ok(list)
    }
}
