//! The targets of the test, for the programs in `bin/`.

#[path = "../../targets/mod.rs"]
pub mod targets;
