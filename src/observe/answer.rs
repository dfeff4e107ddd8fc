//! Answers one HTTP request.

use std::net::{Ipv4Addr, Ipv6Addr};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::metrics;
use super::observer::Observer;

/// The live page, a single file.
const PAGE: &str = include_str!("page/index.html");

const TEXT: &str = "text/plain; charset=utf-8";

/// The answer if there are too many connections.
const CROWDED: &str =
    "too many connections to the admin endpoint; only /healthz and /readyz are answered";

/// Which paths a connection may request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All paths.
    All,
    /// `/healthz` and `/readyz` only, because there are too many connections.
    Probes,
}

/// Makes answers.
pub(super) struct Answers {
    policy: HeaderValue,
}

impl Answers {
    pub(super) fn new() -> Answers {
        let policy = HeaderValue::from_str(&policy()).expect("base64 is ASCII");
        Answers { policy }
    }

    /// The answer to a request.
    pub(super) fn answer<B>(
        &self,
        request: &Request<B>,
        scope: Scope,
        observer: &mut Observer,
    ) -> Response<Full<Bytes>> {
        let (status, kind, body) = answer(request, scope, observer);
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

fn answer<B>(
    request: &Request<B>,
    scope: Scope,
    observer: &mut Observer,
) -> (StatusCode, &'static str, Bytes) {
    let text = |status, text: &str| (status, TEXT, Bytes::from(format!("{text}\n")));
    // A foreign web page could reach this endpoint through a DNS name of its own.
    if !is_for_this_machine(request) {
        let why = "the Host header must be localhost, 127.0.0.1 or [::1]";
        return text(StatusCode::FORBIDDEN, why);
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are supported");
    }
    let probe = |problems: Vec<String>| match problems.is_empty() {
        true => text(StatusCode::OK, "ok"),
        false => text(StatusCode::SERVICE_UNAVAILABLE, &problems.join("\n")),
    };
    match request.uri().path() {
        "/healthz" => probe(observer.illness()),
        "/readyz" => probe(observer.obstacles()),
        _ if scope == Scope::Probes => text(StatusCode::SERVICE_UNAVAILABLE, CROWDED),
        "/" => (StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes())),
        "/status.json" => (StatusCode::OK, "application/json", observer.status()),
        "/metrics" => (StatusCode::OK, metrics::CONTENT_TYPE, observer.metrics().into()),
        _ => {
            let there_is = "not found; the paths are / /status.json /metrics /healthz /readyz";
            text(StatusCode::NOT_FOUND, there_is)
        }
    }
}

/// Whether a request has one Host header, which names the loopback, as does its target if that has
/// a host (RFC 9112 section 3.2.2).
fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let target = request.uri().authority();
    host.to_str().is_ok_and(names_this_machine)
        && target.is_none_or(|target| names_this_machine(target.as_str()))
}

/// Whether a Host header names the loopback: `localhost`, `127.0.0.1:9143`, `[::1]:9143`.
fn names_this_machine(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    if !port.bytes().all(|octet| octet.is_ascii_digit()) {
        return false;
    }
    if let Some(name) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return name.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let is_loopback = |address: Ipv4Addr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

/// The Content-Security-Policy of the page: it runs only its own script and connects only to this
/// server.
fn policy() -> String {
    let hash = |tag: &str| {
        let inside = between(PAGE, &format!("<{tag}>"), &format!("</{tag}>"));
        format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, inside.as_bytes())))
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    )
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let after = text.split_once(begin).map_or("", |(_, after)| after);
    after.split_once(end).map_or("", |(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_are_answered() {
        for host in
            ["localhost", "LocalHost:9143", "127.0.0.1:9143", "127.8.9.10", "[::1]:80", "[::1]"]
        {
            assert!(names_this_machine(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org:9143",
            "127.0.0.1.example.org",
            "10.0.0.1:9143",
            "[::2]:80",
            "::1",
            "localhost:80:80",
            "localhost:x",
            "localhost@evil",
        ] {
            assert!(!names_this_machine(host), "{host}");
        }
    }

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_from_outside() {
        for tag in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1, "{tag}");
            assert!(!between(PAGE, &format!("<{tag}>"), &format!("</{tag}>")).trim().is_empty());
        }
        for outside in ["https:", "src=", " on", "innerHTML", "insertAdjacentHTML", " style="] {
            let inside = PAGE.lines().filter(|line| !line.trim_start().starts_with("//"));
            let hit = inside.clone().find(|line| match outside {
                " on" => line.contains(" onload=") || line.contains(" onclick="),
                outside => line.contains(outside),
            });
            assert_eq!(hit, None, "{outside}");
        }
    }
}
