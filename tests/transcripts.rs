//! Plays every dialogue in `tests/transcripts/` against a server of its own. Besides alice, whose
//! password is secret, there is carol with the same password, who may keep 10,000 octets.

mod support;

use std::fs;
use std::path::Path;

use support::{Folder, PASSWORD, Server, run_transcript};

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
    multiappend
}

fn play(script: &str) {
    let folder = Folder::new();
    folder.add_user("carol", PASSWORD, &["--quota", "10000"]);
    let server = Server::start(&folder);
    run_transcript(server.address(), script);
}

#[test]
fn none_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // Those are played in tests/append.rs.
        let elsewhere = name.starts_with("append_");
        assert!(elsewhere || NAMES.contains(&name), "{name} is played by nobody");
    }
}
