//! What the model accepts and what it refuses.

mod doubt;
mod identity;
mod unlawful;
