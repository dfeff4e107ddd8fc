//! Replay: whatever is interrupted where, the end is the same.
