//! Types that every layer shares: identifiers, flags, dates.

mod date;
mod flags;
mod ids;
mod ranges;
mod special_use;

pub use date::{Date, DateError, InternalDate};
pub use flags::{FlagChange, Flags, Keyword, KeywordError};
pub use ids::{ModSeq, Uid, UidRange, UidValidity};
pub use special_use::SpecialUse;
