//! What a round sends: the checked options and the messages.

use std::time::Duration;

use crate::tools::{BenchOptions, Generator, ToolError, show_size};
use client::{Literals, Mail, Prepared, Source};

/// Largest number of generated messages: more would only take time to generate.
const MADE_UP: usize = 50_000;

/// A round of load.
pub(super) struct Plan {
    pool: Vec<Prepared>,
    /// Bytes of the pool before each message, and of the whole.
    octets_before: Vec<u64>,
    /// Messages per APPEND.
    pub batch: usize,
    /// APPENDs in flight per connection.
    pub pipeline: usize,
    /// How long new batches are sent.
    pub duration: Duration,
    /// Largest number of bytes to send.
    pub limit: u64,
    /// Number of connections.
    pub connections: usize,
    /// Kind of literals.
    pub literals: Literals,
    /// Description of the load for the report.
    pub description: String,
}

impl Plan {
    /// Checks the options and gets the messages.
    pub(super) fn new(options: &BenchOptions) -> Result<Plan, ToolError> {
        if options.synchronising && options.pipeline > 1 {
            let text =
                "--pipeline sends without waiting, but --synchronising waits: use one of them";
            return Err(ToolError::Usage(text.into()));
        }
        let literals = match options.synchronising {
            true => Literals::Synchronising,
            false => Literals::NonSynchronising,
        };
        let (mail, what) = mail(options)?;
        let pool: Vec<_> = mail.into_iter().map(|mail| Prepared::new(mail, literals)).collect();
        let mut octets_before = vec![0];
        for message in &pool {
            let before = octets_before[octets_before.len() - 1];
            octets_before.push(before + message.mail.octets.len() as u64);
        }
        let batch = options.batch as usize;
        let connections = usize::from(options.connections);
        let description = describe(options, batch, &what);
        Ok(Plan {
            pool,
            octets_before,
            batch,
            pipeline: options.pipeline as usize,
            duration: Duration::from_secs(u64::from(options.seconds)),
            limit: options.limit,
            connections,
            literals,
            description,
        })
    }

    /// Index of a connection's first message, so that not all send the same one at the same time.
    pub(super) fn first_message(&self, connection: usize) -> usize {
        self.pool.len() * connection / self.connections
    }

    /// Message `index` of the endlessly repeated pool.
    pub(super) fn message(&self, index: usize) -> &Prepared {
        &self.pool[index % self.pool.len()]
    }

    /// The batch that begins with message `first`.
    pub(super) fn batch(&self, first: usize) -> impl Iterator<Item = &Prepared> + Clone {
        let start = first % self.pool.len();
        self.pool[start..].iter().chain(self.pool.iter().cycle()).take(self.batch)
    }

    /// Bytes of the messages of that batch.
    pub(super) fn octets_of_batch(&self, first: usize) -> u64 {
        let (length, all) = (self.pool.len(), self.octets_before[self.pool.len()]);
        let up_to =
            |index: usize| (index / length) as u64 * all + self.octets_before[index % length];
        up_to(first + self.batch) - up_to(first)
    }
}

fn mail(options: &BenchOptions) -> Result<(Vec<Mail>, String), ToolError> {
    if let Some(path) = &options.mbox {
        let mail = up_to(options.pool, Source::open(path)?)?;
        if mail.is_empty() {
            return Err(ToolError::Usage(format!("{}: contains no mail", path.display())));
        }
        let mean = mail.iter().map(|m| m.octets.len()).sum::<usize>() / mail.len();
        let what = format!("{} different messages, mean {}", mail.len(), show_size(mean as u64));
        return Ok((mail, what));
    }
    let mut generator = Generator::regular(options.seed);
    if options.generated {
        let mail = up_to(options.pool, generator.take(MADE_UP).map(Ok::<_, ToolError>))?;
        return Ok((mail, "messages with the sizes of an archive".into()));
    }
    let count = (options.pool / options.size).clamp(1, MADE_UP as u64);
    let size = usize::try_from(options.size).unwrap_or(usize::MAX);
    let mail = (0..count).map(|index| generator.message_of(index, size)).collect();
    Ok((mail, format!("messages of {}", show_size(options.size))))
}

/// Messages until their sizes add up to `pool` bytes, or all if there are fewer.
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

fn describe(options: &BenchOptions, batch: usize, what: &str) -> String {
    let commands = match (batch, options.pipeline) {
        (1, 1) => "single APPENDs".to_owned(),
        (1, depth) => format!("single APPENDs, {depth} in flight"),
        (batch, 1) => format!("batches of {batch}"),
        (batch, depth) => format!("batches of {batch}, {depth} in flight"),
    };
    let literals = if options.synchronising { "synchronising literals" } else { "LITERAL+" };
    let connections = options.connections;
    let plural = if connections == 1 { "" } else { "s" };
    format!("{connections} connection{plural}, {commands}, {what}, {literals}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_go_round_the_pool() {
        let options = BenchOptions { size: 10, pool: 50, batch: 12, ..BenchOptions::default() };
        let plan = Plan::new(&options).unwrap();
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
        let standard = BenchOptions::default;
        let both = BenchOptions { synchronising: true, pipeline: 2, ..standard() };
        assert!(matches!(Plan::new(&both), Err(ToolError::Usage(_))));
        let nowhere = BenchOptions { mbox: Some("/nowhere".into()), ..standard() };
        assert!(matches!(Plan::new(&nowhere), Err(ToolError::Source(_))));
    }
}
