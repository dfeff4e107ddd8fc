//! What a round sends: the arguments, checked, and the messages, ready to go.

use std::time::Duration;

use crate::tools::{BenchArgs, Generator, ToolError, show_size};
use client::{Literals, Prepared};
use client::{Mail, Source};

/// Messages kept ready when they are made up, at most: more would only cost time to make.
const MADE_UP: usize = 50_000;

/// A round of load.
pub struct Plan {
    pool: Vec<Prepared>,
    /// Octets of the pool up to each message, and of all.
    octets_before: Vec<u64>,
    /// Messages in one APPEND.
    pub batch: usize,
    /// APPENDs under way on a connection.
    pub pipeline: usize,
    /// So long new batches are sent.
    pub duration: Duration,
    /// So many octets at most.
    pub limit: u64,
    /// Connections.
    pub connections: usize,
    /// How literals are announced.
    pub literals: Literals,
    /// What is sent, in words.
    pub description: String,
}

impl Plan {
    /// Checks the arguments and gets the messages.
    pub fn new(args: &BenchArgs) -> Result<Plan, ToolError> {
        if args.synchronising && args.pipeline > 1 {
            let text = "--pipeline sends without waiting, --synchronising waits: choose one";
            return Err(ToolError::Usage(text.into()));
        }
        let literals = match args.synchronising {
            true => Literals::Synchronising,
            false => Literals::NonSynchronising,
        };
        let (mail, what) = mail(args)?;
        let pool: Vec<_> = mail.into_iter().map(|mail| Prepared::new(mail, literals)).collect();
        let mut octets_before = vec![0];
        for message in &pool {
            let before = octets_before[octets_before.len() - 1];
            octets_before.push(before + message.mail.octets.len() as u64);
        }
        let batch = if args.single { 1 } else { args.batch as usize };
        let connections = usize::from(args.connections);
        let description = describe(args, batch, &what);
        Ok(Plan {
            pool,
            octets_before,
            batch,
            pipeline: args.pipeline as usize,
            duration: Duration::from_secs(u64::from(args.seconds)),
            limit: args.limit,
            connections,
            literals,
            description,
        })
    }

    /// Where in the pool a connection begins, so that not all send the same at the same time.
    pub fn first_message(&self, connection: usize) -> usize {
        self.pool.len() * connection / self.connections
    }

    /// Message `index` of the pool repeated without end.
    pub fn message(&self, index: usize) -> &Prepared {
        &self.pool[index % self.pool.len()]
    }

    /// The batch that begins with message `first`.
    pub fn batch(&self, first: usize) -> impl Iterator<Item = &Prepared> + Clone {
        let start = first % self.pool.len();
        self.pool[start..].iter().chain(self.pool.iter().cycle()).take(self.batch)
    }

    /// The octets of its messages.
    pub fn octets_of_batch(&self, first: usize) -> u64 {
        let (length, all) = (self.pool.len(), self.octets_before[self.pool.len()]);
        let up_to =
            |index: usize| (index / length) as u64 * all + self.octets_before[index % length];
        up_to(first + self.batch) - up_to(first)
    }
}

fn mail(args: &BenchArgs) -> Result<(Vec<Mail>, String), ToolError> {
    if let Some(path) = &args.mbox {
        let mail = up_to(args.pool, Source::open(path)?)?;
        if mail.is_empty() {
            return Err(ToolError::Usage(format!("{}: no mail in it", path.display())));
        }
        let mean = mail.iter().map(|m| m.octets.len()).sum::<usize>() / mail.len();
        let what = format!("{} different messages, mean {}", mail.len(), show_size(mean as u64));
        return Ok((mail, what));
    }
    let mut generator = Generator::regular(args.seed);
    if args.generated {
        let mail = up_to(args.pool, generator.take(MADE_UP).map(Ok::<_, ToolError>))?;
        return Ok((mail, "messages with the sizes of an archive".into()));
    }
    let count = (args.pool / args.size).clamp(1, MADE_UP as u64);
    let size = usize::try_from(args.size).unwrap_or(usize::MAX);
    let mail = (0..count).map(|index| generator.message_of(index, size)).collect();
    Ok((mail, format!("messages of {}", show_size(args.size))))
}

/// Messages of `pool` octets together, or all there are; one at least.
fn up_to<E: Into<ToolError>>(
    pool: u64,
    source: impl Iterator<Item = Result<Mail, E>>,
) -> Result<Vec<Mail>, ToolError> {
    let (mut mail, mut octets) = (Vec::new(), 0);
    for message in source {
        let message = message.map_err(Into::into)?;
        octets += message.octets.len() as u64;
        mail.push(message);
        if octets >= pool {
            break;
        }
    }
    Ok(mail)
}

fn describe(args: &BenchArgs, batch: usize, what: &str) -> String {
    let commands = match (batch, args.pipeline) {
        (1, 1) => "single APPENDs".to_owned(),
        (1, depth) => format!("single APPENDs, {depth} under way"),
        (batch, 1) => format!("batches of {batch}"),
        (batch, depth) => format!("batches of {batch}, {depth} under way"),
    };
    let literals = if args.synchronising { "synchronising literals" } else { "LITERAL+" };
    let connections = args.connections;
    let plural = if connections == 1 { "" } else { "s" };
    format!("{connections} connection{plural}, {commands}, {what}, {literals}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Bench {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn plan(arguments: &[&str]) -> Result<Plan, ToolError> {
        Plan::new(&Bench::parse_from([&["bench"], arguments].concat()).args)
    }

    #[test]
    fn batches_go_round_the_pool() {
        let plan = plan(&["--size", "10", "--pool", "50", "--batch", "12"]).unwrap();
        let octets = |first| plan.batch(first).map(|m| m.mail.octets.len() as u64).sum::<u64>();
        for first in [0, 3, 5, 12, 49] {
            let batch: Vec<_> = plan.batch(first).map(|m| &m.mail).collect();
            let same: Vec<_> = (first..first + 12).map(|i| &plan.message(i).mail).collect();
            assert_eq!(batch, same);
            assert_eq!(plan.octets_of_batch(first), octets(first));
        }
    }

    #[test]
    fn contradictions_are_told() {
        assert!(matches!(plan(&["--synchronising", "--pipeline", "2"]), Err(ToolError::Usage(_))));
        assert!(matches!(plan(&["--mbox", "/nowhere"]), Err(ToolError::Source(_))));
    }
}
