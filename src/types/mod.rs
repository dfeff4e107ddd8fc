//! The nouns that every layer shares: identifiers, flags, dates.

mod date;
mod flags;
mod ids;
mod keywords;
mod ranges;
mod special_use;

pub use date::{Date, DateError, InternalDate};
pub use flags::{FlagChange, Flags, Keyword, KeywordError};
pub use ids::{
    BatchId, EmailId, Epoch, Fragment, LogId, Lsn, MailboxId, ModSeq, SegmentId, Uid, UidRange,
    UidValidity,
};
pub use keywords::{BitSet, KeywordList, bits, has_bit};
pub use special_use::SpecialUse;
