//! Cleaning beside ingestion: how large the data folder becomes, and what cleaning costs.
//!
//! ```sh
//! cargo bench --bench cleaning                                    # both cases
//! cargo bench --bench cleaning -- churn --live 4096 --times 10    # MiB of living mail
//! cargo bench --bench cleaning -- churn --segment-size 256M --reactors 2
//! cargo bench --bench cleaning -- ingestion --rounds 5 --seconds 5
//! ```
//! The mail is that of MAILRACE_CORPUS, or else generated; each message gets a first line of its
//! own. The real binary runs in its own process on a temporary folder. Afterwards every living
//! message is read and compared, and `mailrace verify` reads the folder.

mod churn;
mod ingestion;
mod mail;
mod server;

const MIB: u64 = 1 << 20;

/// What the command line asks for.
struct Options {
    /// Bytes of living mail in the churn.
    live: u64,
    /// How many times as much mail comes in.
    times: u64,
    /// Megabytes a second that come in; as fast as possible if `None`.
    rate: Option<f64>,
    /// MiB of a segment, with its unit.
    segment_size: u64,
    reactors: u64,
    rounds: usize,
    seconds: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(|value| value.trim_end_matches('M').parse().expect("a number"))
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let options = Options {
        live: after("--live").unwrap_or(1024) * MIB,
        times: after("--times").unwrap_or(10),
        rate: after("--rate").map(|rate| rate as f64),
        segment_size: after("--segment-size").unwrap_or(64) * MIB,
        reactors: after("--reactors").unwrap_or(cores),
        rounds: after("--rounds").unwrap_or(5) as usize,
        seconds: after("--seconds").unwrap_or(4),
    };
    let wants = |case: &str| {
        let cases = ["churn", "ingestion"];
        arguments.iter().any(|argument| argument == case)
            || !arguments.iter().any(|argument| cases.contains(&&**argument))
    };
    if wants("churn") {
        churn::run(&options);
    }
    if wants("ingestion") {
        ingestion::run(&options);
    }
}

/// The value that this part of all values does not exceed, in milliseconds.
fn percentile(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let at = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or(f64::NAN)
}
