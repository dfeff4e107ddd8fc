//! A connection that sends in slices, sometimes slowly, and reads response by response.

use std::io::ErrorKind;
use std::time::Duration;

use super::wire::reply::end_of;
use super::wire::{Checked, Dial, Stop, Wire};
use crate::Random;

/// See the [module](self).
pub struct Connection<'a, D: Dial> {
    dial: &'a D,
    wire: D::Wire,
    random: Random,
    /// What was received. It is used up to `at`.
    buffer: Vec<u8>,
    at: usize,
    /// How it behaves.
    pace: Pace,
}

/// The pace of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Sends all at once, reads what comes.
    Brisk,
    /// Sends in random slices.
    Sliced,
    /// Sends in random slices, with pauses between them and before it reads.
    Slow,
}

impl<'a, D: Dial> Connection<'a, D> {
    /// Connects.
    pub async fn open(dial: &'a D, mut random: Random) -> Checked<Connection<'a, D>> {
        let wire = dial.dial().await?;
        let pace = match random.below(8) {
            0..=4 => Pace::Brisk,
            5 | 6 => Pace::Sliced,
            _ => Pace::Slow,
        };
        Ok(Connection { dial, wire, random, buffer: Vec::new(), at: 0, pace })
    }

    /// Sends all.
    pub async fn send(&mut self, mut octets: &[u8]) -> Checked {
        if self.pace == Pace::Brisk {
            return Ok(self.wire.send(octets).await?);
        }
        while !octets.is_empty() {
            let most = if self.random.one_in(3) { 24 } else { 12_000 };
            let slice = self.random.within(1, octets.len().min(most));
            if self.pace == Pace::Slow && self.random.one_in(8) {
                self.pause().await;
            }
            self.wire.send(&octets[..slice]).await?;
            octets = &octets[slice..];
        }
        Ok(())
    }

    async fn pause(&mut self) {
        let longest = self.random.pick(&[1, 5, 50, 400]);
        self.wait(self.random.clone().below(longest)).await;
        self.random.number();
    }

    /// Waits this many milliseconds.
    pub async fn wait(&self, milliseconds: usize) {
        self.dial.pause(Duration::from_millis(milliseconds as u64)).await;
    }

    /// The next response, with its line end.
    pub async fn response(&mut self) -> Checked<Vec<u8>> {
        loop {
            if let Some(length) = end_of(&self.buffer[self.at..])
                && self.at + length <= self.buffer.len()
            {
                let from = self.at;
                self.at += length;
                let whole = from == 0 && self.at == self.buffer.len();
                let response = match whole {
                    true => std::mem::take(&mut self.buffer),
                    false => self.buffer[from..self.at].to_vec(),
                };
                if self.at >= self.buffer.len() {
                    self.buffer.clear();
                    self.at = 0;
                }
                return Ok(response);
            }
            if self.pace == Pace::Slow && self.random.one_in(4) {
                self.pause().await;
            }
            let octets = self.wire.recv().await?;
            if octets.is_empty() {
                return Err(Stop::Gone(ErrorKind::UnexpectedEof));
            }
            if self.at > 0 {
                self.buffer.drain(..self.at);
                self.at = 0;
            }
            match self.buffer.is_empty() {
                true => self.buffer = octets,
                false => self.buffer.extend_from_slice(&octets),
            }
        }
    }

    /// Ends the sending side.
    pub fn close(&mut self) {
        self.wire.close();
    }

    /// Ends the connection at once.
    pub fn reset(&mut self) {
        self.wire.reset();
    }
}
