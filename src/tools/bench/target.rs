//! The server under load: a running one, or one started in this process.

use std::net::SocketAddr;
use std::time::Duration;

use super::load::Load;
use super::plan::Plan;
use crate::tools::lane::Lane;
use crate::tools::local::{LocalOptions, LocalServer, PASSWORD};
use crate::tools::{BenchOptions, ToolError, cpu};
use client::{Literals, Trust};

/// How to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Clear text.
    Clear,
    /// With implicit TLS.
    Tls,
}

/// The server of one round.
pub(super) enum Target<'a> {
    /// A running server.
    External {
        /// Its address.
        address: SocketAddr,
        /// The CA to trust, with TLS.
        trust: Option<Trust>,
        /// User, password and process.
        options: &'a BenchOptions,
    },
    /// A server in this process.
    Local(Box<LocalServer>),
}

/// Counters before a round.
pub(super) struct Before {
    cpu: Option<Duration>,
    fdatasyncs: Option<u64>,
}

/// The server's cost of a round.
pub(super) struct Cost {
    /// CPU time, if known.
    pub cpu: Option<Duration>,
    /// Number of fdatasync calls, if known.
    pub fdatasyncs: Option<u64>,
}

impl Target<'_> {
    /// Connects to the server that the options name, or starts one with a user per connection.
    pub(super) fn open(options: &BenchOptions, way: Way) -> Result<Target<'_>, ToolError> {
        if let Some(address) = options.connect {
            let trust = (way == Way::Tls).then(|| trust(options)).transpose()?;
            return Ok(Target::External { address, trust, options });
        }
        let users = (0..usize::from(options.connections)).map(local_user).collect();
        let (temp, reactors) = (options.temp.as_deref(), options.reactors);
        let options =
            LocalOptions { temp, reactors, segment_size: None, users, tls: way == Way::Tls };
        LocalServer::start(&options).map(|server| Target::Local(Box::new(server)))
    }

    /// Opens the connections of the plan, each with a mailbox of its own. No earlier run has used
    /// the names of these mailboxes.
    pub(super) fn lanes(&self, plan: &Plan, round: u32) -> Result<Vec<Lane>, ToolError> {
        let run = std::process::id();
        let lane = |number: usize| {
            let mailbox = format!("mailrace-bench-{run}-{round}-{number}");
            let lane = match self {
                Target::External { address, trust, options } => {
                    let user = options.user.replace("%n", &number.to_string());
                    Lane::open(*address, trust.as_ref(), &user, &options.password, mailbox)?
                }
                Target::Local(server) => {
                    let (address, trust) = match server.by_tls() {
                        Some((address, trust)) => (address, Some(trust)),
                        None => (server.address(), None),
                    };
                    Lane::open(address, trust, &local_user(number), PASSWORD, mailbox)?
                }
            };
            check_extensions(&lane, plan)?;
            Ok(lane)
        };
        (0..plan.connections).map(lane).collect()
    }

    /// Reads the counters.
    pub(super) fn before(&self) -> Result<Before, ToolError> {
        Ok(match self {
            Target::External { options, .. } => {
                Before { cpu: options.server_pid.map(cpu::of_tree).transpose()?, fdatasyncs: None }
            }
            Target::Local(server) => Before { cpu: None, fdatasyncs: Some(server.fdatasyncs()) },
        })
    }

    /// Reads the counters again. The cost of a server in this process is all CPU time but that of
    /// the clients: reactors, helper threads and the kernel's workers.
    pub(super) fn cost(&self, before: &Before, load: &Load) -> Result<Cost, ToolError> {
        let now = self.before()?;
        let cpu = match self {
            Target::External { .. } => now.cpu.zip(before.cpu).map(|(n, b)| n.saturating_sub(b)),
            Target::Local(_) => Some(load.other_cpu),
        };
        let fdatasyncs = now.fdatasyncs.zip(before.fdatasyncs).map(|(n, b)| n - b);
        Ok(Cost { cpu, fdatasyncs })
    }

    /// Deletes the mailboxes of a running server, or stops the one in this process.
    pub(super) fn close(self, lanes: Vec<Lane>) -> Result<(), ToolError> {
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

fn trust(options: &BenchOptions) -> Result<Trust, ToolError> {
    let text = "--tls with --connect needs --tls-ca, the CA of the server's certificate";
    let path = options.tls_ca.as_ref().ok_or_else(|| ToolError::Usage(text.into()))?;
    Ok(Trust::read(path, &options.tls_name)?)
}

fn local_user(number: usize) -> String {
    format!("bench{number}")
}

/// Checks that the server has the extensions that the plan needs.
fn check_extensions(lane: &Lane, plan: &Plan) -> Result<(), ToolError> {
    if plan.batch > 1 && !lane.client.has("MULTIAPPEND") {
        return Err(ToolError::Usage(
            "the server does not support MULTIAPPEND: use --single".into(),
        ));
    }
    if plan.literals == Literals::NonSynchronising && !lane.client.has("LITERAL+") {
        return Err(ToolError::Usage(
            "the server does not support LITERAL+: use --synchronising".into(),
        ));
    }
    Ok(())
}
