#!/usr/bin/env bash
# Long runs of the fuzz targets on libFuzzer, side by side, guided by coverage.
#
#   tests/model/fuzz/long.sh [-n] SECONDS [TARGET...]
#
# Builds the targets with the coverage that LLVM gives (stable Rust will do), seeds their corpora from
# the transcripts, the generator and MAILRACE_CORPUS, and runs each in one process at the lowest
# priority. Corpora stay below target/fuzz/corpus, so that the next run goes on where this one ended.
# What a target failed on lies in target/fuzz/findings. With -n nothing is built or seeded again.
set -euo pipefail
cd "$(dirname "$0")/../../.."

fresh=yes
[ "${1:-}" = -n ] && { fresh=no; shift; }
seconds=${1:?how many seconds?}
shift
all=(command framing append records recovery search mime utf7)
targets=("${@:-${all[@]}}")

missing() { printf '%s is missing: %s\n' "$1" "$2" >&2; exit 1; }
command -v cargo >/dev/null || missing cargo "https://rustup.rs"
command -v c++ >/dev/null || missing "a C++ compiler" "apt-get install g++ (libFuzzer is C++)"

host=$(rustc -vV | sed -n 's/^host: //p')
build=target/fuzz/build
program=$build/$host/fuzz/libfuzzer

if [ $fresh = yes ]; then
    sancov="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
    for option in inline-8bit-counters pc-table trace-compares; do
        sancov+=" -Cllvm-args=-sanitizer-coverage-$option"
    done
    RUSTFLAGS="$sancov -Ccodegen-units=4" CARGO_TARGET_DIR=$build cargo build --locked --profile fuzz \
        -p mailrace-model --features libfuzzer --bin libfuzzer --target "$host"
    rm -rf target/fuzz/seeds
    MAILRACE_SEEDS=$PWD/target/fuzz/seeds \
        cargo test -q --locked --test model write_seeds -- --ignored
fi

mkdir -p target/fuzz/{corpus,findings,logs}
started=$(date -u +%FT%TZ)
declare -A pids
for target in "${targets[@]}"; do
    corpus=target/fuzz/corpus/$target
    mkdir -p "$corpus"
    longest=4096
    case $target in mime | framing | append | search) longest=16384 ;; esac
    # A panic ends a run: a target that has found something is to be mended, not to be run on.
    MAILRACE_TARGET=$target nice -n 19 \
        bash -c 'TIMEFORMAT="times: %U %S %R"; time "$@"' _ "$program" \
        "$corpus" "target/fuzz/seeds/$target" -max_total_time="$seconds" -max_len=$longest \
        -dict=target/fuzz/seeds/words.dict -rss_limit_mb=900 -malloc_limit_mb=300 \
        -timeout=120 -report_slow_units=120 \
        -print_final_stats=1 -artifact_prefix="target/fuzz/findings/$target-" \
        >"target/fuzz/logs/$target.log" 2>&1 &
    pids[$target]=$!
done
trap 'kill "${pids[@]}" 2>/dev/null || true' INT TERM

failed=0
for target in "${targets[@]}"; do
    wait "${pids[$target]}" || failed=1
done

commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
printf '\n%s, %s s each, commit %s, %s processors\n' "$started" "$seconds" "$commit" "$(nproc)"
printf '%-10s %8s %8s %12s %8s %8s %10s %9s %s\n' \
    target wall/s cpu/s executions edges of features corpus findings
for target in "${targets[@]}"; do
    log=target/fuzz/logs/$target.log
    last=$(grep -aE '^#[0-9]+.* cov: ' "$log" | tail -1)
    field() { sed -n "s/.* $1: \([0-9]*\).*/\1/p" <<<"$last"; }
    edges=$(grep -aom1 '[0-9]* inline 8-bit counters' "$log" | cut -d' ' -f1)
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    cpu=$(awk '/^times:/ { printf "%d", $2 + $3 }' "$log")
    wall=$(awk '/^times:/ { printf "%d", $4 }' "$log")
    found=$(find target/fuzz/findings -name "$target-*" | wc -l)
    printf '%-10s %8s %8s %12s %8s %8s %10s %9s %s\n' "$target" "${wall:--}" "${cpu:--}" \
        "${executions:--}" "$(field cov)" "$edges" "$(field ft)" \
        "$(find "target/fuzz/corpus/$target" -type f | wc -l)" "$found"
done
exit $failed
