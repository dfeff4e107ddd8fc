//! The server under load: somebody's, or one of our own.

use std::net::SocketAddr;
use std::time::Duration;

use super::load::Load;
use super::plan::Plan;
use crate::tools::lane::Lane;
use crate::tools::local::{LocalOptions, LocalServer, PASSWORD};
use crate::tools::{BenchArgs, ToolError, cpu};
use client::{Literals, Trust};

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In clear text.
    Clear,
    /// By TLS from the first octet on.
    Tls,
}

/// The server of one round.
pub enum Target<'a> {
    /// It runs by itself.
    External {
        /// Where it listens.
        address: SocketAddr,
        /// By TLS: whom to trust.
        trust: Option<Trust>,
        /// The arguments: user, password, process.
        args: &'a BenchArgs,
    },
    /// It runs in this process.
    Local(Box<LocalServer>),
}

/// Counters before a round, to be compared with those after it.
pub struct Before {
    cpu: Option<Duration>,
    fdatasyncs: Option<u64>,
}

/// What a round has cost the server.
pub struct Cost {
    /// Processor time, if it can be known.
    pub cpu: Option<Duration>,
    /// Calls of fdatasync, if they can be known.
    pub fdatasyncs: Option<u64>,
}

impl Target<'_> {
    /// The server that the arguments name; our own is started, with a user for each connection.
    pub fn open(args: &BenchArgs, way: Way) -> Result<Target<'_>, ToolError> {
        if let Some(address) = args.connect {
            let trust = (way == Way::Tls).then(|| trust(args)).transpose()?;
            return Ok(Target::External { address, trust, args });
        }
        let users = (0..usize::from(args.connections)).map(local_user).collect();
        let (temp, reactors) = (args.temp.as_deref(), args.reactors);
        let options =
            LocalOptions { temp, reactors, segment_size: None, users, tls: way == Way::Tls };
        LocalServer::start(&options).map(|server| Target::Local(Box::new(server)))
    }

    /// A connection with its own mailbox for each lane of the plan. The name of the mailbox is one
    /// that no earlier run has used.
    pub fn lanes(&self, plan: &Plan, round: u32) -> Result<Vec<Lane>, ToolError> {
        let run = std::process::id();
        let lane = |number: usize| {
            let mailbox = format!("mailrace-bench-{run}-{round}-{number}");
            let lane = match self {
                Target::External { address, trust, args } => {
                    let user = args.user.replace("%n", &number.to_string());
                    Lane::open(*address, trust.as_ref(), &user, &args.password, mailbox)?
                }
                Target::Local(server) => {
                    let (address, trust) = match server.by_tls() {
                        Some((address, trust)) => (address, Some(trust)),
                        None => (server.address(), None),
                    };
                    Lane::open(address, trust, &local_user(number), PASSWORD, mailbox)?
                }
            };
            able(&lane, plan)?;
            Ok(lane)
        };
        (0..plan.connections).map(lane).collect()
    }

    /// Reads the counters.
    pub fn before(&self) -> Result<Before, ToolError> {
        Ok(match self {
            Target::External { args, .. } => {
                Before { cpu: args.server_pid.map(cpu::of_tree).transpose()?, fdatasyncs: None }
            }
            Target::Local(server) => Before { cpu: None, fdatasyncs: Some(server.fdatasyncs()) },
        })
    }

    /// Reads them again. What an own server has cost is all that this process has used besides
    /// the clients: its reactors, its helpers, and the kernel's workers for it.
    pub fn cost(&self, before: &Before, load: &Load) -> Result<Cost, ToolError> {
        let now = self.before()?;
        let cpu = match self {
            Target::External { .. } => now.cpu.zip(before.cpu).map(|(n, b)| n.saturating_sub(b)),
            Target::Local(_) => Some(load.other_cpu),
        };
        let fdatasyncs = now.fdatasyncs.zip(before.fdatasyncs).map(|(n, b)| n - b);
        Ok(Cost { cpu, fdatasyncs })
    }

    /// Leaves nothing behind.
    pub fn close(self, lanes: Vec<Lane>) -> Result<(), ToolError> {
        for mut lane in lanes {
            if matches!(self, Target::External { .. }) {
                lane.client.command("UNSELECT").or_else(|_| lane.client.command("CLOSE"))?;
                lane.client.delete(&lane.mailbox)?;
            }
            lane.client.logout()?;
        }
        match self {
            Target::External { .. } => Ok(()),
            Target::Local(server) => server.stop(),
        }
    }
}

fn trust(args: &BenchArgs) -> Result<Trust, ToolError> {
    let text = "--tls with --connect wants --tls-ca, the authority of the server's certificate";
    let path = args.tls_ca.as_ref().ok_or_else(|| ToolError::Usage(text.into()))?;
    Ok(Trust::read(path, &args.tls_name)?)
}

fn local_user(number: usize) -> String {
    format!("bench{number}")
}

/// Whether the server can do what the plan needs of it.
fn able(lane: &Lane, plan: &Plan) -> Result<(), ToolError> {
    if plan.batch > 1 && !lane.client.has("MULTIAPPEND") {
        return Err(ToolError::Usage("this server has no MULTIAPPEND: use --single".into()));
    }
    if plan.literals == Literals::NonSynchronising && !lane.client.has("LITERAL+") {
        return Err(ToolError::Usage("this server has no LITERAL+: use --synchronising".into()));
    }
    Ok(())
}
