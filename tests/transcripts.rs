//! Plays every dialogue in `tests/transcripts/` against a server of its own; those of APPEND are
//! played in `tests/append.rs`.

mod support;

use std::fs;
use std::path::Path;

use support::{Folder, Server, run_transcript};

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                play(include_str!(concat!("transcripts/", stringify!($name), ".txt")));
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

transcripts! {
    greeting
    login
    authenticate_plain
}

fn play(script: &str) {
    let server = Server::start(&Folder::new());
    run_transcript(server.address(), script);
}

#[test]
fn none_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let elsewhere = name.starts_with("append_");
        assert!(elsewhere || NAMES.contains(&name), "{name} is played by nobody");
    }
}
