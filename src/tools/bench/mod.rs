//! `mailrace bench`: load on an IMAP server, its figures, and the proof that it kept its word.
//!
//! A round: every connection appends to a mailbox of its own for the time given; then the server
//! must have exactly what it acknowledged. Throughput counts message octets up to the last
//! acknowledgement, none that is not durable.

mod check;
mod floor;
mod load;
mod machine;
mod plan;
mod report;
mod target;

use std::io::{self, Write};

use self::load::Load;
use self::machine::Machine;
use self::plan::Plan;
use self::report::{Report, Round};
use self::target::{Target, Way};
use super::args::BenchArgs;
use super::error::{ToolError, say};
use super::local::temp_dir;

/// Runs the benchmark and prints its report.
///
/// # Errors
/// When a server refuses, breaks off, or does not have what it acknowledged.
pub fn run(args: &BenchArgs) -> Result<(), ToolError> {
    let plan = Plan::new(args)?;
    let machine = Machine::here(temp_dir(args.temp.as_deref())?.path());
    let load = plan.description.clone();
    let mut report = Report::new(machine, load);
    for number in 1..=args.rounds {
        if args.floor {
            let floor = floor::round(args, &plan)?;
            tell(number, args.rounds, " without IMAP", &floor);
            report.floor.push(floor);
        }
        if !args.tls || args.connect.is_none() {
            let round = round(args, &plan, number, Way::Clear)?;
            tell(number, args.rounds, "", &round);
            report.rounds.push(round);
        }
        if args.tls {
            let round = round(args, &plan, number, Way::Tls)?;
            tell(number, args.rounds, " by TLS", &round);
            report.tls.push(round);
        }
    }
    report.compare();
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&report).expect("a report is plain data");
        let doing = || format!("writing {}", path.display());
        std::fs::write(path, json).map_err(|error| ToolError::Io { doing: doing(), error })?;
    }
    say(&report.table())
}

fn round(args: &BenchArgs, plan: &Plan, number: u32, way: Way) -> Result<Round, ToolError> {
    let target = Target::open(args, way)?;
    let mut lanes = target.lanes(plan, number)?;
    let before = target.before()?;
    let load: Load = load::run(&mut lanes, plan)?;
    let cost = target.cost(&before, &load)?;
    let compared = check::check(&mut lanes, plan, args.check_all)?;
    target.close(lanes)?;
    Ok(Round::new(&load, &cost, Some(&compared)))
}

/// A line for each round while others are still to come.
fn tell(number: u32, of: u32, what: &str, round: &Round) {
    if of > 1 {
        let (messages, megabytes) = (round.messages_per_second, round.megabytes_per_second);
        let line =
            format!("round {number} of {of}{what}: {messages:.0} messages/s, {megabytes:.1} MB/s");
        // The report has it as well.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
