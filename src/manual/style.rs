#![doc = include_str!("style.md")]
