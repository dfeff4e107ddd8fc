//! A browser without a window, driven over the WebDriver protocol (W3C) by chromedriver.
//!
//! Without chromium or chromedriver the tests are skipped and say so; with
//! MAILRACE_BROWSER=required they fail.

use std::fs;
use std::io::{BufRead, BufReader, Write, stderr};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http::connect;

/// A window.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// The profile of this run.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a window, light or dark. `None` where there is no browser.
    pub fn open(width: u32, height: u32, dark: bool) -> Option<Browser> {
        let opened = Browser::try_open(width, height, dark);
        if let Err(why) = &opened {
            let required = std::env::var("MAILRACE_BROWSER").is_ok_and(|value| value == "required");
            assert!(!required, "no browser: {why}");
            // Not captured, so that it is seen when all tests pass.
            let _ = writeln!(stderr(), "skipped: no browser: {why}");
        }
        opened.ok()
    }

    fn try_open(width: u32, height: u32, dark: bool) -> Result<Browser, String> {
        let found = Command::new("chromium").arg("--version").output();
        found.map_err(|error| format!("chromium: {error}"))?;
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().map_err(|error| format!("chromedriver: {error}"))?;
        let port = port(&mut driver)?;
        let profile = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut browser = Browser {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
            _profile: profile,
        };
        let answer = browser.call("POST", "", &browser.wanted(width, height, dark))?;
        browser.session = answer["sessionId"].as_str().ok_or("no session")?.into();
        Ok(browser)
    }

    /// It has a profile of its own, and contacts no other host.
    fn wanted(&self, width: u32, height: u32, dark: bool) -> Value {
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", self._profile.path().display()));
        arguments.push(format!("--window-size={width},{height}"));
        if dark {
            arguments.push("--force-dark-mode".into());
        }
        let options = json!({ "args": arguments });
        json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } })
    }

    /// Opens a page.
    pub fn go(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// The result of a piece of JavaScript.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The visible text of the element with this identifier.
    pub fn text(&self, id: &str) -> String {
        let text = self.run(&format!("return document.getElementById({id:?}).innerText"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Whether that element is shown.
    pub fn shows(&self, id: &str) -> bool {
        let script = format!("return document.getElementById({id:?}).checkVisibility()");
        self.run(&script) == Value::Bool(true)
    }

    /// Errors and refused scripts of the page so far.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// A picture of the window, as PNG.
    pub fn picture(&self) -> Vec<u8> {
        let session = format!("/{}", self.session);
        let answer = self.call("GET", &format!("{session}/screenshot"), &Value::Null).unwrap();
        STANDARD.decode(answer.as_str().expect("base64")).expect("base64")
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/{}{path}", self.session);
        self.call("POST", &path, body).unwrap_or_else(|why| panic!("{path} {body}: {why}"))
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} /session{path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        let mut socket = connect(self.address);
        socket.write_all((head + &body).as_bytes()).map_err(|error| error.to_string())?;
        let text = answer(BufReader::new(socket)).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match &answer["value"]["error"] {
            Value::Null => Ok(answer["value"].clone()),
            error => Err(format!("{error}: {}", answer["value"]["message"])),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, or else with its driver.
        let _ = self.call("DELETE", &format!("/{}", self.session), &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The body of an answer. chromedriver always keeps the connection open.
fn answer(mut socket: impl BufRead) -> std::io::Result<String> {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if socket.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body)?;
    String::from_utf8(body).map_err(std::io::Error::other)
}

/// The address that the driver prints.
fn port(driver: &mut Child) -> Result<u16, String> {
    let mut lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines();
    let said = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("started successfully on port ")?;
        rest.trim_end_matches('.').parse().ok()
    });
    // It may print more, and must not block on that.
    std::thread::spawn(move || lines.for_each(drop));
    said.ok_or_else(|| "chromedriver does not say where it listens".into())
}

/// Writes a picture to a file, for inspection.
pub fn keep(name: &str, picture: &[u8]) {
    let path = format!("{}/{name}.png", env!("CARGO_TARGET_TMPDIR"));
    fs::write(&path, picture).unwrap();
    println!("picture: {path}");
}
