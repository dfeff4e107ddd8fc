//! Black-box tests, each with a server of its own. They run in parallel: a test that measures
//! memory or latency, or needs an idle machine, belongs to `abuse`.

mod append;
mod auth;
mod clients;
mod config;
mod corpus;
mod edges;
mod fetch;
mod observe;
mod operate;
mod search;
mod serve;
mod sessions;
mod tls;
mod transcripts;
