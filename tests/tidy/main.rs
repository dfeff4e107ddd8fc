//! The repository checks itself: layers, circles of imports, sizes, and what may stand where.
//!
//! Every rule is a function of paths and texts, so that each can be shown to fail: the tests beside
//! it do.

mod source;
mod rules;
mod layers;
mod circles;

use source::Finding;

/// Folders of the crates whose modules are layers, inner ones first.
const CRATES: [&str; 3] = ["src/client/", "src/imap/", "src/"];

#[test]
fn the_tree_is_tidy() {
    let tree = source::tree();
    for must in ["src/main.rs", "tests/tidy/main.rs", "Cargo.toml"] {
        assert!(tree.iter().any(|source| source.path == must), "{must} was not looked at");
    }
    let mut findings = rules::folders_are_small(&tree);
    for source in &tree {
        findings.extend(rules::RULES.iter().flat_map(|rule| rule(source)));
    }
    for folder in CRATES {
        let path = format!("{folder}lib.rs");
        let lib = tree.iter().find(|source| source.path == path);
        let layers = layers::layers(&lib.unwrap_or_else(|| panic!("{path} is missing")).code);
        let inner = |path: &str| {
            let of = CRATES.iter().find(|folder| path.starts_with(**folder));
            of != Some(&folder)
        };
        let own: Vec<_> = tree.iter().filter(|source| !inner(&source.path)).collect();
        for source in &own {
            findings.extend(layers::imports_go_up(source, folder, &layers));
        }
        findings.extend(circles::circles_are_small(folder, &own));
    }
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(list.is_empty(), "{} findings:\n{}", list.len(), list.join("\n"));
}
