//! `mailrace bench`: puts load on an IMAP server, measures it, and checks what it stored.
//!
//! In a round every connection appends to a mailbox of its own for a given time. Afterwards the
//! server must hold exactly what it acknowledged. Throughput counts the bytes of acknowledged
//! messages, up to the last acknowledgement.

mod check;
mod floor;
mod load;
mod machine;
mod plan;
mod report;
mod target;

use std::io::{self, Write};

use self::load::Load;
use self::machine::Environment;
use self::plan::Plan;
use self::report::{Report, Round};
use self::target::{Target, Way};
use super::error::{ToolError, say};
use super::local::temp_dir;
use super::options::BenchOptions;

/// Runs the benchmark and prints its report.
///
/// # Errors
/// If a server refuses, disconnects, or does not hold what it acknowledged.
pub fn run(options: &BenchOptions) -> Result<(), ToolError> {
    let plan = Plan::new(options)?;
    let machine = Environment::here(temp_dir(options.temp.as_deref())?.path());
    let load = plan.description.clone();
    let mut report = Report::new(machine, load);
    for number in 1..=options.rounds {
        if options.floor {
            let floor = floor::round(options, &plan)?;
            tell(number, options.rounds, " without IMAP", &floor);
            report.floor.push(floor);
        }
        if !options.tls || options.connect.is_none() {
            let round = round(options, &plan, number, Way::Clear)?;
            tell(number, options.rounds, "", &round);
            report.rounds.push(round);
        }
        if options.tls {
            let round = round(options, &plan, number, Way::Tls)?;
            tell(number, options.rounds, " over TLS", &round);
            report.tls.push(round);
        }
    }
    report.compare();
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&report).expect("a report is plain data");
        let doing = || format!("cannot write {}", path.display());
        std::fs::write(path, json).map_err(|error| ToolError::Io { doing: doing(), error })?;
    }
    say(&(report.table() + "\n"))
}

fn round(options: &BenchOptions, plan: &Plan, number: u32, way: Way) -> Result<Round, ToolError> {
    let target = Target::open(options, way)?;
    let mut lanes = target.lanes(plan, number)?;
    let before = target.before()?;
    let load: Load = load::run(&mut lanes, plan)?;
    let cost = target.cost(&before, &load)?;
    let compared = check::check(&mut lanes, plan, options.check_all)?;
    target.close(lanes)?;
    Ok(Round::new(&load, &cost, Some(&compared)))
}

/// Prints a line per round, if there are several.
fn tell(number: u32, of: u32, what: &str, round: &Round) {
    if of > 1 {
        let (messages, megabytes) = (round.messages_per_second, round.megabytes_per_second);
        let line =
            format!("round {number} of {of}{what}: {messages:.0} messages/s, {megabytes:.1} MB/s");
        // An error does not matter: the report has it as well.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
