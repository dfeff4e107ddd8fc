//! Answers, as octets.
