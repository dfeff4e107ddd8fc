//! Layers: a module imports only from those above it in the list of its crate.

use super::source::{Finding, Source, word_at};

/// A module uses only those above it in the list of its crate's lib.rs, in tests as well.
pub fn imports_go_up(source: &Source, folder: &str, layers: &[String]) -> Vec<Finding> {
    let Some(inside) = source.path.strip_prefix(folder).filter(|_| source.is_rust()) else {
        return Vec::new();
    };
    let module = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
    if module == "lib" || module == "main" {
        return Vec::new();
    }
    let Some(own) = layers.iter().position(|layer| layer == module) else {
        return vec![source.finding(0, format!("module {module} is not listed in {folder}lib.rs"))];
    };
    let upwards = |(_, used): &(usize, String)| layers[own + 1..].contains(used);
    imports(&source.code)
        .into_iter()
        .filter(upwards)
        .map(|(line, used)| {
            source.finding(line, format!("{module} uses {used}, which is below it"))
        })
        .collect()
}

/// The modules in the order of src/lib.rs.
pub fn layers(lib: &str) -> Vec<String> {
    let module = |line: &str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    lib.lines().filter_map(|line| module(line.trim())).collect()
}

/// Every `crate::name` of some code, with its line; also in `crate::{name, other::thing}`.
pub fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + path.len()..];
        if !rest.starts_with('{') {
            found.push((line, word_at(rest)));
            continue;
        }
        let mut depth = 0;
        let mut begins = false;
        for (index, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if begins && !c.is_whitespace() {
                found.push((line, word_at(&rest[index..])));
            }
            begins = depth == 1 && (c == '{' || c == ',' || (begins && c.is_whitespace()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layering() {
        let layers = layers("pub mod limits;\n//! mod no;\npub mod store;\nmod session;\n");
        assert_eq!(layers, ["limits", "store", "session"]);
        let found =
            |path: &str, text: &str| imports_go_up(&Source::new(path, text), "src/", &layers).len();
        assert_eq!(found("src/store/a.rs", "use crate::limits::X;\nuse crate::store::Y;"), 0);
        assert_eq!(found("src/store/a.rs", "use crate::session::Z;"), 1);
        assert_eq!(
            found("src/store/a.rs", "use crate::{\n    limits::{X, Y},\n    session::Z,\n};"),
            1
        );
        assert_eq!(found("src/limits.rs", "fn f(x: crate::store::Y) {}"), 1);
        assert_eq!(found("src/store/a.rs", "// crate::session\n\"crate::session\";"), 0);
        assert_eq!(found("src/unlisted.rs", ""), 1);
    }
}
