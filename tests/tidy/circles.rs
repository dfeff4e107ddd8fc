//! Circles: files that import each other can only be understood together, so they are few.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Finding, Source, is_word, word_at};

/// Files that may import each other in a circle.
const CIRCLE: usize = 3;

/// A module's path from the root of its crate: `["store", "append"]`.
type Module = Vec<String>;

/// Finds circles of more than [`CIRCLE`] files among the modules of one crate. Test modules do not
/// count, and neither do the names that a `mod.rs` hands on: whoever imports such a name depends on
/// the file that defines it.
pub fn circles_are_small(folder: &str, sources: &[&Source]) -> Vec<Finding> {
    let mut files: BTreeMap<Module, &Source> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.is_rust() && !is_test(&source.path)) {
        files.insert(module_of(&source.path[folder.len()..]), source);
    }
    let graph = Graph::new(&files);
    let circles = graph.circles().into_iter().filter(|circle| circle.len() > CIRCLE);
    circles
        .map(|circle| {
            let paths: Vec<&str> = circle.iter().map(|module| &*files[*module].path).collect();
            files[circle[0]].finding(0, format!("imports in a circle: {}", paths.join(", ")))
        })
        .collect()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/simulation/")
}

/// `store/append/mod.rs` and `store/append.rs` are both `["store", "append"]`.
fn module_of(inside: &str) -> Module {
    let mut parts: Module = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&&**last)) {
        parts.pop();
    }
    parts
}

struct Graph<'a> {
    edges: BTreeMap<&'a Module, BTreeSet<&'a Module>>,
}

impl<'a> Graph<'a> {
    fn new(files: &'a BTreeMap<Module, &'a Source>) -> Graph<'a> {
        let handed_on: BTreeMap<&Module, BTreeMap<String, Module>> = files
            .iter()
            .map(|(module, source)| (module, handed_on(module, source, files)))
            .collect();
        let mut edges: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
        for (module, source) in files {
            let used = paths(module, &without_facade(&source.code), files);
            let used = used.into_iter().filter_map(|path| resolve(path, files, &handed_on));
            edges.insert(module, used.filter(|used| *used != module).collect());
        }
        Graph { edges }
    }

    /// Strongly connected components: files that reach each other, each with its circle.
    fn circles(&self) -> Vec<Vec<&'a Module>> {
        let reach: BTreeMap<&Module, BTreeSet<&Module>> =
            self.edges.keys().map(|&module| (module, self.reachable(module))).collect();
        let mut seen: BTreeSet<&Module> = BTreeSet::new();
        let mut circles = Vec::new();
        for (&module, reached) in &reach {
            if seen.contains(module) {
                continue;
            }
            let circle: Vec<&Module> =
                reached.iter().copied().filter(|other| reach[other].contains(module)).collect();
            seen.extend(&circle);
            if !circle.is_empty() {
                circles.push(circle);
            }
        }
        circles
    }

    fn reachable(&self, from: &Module) -> BTreeSet<&'a Module> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&Module> = self.edges[from].iter().copied().collect();
        while let Some(module) = open.pop() {
            if reached.insert(module) {
                open.extend(&self.edges[module]);
            }
        }
        reached
    }
}

/// The module that a path names something of, behind what `mod.rs` files hand on.
fn resolve<'a>(
    mut path: Module,
    files: &'a BTreeMap<Module, &'a Source>,
    handed_on: &BTreeMap<&Module, BTreeMap<String, Module>>,
) -> Option<&'a Module> {
    for _ in 0..8 {
        let depth = (0..=path.len()).rev().find(|&depth| files.contains_key(&path[..depth]))?;
        let (module, _) = files.get_key_value(&path[..depth])?;
        match path.get(depth).and_then(|name| handed_on[module].get(name)) {
            Some(target) => path = [target, &path[depth + 1..]].concat(),
            None => return Some(module),
        }
    }
    None
}

/// The names that `pub use` of this module hands on, and where each comes from.
fn handed_on(
    module: &Module,
    source: &Source,
    files: &BTreeMap<Module, &Source>,
) -> BTreeMap<String, Module> {
    let mut names = BTreeMap::new();
    for (begin, end) in facades(&source.code) {
        let tree = source.code[begin..end].split_once("use ").map_or("", |(_, tree)| tree);
        for path in leaves(tree) {
            let path = absolute(module, &path, files).unwrap_or(path);
            if let Some(name) = path.last().filter(|_| path != *module) {
                names.insert(name.clone(), path.clone());
            }
        }
    }
    names
}

/// Where each `pub use …` and `pub(…) use …` stands, without its semicolon.
fn facades(code: &str) -> Vec<(usize, usize)> {
    let is_facade = |line: &str| {
        let rest = line.strip_prefix("pub")?;
        let rest = match rest.strip_prefix('(') {
            Some(scope) => &scope[scope.find(')')? + 1..],
            None => rest,
        };
        rest.starts_with(" use ").then_some(())
    };
    let begins = code.match_indices("pub").map(|(at, _)| at);
    let facades = begins.filter(|&at| is_facade(&code[at..]).is_some());
    facades.map(|at| (at, at + code[at..].find(';').unwrap_or(code.len() - at))).collect()
}

/// The code without what it hands on, and without its tests.
fn without_facade(code: &str) -> String {
    let code = code.find("#[cfg(test)]\nmod tests {").map_or(code, |tests| &code[..tests]);
    let mut kept = String::new();
    let mut from = 0;
    for (begin, end) in facades(code) {
        kept.push_str(&code[from..begin]);
        from = end;
    }
    kept + &code[from..]
}

/// All paths in some code that begin with `crate`, `self`, `super` or a child of the module.
fn paths(module: &Module, code: &str, files: &BTreeMap<Module, &Source>) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let begin = code[..at].rfind(|c| !is_word(c)).map_or(0, |before| before + 1);
        if begin == at || code[..begin].ends_with("::") {
            continue;
        }
        let rest = &code[begin..];
        let end = rest.find(|c: char| !is_word(c) && c != ':' && c != '{').unwrap_or(rest.len());
        let tree = match rest[..end].find('{') {
            Some(brace) if rest[..brace].ends_with("::") => {
                &rest[..brace + closing(&rest[brace..])]
            }
            Some(brace) => &rest[..brace],
            None => &rest[..end],
        };
        found.extend(leaves(tree).iter().filter_map(|path| absolute(module, path, files)));
    }
    found
}

/// The length of a text from its `{` to the matching `}`.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// `a::{b, c::d}` names `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<Module> {
    let Some(brace) = tree.find('{') else {
        let path = tree.split("::").map(|part| word_at(part.trim()));
        return vec![path.filter(|part| !part.is_empty()).collect()];
    };
    let before: Module =
        tree[..brace].split("::").map(|p| word_at(p.trim())).filter(|p| !p.is_empty()).collect();
    let inside = &tree[brace + 1..brace + closing(&tree[brace..]) - 1];
    let mut found = Vec::new();
    let (mut depth, mut begin) = (0, 0);
    for (at, c) in inside.char_indices().chain([(inside.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let branches = leaves(&inside[begin..at]);
                found.extend(branches.into_iter().map(|branch| [&before[..], &branch].concat()));
                begin = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// A path from the root of the crate; `None` for those of other crates and of types.
fn absolute(module: &Module, path: &Module, files: &BTreeMap<Module, &Source>) -> Option<Module> {
    let first = path.first()?;
    match &**first {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let above = module.len().checked_sub(ups)?;
            Some([&module[..above], &path[ups..]].concat())
        }
        _ => {
            let child = [module, &path[..1]].concat();
            files.contains_key(&child).then(|| [module, &path[..]].concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> = files.iter().map(|(p, text)| Source::new(p, text)).collect();
        let sources: Vec<&Source> = sources.iter().collect();
        circles_are_small("src/", &sources).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn four_files_in_a_circle_are_too_many() {
        let facade = "mod a; mod b; mod c;\npub use a::A;\npub use b::{Bee, other};";
        let mut files = vec![
            ("src/x/mod.rs", facade),
            ("src/x/a.rs", "use super::Bee;"),
            ("src/x/b.rs", "use crate::x::{c::C};"),
            ("src/x/c.rs", "use super::a::A;"),
        ];
        assert_eq!(found(&files), [] as [&str; 0]);
        files[3].1 = "fn f() -> crate::x::d::D {}";
        files.push(("src/x/d.rs", "use crate::x::{self, A};"));
        assert_eq!(
            found(&files),
            ["src/x/a.rs:0: imports in a circle: src/x/a.rs, src/x/b.rs, src/x/c.rs, src/x/d.rs"]
        );
    }

    #[test]
    fn trees_of_paths() {
        let path = |text: &str| text.split("::").map(str::to_owned).collect::<Module>();
        assert_eq!(
            leaves("a::{b, c::{d, e as f}}"),
            [path("a::b"), path("a::c::d"), path("a::c::e")]
        );
        assert_eq!(leaves("a::b"), [path("a::b")]);
    }
}
