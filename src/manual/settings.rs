#![doc = include_str!("settings.md")]
