//! The rules for single files and folders. What a rule forbids is spelt in two pieces here, or it
//! would find this file.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::{Finding, Source, has_path, has_word, word_at};

const LINES: usize = 500;
const COLUMNS: usize = 100;
/// Rust files in a folder, besides its `mod.rs`.
const FILES: usize = 15;

pub type Rule = fn(&Source) -> Vec<Finding>;

pub const RULES: [Rule; 11] = [
    file_is_small,
    lines_are_short,
    blanks_are_spaces,
    names_are_snake_case,
    words_stay_at_home,
    modules_lie_below,
    nothing_is_left_over,
    nothing_prints,
    no_machine_is_named,
    dependencies_are_justified,
    documented_tests_exist,
];

pub fn file_is_small(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if source.is_rust() && lines > LINES {
        return vec![source.finding(LINES + 1, format!("{lines} lines, at most {LINES}"))];
    }
    Vec::new()
}

pub fn lines_are_short(source: &Source) -> Vec<Finding> {
    let long = |line: &str| line.chars().count() > COLUMNS;
    source.rust_lines(&source.text, |line| long(line).then(|| format!("over {COLUMNS} columns")))
}

pub fn blanks_are_spaces(source: &Source) -> Vec<Finding> {
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

pub fn names_are_snake_case(source: &Source) -> Vec<Finding> {
    let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = source.path.trim_end_matches(".rs");
    if source.is_rust() && !name.split('/').all(|part| part.chars().all(snake)) {
        return vec![source.finding(0, "the name is not in snake_case".into())];
    }
    Vec::new()
}

/// Words that appear in some places only: the kernel and `unsafe` in the reactor, places on the
/// disk in the store, in its index, and in tests that make up a log.
const AT_HOME: [(&str, &[&str]); 4] = [
    ("tokio_uring", &["src/reactor/"]),
    ("io_uring", &["src/reactor/"]),
    ("unsafe", &["src/reactor/"]),
    ("Fragment", &["src/store/", "src/index/", "src/ingest/copy/tests.rs", "tests/", "benches/"]),
];

pub fn words_stay_at_home(source: &Source) -> Vec<Finding> {
    let away = |places: &[&str]| !places.iter().any(|place| source.path.starts_with(place));
    source.rust_lines(&source.code, |line| {
        let found = AT_HOME.iter().find(|(word, places)| away(places) && has_word(line, word));
        found.map(|(word, places)| format!("`{word}` outside {}", places.join(", ")))
    })
}

/// What two crates share is a crate, not a file that both include.
pub fn modules_lie_below(source: &Source) -> Vec<Finding> {
    let leaves = |line: &str| line.trim_start().starts_with("#[path") && line.contains("..");
    source.rust_lines(&source.text, |line| leaves(line).then(|| "a module elsewhere".into()))
}

/// The commands in documents name tests that exist.
pub fn documented_tests_exist(source: &Source) -> Vec<Finding> {
    let (flag, root) = (["--te", "st "].concat(), Path::new(env!("CARGO_MANIFEST_DIR")));
    source.lines(&source.text, |line| {
        let name = word_at(line.split_once(&flag)?.1);
        let files = [format!("tests/{name}.rs"), format!("tests/{name}/main.rs")];
        let exists = files.iter().any(|file| root.join(file).exists());
        (!exists && !name.is_empty()).then(|| format!("there is no test {name}"))
    })
}

/// A folder with more files than a reader takes in at a glance wants rooms of its own.
pub fn folders_are_small(tree: &[Source]) -> Vec<Finding> {
    let mut folders: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in tree.iter().filter(|source| source.is_rust()) {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(source);
    }
    let crowded = folders.into_iter().filter(|(_, sources)| sources.len() > FILES + 1);
    crowded
        .map(|(folder, sources)| {
            let text = format!("{} files in {folder}, at most {FILES}", sources.len());
            sources[0].finding(0, text)
        })
        .collect()
}

pub fn nothing_is_left_over(source: &Source) -> Vec<Finding> {
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
pub fn nothing_prints(source: &Source) -> Vec<Finding> {
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

pub fn no_machine_is_named(source: &Source) -> Vec<Finding> {
    let places = [["/wo", "rk"].concat(), ["/t", "mp/"].concat(), ["/ro", "ot"].concat()];
    source.lines(&source.text, |line| {
        places.iter().find(|place| has_path(line, place)).map(|place| format!("{place}, a path"))
    })
}

pub fn dependencies_are_justified(source: &Source) -> Vec<Finding> {
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
    fn homes() {
        finds(words_stay_at_home, "src/store/a.rs", "use tokio_uring::fs;", "// tokio_uring");
        finds(words_stay_at_home, "src/store/a.rs", "io_uring::IoUring", "\"io_uring\"");
        finds(words_stay_at_home, "tests/a.rs", "unsafe { f() }", "unsafe_op_in_unsafe_fn");
        finds(words_stay_at_home, "src/session/a.rs", "x: &Fragment", "Fragments");
        assert_eq!(words_stay_at_home(&Source::new("src/reactor/a.rs", "unsafe {}")).len(), 0);
        let (bad, good) = ("#[path = \"|/a.rs\"]", "#[path = \"b.rs\"]");
        finds(modules_lie_below, "src/a.rs", &bad.replace('|', ".."), good);
        let command = |name| ["cargo test --te", "st ", name].concat();
        finds(documented_tests_exist, "a.md", &command("serve x"), &command("server x"));
    }

    #[test]
    fn crowds() {
        let files = |count| (0..count).map(|n| Source::new(&format!("src/a/f{n}.rs"), ""));
        assert_eq!(folders_are_small(&files(FILES + 1).collect::<Vec<_>>()).len(), 0);
        assert_eq!(folders_are_small(&files(FILES + 2).collect::<Vec<_>>()).len(), 1);
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
        let inner = "tests/fuzz/libfuzzer/Cargo.toml";
        finds(dependencies_are_justified, inner, &good.replace("# Why.", ""), good);
    }
}
