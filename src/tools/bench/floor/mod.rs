//! The floor: what the machine can do without IMAP. The same threads send the same octets over
//! loopback TCP to a plain receiver that keeps the same promise: it acknowledges a batch when it is
//! durable.
//!
//! On the wire a batch is its length (eight octets, little-endian), then its octets; the answer is
//! one octet. There is no parsing, checksum or index. Each reactor overwrites one file in a circle,
//! so that its blocks are always allocated and written. A real server cannot be much faster on this
//! machine.

mod receiver;
mod sync;

use std::io::{IoSlice, Read};
use std::net::{SocketAddr, TcpStream};

use super::load::{self, Load, Uplink};
use super::plan::Plan;
use super::report::Round;
use super::target::Cost;
use crate::tools::local::temp_dir;
use crate::tools::{BenchOptions, ToolError};
use client::{Prepared, SLICES, write_slices};

use self::receiver::Receivers;

/// One round of the same load without IMAP.
pub(super) fn round(options: &BenchOptions, plan: &Plan) -> Result<Round, ToolError> {
    let folder = temp_dir(options.temp.as_deref())?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let receivers = Receivers::start(folder.path(), options.reactors.unwrap_or(cores))?;
    let mut links = Vec::new();
    for number in 0..plan.connections {
        links.push(Bare::connect(receivers.address(number))?);
    }
    let before = receivers.fdatasyncs();
    let load: Load = load::run(&mut links, plan)?;
    let fdatasyncs = receivers.fdatasyncs() - before;
    drop(links);
    receivers.stop()?;
    let cost = Cost { cpu: Some(load.other_cpu), fdatasyncs: Some(fdatasyncs) };
    Ok(Round::new(&load, &cost, None))
}

/// A connection without a protocol.
struct Bare(TcpStream);

impl Bare {
    fn connect(address: SocketAddr) -> Result<Bare, ToolError> {
        let connected = TcpStream::connect(address).and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(Bare(stream))
        });
        connected.map_err(failed)
    }
}

impl Uplink for Bare {
    type Ticket = ();

    fn send<'a>(
        &mut self,
        batch: impl Iterator<Item = &'a Prepared> + Clone,
    ) -> Result<(), ToolError> {
        let length: usize =
            batch.clone().map(|message| message.before.len() + message.mail.octets.len()).sum();
        let length = (length as u64).to_le_bytes();
        let mut slices = vec![IoSlice::new(&length)];
        for message in batch {
            if slices.len() + 2 > SLICES {
                write_slices(&mut self.0, &mut slices).map_err(failed)?;
            }
            slices.push(IoSlice::new(&message.before));
            slices.push(IoSlice::new(&message.mail.octets));
        }
        write_slices(&mut self.0, &mut slices).map_err(failed)
    }

    fn finish(&mut self, (): (), _: u64) -> Result<(), ToolError> {
        self.0.read_exact(&mut [0]).map_err(failed)
    }
}

fn failed(error: std::io::Error) -> ToolError {
    ToolError::Io { doing: "cannot measure without IMAP".into(), error }
}
