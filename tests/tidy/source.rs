//! The text files of the repository, and Rust code without comments and strings.

use std::fmt;
use std::fs;
use std::path::Path;

/// A text file of the tree.
pub struct Source {
    /// From the root of the repository, divided by `/`.
    pub path: String,
    pub text: String,
    /// Rust: the text with comments and the contents of strings blanked out. Else empty.
    pub code: String,
}

#[derive(Debug)]
pub struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let code = if path.ends_with(".rs") { code_of(text) } else { String::new() };
        Source { path: path.into(), text: text.into(), code }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Written by hand here, and not mail or other data that must keep its octets.
    pub fn is_ours(&self) -> bool {
        let ends = [".rs", ".md", ".toml", ".gitignore"];
        ends.iter().any(|end| self.path.ends_with(end)) || self.path.starts_with(".ci/")
    }

    pub fn finding(&self, line: usize, what: String) -> Finding {
        Finding { path: self.path.clone(), line, what }
    }

    pub fn lines(&self, text: &str, rule: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        let found = |(index, line)| rule(line).map(|what| self.finding(index + 1, what));
        text.split('\n').enumerate().filter_map(found).collect()
    }

    pub fn rust_lines(&self, text: &str, rule: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
        if self.is_rust() { self.lines(text, rule) } else { Vec::new() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// All text files of the repository, but for what Cargo, git or a server made.
pub fn tree() -> Vec<Source> {
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

pub fn word_at(text: &str) -> String {
    text.chars().take_while(|&c| is_word(c)).collect()
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

/// Whether an absolute path begins with `place` somewhere in the line.
pub fn has_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let inside = |c: char| is_word(c) || matches!(c, '.' | '-' | '/' | '}' | '*' | '~');
        let goes_on = !place.ends_with('/') && line[at + place.len()..].starts_with(is_word);
        !line[..at].ends_with(inside) && !goes_on
    })
}

/// Rust code with comments and what strings hold turned to blanks, line by line as it was.
pub fn code_of(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
