//! The `mailrace` command: what stands on its line, and what comes of it.
