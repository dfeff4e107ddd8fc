//! The format on disk, octet by octet.
