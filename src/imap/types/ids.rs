//! Identifiers as types of their own, so that a size is never mistaken for a UID.

/// Declares a number as a type of its own: ordered, displayed as the number, with a `next`.
///
/// ```
/// imap::id!(
///     /// A page of a book, from 1.
///     Page(u32)
/// );
/// assert_eq!(Page(6).next().to_string(), "7");
/// ```
#[macro_export]
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The next identifier. No identifier is narrow enough to run out in honest use;
            /// running out is a bug and stops the process.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.checked_add(1).expect(concat!(stringify!($name), " ran out")))
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// Unique identifier of a message in its mailbox, from 1 (RFC 3501 section 2.3.1.1).
    Uid(u32)
);
id!(
    /// UIDVALIDITY of a mailbox, not 0 (RFC 3501 section 2.3.1.1).
    UidValidity(u32)
);
id!(
    /// A mod-sequence, 1 to 2^63 - 1 (RFC 7162 section 3.1).
    ModSeq(u64)
);
/// An ascending range of UIDs, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UidRange {
    /// The lowest.
    pub first: Uid,
    /// The highest.
    pub last: Uid,
}

impl UidRange {
    /// Whether `uid` lies in the range.
    #[must_use]
    pub fn contains(self, uid: Uid) -> bool {
        self.first <= uid && uid <= self.last
    }
}
