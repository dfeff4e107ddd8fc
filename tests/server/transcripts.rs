//! Plays every dialogue in `tests/transcripts/` against a new server; those of APPEND also in every
//! slicing.

use std::fs;
use std::path::Path;

use kit::{Folder, PASSWORD, Server, USER, run_transcript, run_transcript_sliced};

use super::append::SLICINGS;

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                play(stringify!($name));
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

transcripts! {
    authenticate_plain
    greeting
    lenient
    login
    rfc2177_idle
    rfc2180_copy
    rfc2180_sessions
    rfc2971_id_namespace
    rfc3348_children
    rfc3501_any_state
    rfc3501_append
    rfc3501_copy_uid
    rfc3501_create_delete
    rfc3501_fetch
    rfc3501_list
    rfc3501_list_reference
    rfc3501_login
    rfc3501_mime_parts
    rfc3501_rename
    rfc3501_responses
    rfc3501_sample
    rfc3501_search
    rfc3501_select
    rfc3501_selected_state
    rfc3501_status
    rfc3501_store
    rfc3501_subscribe
    rfc3516_binary
    rfc4315_uidplus
    rfc4731_esearch
    rfc4959_sasl_ir
    rfc5032_within
    rfc5161_enable
    rfc5182_searchres
    rfc5256_sort
    rfc5256_thread
    rfc5258_childinfo
    rfc5258_fruit
    rfc5258_nonexistent
    rfc5267_context
    rfc5267_partial
    rfc5267_sort
    rfc5464_metadata
    rfc5530_codes
    rfc5819_list_status
    rfc6154_special_use
    rfc6851_move
    rfc6855_utf8
    rfc7162_condstore
    rfc7162_enabling
    rfc7162_modified
    rfc7162_qresync
    rfc7162_sessions
    rfc7162_vanished
    rfc7888_literal
    rfc8437_unauthenticate
    rfc8474_objectid
    rfc8514_savedate
    rfc8970_preview
    rfc9051_enable_select
    rfc9051_login
    rfc9051_names
    rfc9051_search
    rfc9051_selected
}

fn play(name: &str) {
    let server = Server::start(&Folder::new());
    run_transcript(server.address(), &text(name));
}

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
    fs::read_to_string(path).unwrap()
}

// ---- APPEND -----------------------------------------------------------------------------------

macro_rules! appends {
    ($($name:ident($user:expr, $serve:expr))*) => {
        $(
            #[test]
            fn $name() {
                play_sliced(stringify!($name), &$user, &$serve);
            }
        )*

        const APPENDS: &[&str] = &[$(stringify!($name)),*];
    };
}

// Name, flags of `user add`, flags of `serve`.
appends! {
    append_rfc3502(["--quota", "20000"], [])
    append_trycreate([], [])
    append_overquota(["--quota", "100"], [])
    append_toobig([], ["--append-limit", "100"])
    append_cancel([], [])
    append_refused([], [])
    append_options([], [])
    append_spelling([], [])
    append_news([], [])
}

/// Plays a dialogue line by line and in every slicing, each time against a new server.
fn play_sliced(name: &str, user: &[&str], serve: &[&str]) {
    let text = text(name);
    let start = || {
        let folder = Folder::empty();
        folder.add_user(USER, PASSWORD, user);
        Server::with(&folder, serve)
    };
    run_transcript(start().address(), &text);
    for lengths in SLICINGS {
        println!("slices of {lengths:?}");
        run_transcript_sliced(start().address(), &text, lengths);
    }
}

#[test]
fn none_is_forgotten() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let played = NAMES.contains(&name) || APPENDS.contains(&name);
        assert!(played, "{name} is not played by any test");
    }
}
