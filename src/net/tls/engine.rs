//! TLS for one connection, without I/O: octets in, octets out.

use std::fmt;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{Error, SupportedCipherSuite};

use super::exporter::Secret;
use super::{Acceptor, names};
use crate::net::Security;

/// Most plain text in a record, in octets.
const PLAIN: usize = 16 << 10;

/// Most octets of a record besides its plain text: header, nonce, content type, tag.
const OVERHEAD: usize = 64;

/// Length of a record's header in octets.
const HEADER: usize = 5;

/// The server's end of a TLS connection.
pub(in crate::net) struct Engine {
    session: UnbufferedServerConnection,
    secret: Arc<Secret>,
    /// Received records not decrypted yet, from `taken` on.
    incoming: Vec<u8>,
    taken: usize,
    /// Decrypted octets not read yet, from `given` on.
    plain: Vec<u8>,
    given: usize,
    /// Records that must leave before any other: handshake and alerts.
    outgoing: Vec<u8>,
    /// Whether the client has announced that it sends nothing more.
    ended: bool,
    /// The fatal error, if any. rustls must not be used after it.
    failed: Option<Error>,
}

/// What to do with the session.
enum Job<'a> {
    Read { into: &'a mut [u8], got: &'a mut usize },
    Write { octets: &'a [u8], out: &'a mut Vec<u8> },
    Close { out: &'a mut Vec<u8> },
}

/// The result of a turn.
#[derive(PartialEq, Eq)]
enum Turn {
    /// There may be more to do.
    On,
    /// Everything received is processed.
    Idle,
    /// Everything to write is written.
    Written,
}

impl Turn {
    fn is_written(&self) -> Result<bool, Error> {
        match self {
            Turn::On => Ok(false),
            Turn::Written => Ok(true),
            Turn::Idle => Err(Error::HandshakeNotComplete),
        }
    }
}

impl Engine {
    /// An engine for a new connection.
    pub(crate) fn new(acceptor: &Acceptor) -> Result<Engine, Error> {
        let secret = Secret::new();
        let mut config = (*acceptor.config()).clone();
        config.key_log = secret.clone();
        Ok(Engine {
            session: UnbufferedServerConnection::new(Arc::new(config))?,
            secret,
            incoming: Vec::new(),
            taken: 0,
            plain: Vec::new(),
            given: 0,
            outgoing: Vec::new(),
            ended: false,
            failed: None,
        })
    }

    /// Whether the handshake is in progress.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether the client has announced that it sends nothing more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether something can be read without receiving more.
    pub(crate) fn is_readable(&self) -> bool {
        let records = &self.incoming[self.taken..];
        let whole = records.get(3..HEADER).is_some_and(|length| {
            records.len() - HEADER >= usize::from(u16::from_be_bytes([length[0], length[1]]))
        });
        self.ended || self.given < self.plain.len() || whole
    }

    /// The start of an incomplete record. The next octets received belong after it.
    pub(crate) fn partial(&self) -> &[u8] {
        &self.incoming[self.taken..]
    }

    /// Takes the next octets, which begin with [`Engine::partial`]. Returns the previous buffer for
    /// reuse.
    pub(crate) fn received(&mut self, octets: Vec<u8>) -> Vec<u8> {
        self.taken = 0;
        std::mem::replace(&mut self.incoming, octets)
    }

    /// Releases memory that is not needed while waiting.
    pub(crate) fn shrink(&mut self) -> Vec<u8> {
        let partial = self.partial().to_vec();
        if self.given == self.plain.len() {
            (self.plain, self.given) = (Vec::new(), 0);
        }
        self.received(partial)
    }

    /// Whether records must leave before any other.
    pub(crate) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Takes the records that must leave before any other.
    pub(crate) fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Decrypts what has arrived, as far as there is room; continues the handshake.
    ///
    /// # Errors
    /// If the octets are not TLS or not authentic. An alert may be left to send.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let waiting = &self.plain[self.given..];
        let mut got = waiting.len().min(into.len());
        into[..got].copy_from_slice(&waiting[..got]);
        self.given += got;
        if self.given == self.plain.len() {
            self.plain.clear();
            self.given = 0;
        }
        // The last records of a handshake are written after it is complete.
        while got < into.len() || self.is_handshaking() || self.session.wants_write() {
            if self.turn(Job::Read { into, got: &mut got })? == Turn::Idle {
                break;
            }
        }
        Ok(got)
    }

    /// Appends encrypted `octets` to `out`, after the records that must leave first.
    ///
    /// # Errors
    /// As for [`Engine::read`], because received records are processed first; or if the keys are
    /// used up.
    pub(crate) fn write(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while !self.turn(Job::Write { octets, out: &mut *out })?.is_written()? {}
        Ok(())
    }

    /// Appends a close_notify alert (RFC 8446 section 6.1).
    ///
    /// # Errors
    /// As for [`Engine::write`].
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        while !self.turn(Job::Close { out: &mut *out })?.is_written()? {}
        Ok(())
    }

    /// Processes one state of the session.
    fn turn(&mut self, mut job: Job<'_>) -> Result<Turn, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let records = &mut self.incoming[self.taken..];
        let UnbufferedStatus { mut discard, state } = self.session.process_tls_records(records);
        let turn = match state {
            Err(error) => Err(error),
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    let now = match &mut job {
                        Job::Read { into, got } => {
                            let now = record.payload.len().min(into.len() - **got);
                            into[**got..**got + now].copy_from_slice(&record.payload[..now]);
                            **got += now;
                            now
                        }
                        _ => 0,
                    };
                    self.plain.extend_from_slice(&record.payload[now..]);
                }
                Ok(Turn::On)
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut self.outgoing, |out| data.encode(out));
                Ok(Turn::On)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // They are in `outgoing`, which leaves first.
                data.done();
                Ok(Turn::On)
            }
            Ok(ConnectionState::PeerClosed) => {
                self.ended = true;
                Ok(Turn::On)
            }
            Ok(ConnectionState::WriteTraffic(mut traffic)) => match job {
                Job::Read { .. } => Ok(Turn::Idle),
                Job::Write { octets, out } => {
                    out.append(&mut self.outgoing);
                    let room = octets.len() + octets.len().div_ceil(PLAIN).max(1) * OVERHEAD;
                    encrypt(out, room, |out| traffic.encrypt(octets, out)).map(|()| Turn::Written)
                }
                Job::Close { out } => {
                    out.append(&mut self.outgoing);
                    encrypt(out, OVERHEAD, |out| traffic.queue_close_notify(out))
                        .map(|()| Turn::Written)
                }
            },
            Ok(ConnectionState::ReadEarlyData(_)) => {
                Err(Error::General("early data, which was not allowed".into()))
            }
            // `Closed`, `BlockedHandshake`, and states of later rustls versions: only the client
            // can make progress.
            Ok(_) => Ok(Turn::Idle),
        };
        self.taken += discard;
        if self.taken == self.incoming.len() {
            self.incoming.clear();
            self.taken = 0;
        }
        turn.inspect_err(|error| {
            self.failed = Some(error.clone());
            self.gather_alert();
        })
    }

    /// Gathers the alert for an error.
    fn gather_alert(&mut self) {
        while self.session.wants_write() {
            // The alert comes before anything that might be read.
            let state = self.session.process_tls_records(&mut []).state;
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { return };
            encode(&mut self.outgoing, |out| data.encode(out));
        }
    }

    /// Protocol version and cipher suite, after the handshake.
    pub(crate) fn description(&self) -> String {
        let version = self.session.protocol_version().and_then(|version| version.as_str());
        let suite = self.session.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str());
        [version, suite].map(|word| word.unwrap_or("?")).join(" ")
    }

    /// The security properties, after the handshake.
    pub(crate) fn security(&self) -> Security {
        let suite = self.session.negotiated_cipher_suite();
        let hash = match suite {
            Some(SupportedCipherSuite::Tls13(suite)) => {
                Some(suite.common.hash_provider.algorithm())
            }
            _ => None,
        };
        let certificate = self.session.peer_certificates().and_then(|chain| chain.first());
        Security {
            private: true,
            version: self.session.protocol_version().and_then(|version| version.as_str()),
            exporter: hash.and_then(|hash| self.secret.binding(hash)),
            certificate_names: certificate.map_or_else(Vec::new, |shown| names::names(shown)),
        }
    }
}

/// Appends what `encode` writes; `encode` reports how much room it needs.
fn encode(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let old = out.len();
    if let Err(EncodeError::InsufficientSize(need)) = encode(&mut []) {
        out.resize(old + need.required_size, 0);
        let written = encode(&mut out[old..]).unwrap_or(0);
        out.truncate(old + written);
    }
}

/// Appends encrypted octets; their length has a known bound.
fn encrypt(
    out: &mut Vec<u8>,
    room: usize,
    mut encrypt: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Error> {
    let old = out.len();
    out.resize(old + room, 0);
    let written = match encrypt(&mut out[old..]) {
        Err(EncryptError::InsufficientSize(need)) => {
            out.resize(old + need.required_size, 0);
            encrypt(&mut out[old..])
        }
        done => done,
    };
    let written = written.map_err(|_| Error::EncryptError)?;
    out.truncate(old + written);
    Ok(())
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("handshaking", &self.is_handshaking())
            .finish_non_exhaustive()
    }
}

const _: () = assert!(crate::limits::TLS_RECORD < crate::net::BUFFER);
