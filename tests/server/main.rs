//! Tests that talk to a running server, each to one of its own. They run side by side: a test that
//! measures memory or latency, or needs the machine for itself, belongs to `abuse`.

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
