#!/bin/sh
# Builds the Debian package target/debian/mailrace_VERSION_ARCHITECTURE.deb. Needs cargo-deb (cargo
# install cargo-deb --locked). With --no-build, packages target/release/mailrace as it is.
set -eu
cd "$(dirname "$0")/../.."

if [ "${1:-}" != --no-build ]; then
    cargo build --release --locked --bin mailrace
fi
mailrace=target/release/mailrace
made=target/package
rm -rf "$made"
mkdir -p "$made/man" "$made/completions"
"$mailrace" man "$made/man"
gzip -9n "$made"/man/*
for shell in bash zsh fish; do
    "$mailrace" completions "$shell" >"$made/completions/$shell"
done
cargo deb --no-build --locked
