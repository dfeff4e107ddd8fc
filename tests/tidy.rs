//! The repository checks itself: layering, sizes, and what may stand where.
//!
//! Every rule is a function of a path and a text, so that each can be shown to fail (at the end
//! of this file). What a rule forbids is spelt in two pieces here, or it would find this file.

use std::fmt;
use std::fs;
use std::path::Path;

const LINES: usize = 500;
const COLUMNS: usize = 100;

/// Folders of the crates whose modules are layers, inner ones first.
const CRATES: [&str; 3] = ["src/client/", "src/imap/", "src/"];

/// A text file of the tree.
struct Source {
    /// From the root of the repository, divided by `/`.
    path: String,
    text: String,
    /// Rust: the text with comments and the contents of strings blanked out. Else empty.
    code: String,
}

#[derive(Debug)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

type Rule = fn(&Source) -> Vec<Finding>;

const RULES: [Rule; 11] = [
    file_is_small,
    lines_are_short,
    blanks_are_spaces,
    names_are_snake_case,
    seam_is_kept,
    nothing_is_left_over,
    nothing_prints,
    no_machine_is_named,
    dependencies_are_justified,
    modules_stay_in_their_folder,
    documented_tests_exist,
];

#[test]
fn the_tree_is_tidy() {
    let tree = tree();
    for must in ["src/main.rs", "tests/tidy.rs", "Cargo.toml"] {
        assert!(tree.iter().any(|source| source.path == must), "{must} was not looked at");
    }
    let crates = CRATES.map(|folder| {
        let path = format!("{folder}lib.rs");
        let lib = tree.iter().find(|source| source.path == path);
        (folder, layers(&lib.unwrap_or_else(|| panic!("{path} was not looked at")).code))
    });
    let mut findings: Vec<Finding> = Vec::new();
    for source in &tree {
        findings.extend(RULES.iter().flat_map(|rule| rule(source)));
        let own = crates.iter().find(|(folder, _)| source.path.starts_with(folder));
        findings
            .extend(own.iter().flat_map(|(folder, layers)| imports_go_up(source, folder, layers)));
    }
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(list.is_empty(), "{} findings:\n{}", list.len(), list.join("\n"));
}

// ---- The rules -------------------------------------------------------------------------------

fn file_is_small(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if source.is_rust() && lines > LINES {
        return vec![source.finding(LINES + 1, format!("{lines} lines, at most {LINES}"))];
    }
    Vec::new()
}

fn lines_are_short(source: &Source) -> Vec<Finding> {
    let long = |line: &str| line.chars().count() > COLUMNS;
    source.rust_lines(&source.text, |line| long(line).then(|| format!("over {COLUMNS} columns")))
}

fn blanks_are_spaces(source: &Source) -> Vec<Finding> {
    if !source.is_ours() {
        return Vec::new();
    }
    source.lines(&source.text, |line| {
        if line.contains('\t') {
            return Some("a tab".into());
        }
        line.ends_with([' ', '\r']).then(|| "a blank at the end".into())
    })
}

fn names_are_snake_case(source: &Source) -> Vec<Finding> {
    let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = source.path.trim_end_matches(".rs");
    if source.is_rust() && !name.split('/').all(|part| part.chars().all(snake)) {
        return vec![source.finding(0, "the name is not in snake_case".into())];
    }
    Vec::new()
}

/// What touches the kernel by hand stays in one folder.
fn seam_is_kept(source: &Source) -> Vec<Finding> {
    if source.path.starts_with("src/reactor/") {
        return Vec::new();
    }
    source.rust_lines(&source.code, |line| {
        let word = ["tokio_uring", "io_uring", "unsafe"].into_iter().find(|w| has_word(line, w))?;
        Some(format!("`{word}` outside src/reactor/"))
    })
}

fn nothing_is_left_over(source: &Source) -> Vec<Finding> {
    let words = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let mut findings = source.lines(&source.text, |line| {
        words.iter().find(|word| has_word(line, word)).map(|word| format!("a {word}"))
    });
    findings.extend(source.rust_lines(&source.code, |line| {
        let macros = ["dbg", "todo", "unimplemented"];
        let left = |name: &&str| has_word(line, name) && line.contains(&format!("{name}!"));
        macros.into_iter().find(left).map(|name| format!("a {name}!"))
    }));
    findings
}

/// A server speaks by its log. Commands, tests and benchmarks may print.
fn nothing_prints(source: &Source) -> Vec<Finding> {
    let may = ["src/command/", "src/tools/", "src/main.rs", "tests/", "benches/"];
    let tests = source.path.ends_with("/tests.rs");
    if tests || may.iter().any(|place| source.path.starts_with(place)) {
        return Vec::new();
    }
    source.rust_lines(&source.code, |line| {
        let macros = ["print", "println", "eprint", "eprintln"];
        let prints =
            |name: &&'static str| has_word(line, name) && line.contains(&format!("{name}!"));
        macros.into_iter().find(prints).map(|name| format!("{name}!"))
    })
}

fn no_machine_is_named(source: &Source) -> Vec<Finding> {
    let places = [["/wo", "rk"].concat(), ["/t", "mp/"].concat(), ["/ro", "ot"].concat()];
    source.lines(&source.text, |line| {
        places.iter().find(|place| has_path(line, place)).map(|place| format!("{place}, a path"))
    })
}

fn dependencies_are_justified(source: &Source) -> Vec<Finding> {
    if !source.path.ends_with("Cargo.toml") {
        return Vec::new();
    }
    let (mut in_dependencies, mut above, mut findings) = (false, "", Vec::new());
    for (index, line) in source.text.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.trim_end_matches(']').ends_with("dependencies");
        } else if in_dependencies && line.contains('=') && !above.starts_with('#') {
            findings.push(source.finding(index + 1, "a dependency without its reason".into()));
        }
        above = line;
    }
    findings
}

/// What two crates share is a crate, not a file that both include.
fn modules_stay_in_their_folder(source: &Source) -> Vec<Finding> {
    source.rust_lines(&source.text, |line| {
        let leaves = line.trim_start().starts_with("#[path") && line.contains("../");
        leaves.then(|| "a module outside the folder of its file".into())
    })
}

/// The commands in documents name tests that exist.
fn documented_tests_exist(source: &Source) -> Vec<Finding> {
    let (flag, root) = (["--te", "st "].concat(), Path::new(env!("CARGO_MANIFEST_DIR")));
    source.lines(&source.text, |line| {
        let name = word_at(line.split_once(&flag)?.1);
        let files = [format!("tests/{name}.rs"), format!("tests/{name}/main.rs")];
        let exists = files.iter().any(|file| root.join(file).exists());
        (!exists && !name.is_empty()).then(|| format!("there is no test {name}"))
    })
}

/// A module uses only those above it in the list of its crate's lib.rs, in tests as well.
fn imports_go_up(source: &Source, folder: &str, layers: &[String]) -> Vec<Finding> {
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

// ---- What the rules stand on -----------------------------------------------------------------

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let code = if path.ends_with(".rs") { code_of(text) } else { String::new() };
        Source { path: path.into(), text: text.into(), code }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Written by hand here, and not mail or other data that must keep its octets.
    fn is_ours(&self) -> bool {
        let ends = [".rs", ".md", ".toml", ".gitignore"];
        ends.iter().any(|end| self.path.ends_with(end)) || self.path.starts_with(".ci/")
    }

    fn finding(&self, line: usize, what: String) -> Finding {
        Finding { path: self.path.clone(), line, what }
    }

    fn lines(&self, text: &str, rule: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        let found = |(index, line)| rule(line).map(|what| self.finding(index + 1, what));
        text.split('\n').enumerate().filter_map(found).collect()
    }

    fn rust_lines(&self, text: &str, rule: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        if self.is_rust() { self.lines(text, rule) } else { Vec::new() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// All text files of the repository, but for what Cargo, git or a server made.
fn tree() -> Vec<Source> {
    fn walk(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let entry = entry.expect("the folder can be read");
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let path = format!("{prefix}{name}");
            let made = ["target", ".git", "mailrace-data"].contains(&path.as_str());
            if made || name == "Cargo.lock" {
                continue;
            }
            if entry.file_type().expect("the entry has a type").is_dir() {
                walk(&entry.path(), &format!("{path}/"), sources);
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                sources.push(Source::new(&path, &text));
            }
        }
    }
    let mut sources = Vec::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut sources);
    sources
}

/// The modules in the order of src/lib.rs.
fn layers(lib: &str) -> Vec<String> {
    let module = |line: &str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    lib.lines().filter_map(|line| module(line.trim())).collect()
}

/// Every `crate::name` of some code, with its line; also in `crate::{name, other::thing}`.
fn imports(code: &str) -> Vec<(usize, String)> {
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

fn word_at(text: &str) -> String {
    text.chars().take_while(|&c| is_word(c)).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

/// Whether an absolute path begins with `place` somewhere in the line.
fn has_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let inside = |c: char| is_word(c) || matches!(c, '.' | '-' | '/' | '}' | '*' | '~');
        let goes_on = !place.ends_with('/') && line[at + place.len()..].starts_with(is_word);
        !line[..at].ends_with(inside) && !goes_on
    })
}

/// Rust code with comments and what strings hold turned to blanks, line by line as it was.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = blank_from(&chars, at).unwrap_or(at);
        if end == at {
            code.push(chars[at]);
            at += 1;
            continue;
        }
        code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    code
}

/// Where the comment, string or character that begins here ends; `None` when none begins.
fn blank_from(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let until = |from: usize, end: &str| {
        let end: Vec<char> = end.chars().collect();
        let found = chars[from..].windows(end.len()).position(|window| window == end);
        found.map_or(chars.len(), |found| from + found + end.len())
    };
    match rest {
        ['/', '/', ..] => Some(until(at, "\n") - 1),
        ['/', '*', ..] => Some(until(at + 2, "*/")),
        ['\'', '\\', _, ..] => Some(until(at + 3, "'")),
        ['\'', _, '\'', ..] => Some(at + 3),
        ['"', ..] => {
            let mut end = at + 1;
            while end < chars.len() && chars[end] != '"' {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            Some((end + 1).min(chars.len()))
        }
        ['r', '"' | '#', ..] if at == 0 || !is_word(chars[at - 1]) || chars[at - 1] == 'b' => {
            let hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
            let quote = rest.get(1 + hashes) == Some(&'"');
            quote.then(|| until(at + 2 + hashes, &format!("\"{}", "#".repeat(hashes))))
        }
        _ => None,
    }
}

// ---- Every rule can fail ---------------------------------------------------------------------

#[cfg(test)]
mod rules_can_fail {
    use super::*;

    #[track_caller]
    fn finds(rule: Rule, path: &str, bad: &str, good: &str) {
        let count = |text| rule(&Source::new(path, text)).len();
        assert_eq!((count(bad), count(good)), (1, 0), "{bad:?} against {good:?}");
    }

    #[test]
    fn sizes() {
        finds(file_is_small, "src/a.rs", &"\n".repeat(501), &"\n".repeat(500));
        finds(lines_are_short, "src/a.rs", &"x".repeat(101), &"\u{e4}".repeat(100));
    }

    #[test]
    fn blanks_and_names() {
        finds(blanks_are_spaces, "a.md", "a\tb", "a b");
        finds(blanks_are_spaces, "src/a.rs", "a \nb", "a\nb");
        assert_eq!(names_are_snake_case(&Source::new("src/aB.rs", "")).len(), 1);
        assert_eq!(names_are_snake_case(&Source::new("src/a-b.rs", "")).len(), 1);
        assert_eq!(names_are_snake_case(&Source::new("src/a_b1.rs", "")).len(), 0);
    }

    #[test]
    fn the_seam() {
        finds(seam_is_kept, "src/store/a.rs", "use tokio_uring::fs;", "// tokio_uring");
        finds(seam_is_kept, "src/store/a.rs", "io_uring::IoUring", "\"io_uring\"");
        finds(seam_is_kept, "tests/a.rs", "unsafe { f() }", "unsafe_op_in_unsafe_fn");
        assert_eq!(seam_is_kept(&Source::new("src/reactor/a.rs", "unsafe {}")).len(), 0);
    }

    #[test]
    fn leftovers_and_printing() {
        finds(nothing_is_left_over, "a.md", &["a TO", "DO: b"].concat(), "tomorrow");
        finds(nothing_is_left_over, "src/a.rs", "dbg!(x);", "// dbg!(x);");
        finds(nothing_is_left_over, "src/a.rs", "todo!()", "let todo = not!();");
        finds(nothing_prints, "src/store/a.rs", "println!(\"x\");", "format!(\"println!\");");
        assert_eq!(nothing_prints(&Source::new("src/tools/a.rs", "println!();")).len(), 0);
    }

    #[test]
    fn machines() {
        for (bad, good) in [("in /wo|rk/x", "src/wo|rk"), ("`/t|mp/x`", "a/t|mp/x")] {
            finds(no_machine_is_named, "a.md", &bad.replace('|', ""), &good.replace('|', ""));
        }
        let (bad, good) = ("cd /ro|ot", "/ro|oted");
        finds(no_machine_is_named, "a.md", &bad.replace('|', ""), &good.replace('|', ""));
    }

    #[test]
    fn reasons() {
        let good = "[dependencies]\n# Why.\na = \"1\"\n[profile.dev]\nopt-level = 1\n";
        finds(dependencies_are_justified, "Cargo.toml", &good.replace("# Why.", ""), good);
        let dev = good.replace("[dep", "[dev-dep");
        finds(dependencies_are_justified, "Cargo.toml", &dev.replace("# Why.", ""), &dev);
        let inner = "tests/model/Cargo.toml";
        finds(dependencies_are_justified, inner, &good.replace("# Why.", ""), good);
    }

    #[test]
    fn modules_and_documented_commands() {
        let (bad, good) = ("    #[path = \"../b.rs\"]", "#[path = \"b.rs\"]");
        finds(modules_stay_in_their_folder, "src/a.rs", bad, good);
        let command = |name| ["cargo test --te", "st ", name].concat();
        finds(documented_tests_exist, "a.md", &command("serve x"), &command("server x"));
    }

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

    #[test]
    fn code_without_comments_and_strings() {
        for (text, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b\n */ c", "a     \n    c"),
            ("f(\"a\\\"b\", c)", "f(      , c)"),
            ("f(r#\"a\"b\"#, c)", "f(        , c)"),
            ("g('\"', 'x', '\\'', b)", "g(   ,    ,     , b)"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("r#type + for\"x\"", "r#type + for   "),
        ] {
            assert_eq!(code_of(text), code, "{text}");
        }
    }
}
