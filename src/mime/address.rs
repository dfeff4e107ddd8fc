//! Addresses of a header (RFC 5322 section 3.4).
