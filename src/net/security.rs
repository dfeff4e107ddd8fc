//! The security properties of a connection.

/// How far a connection can be trusted. Clear text is [`Security::default`].
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Whether it is encrypted (TLS).
    pub private: bool,
    /// The TLS version, as in `TLSv1_3`.
    pub version: Option<&'static str>,
    /// The `tls-exporter` channel binding for SCRAM (RFC 9266 section 2): 32 octets known only to
    /// the two ends of this TLS 1.3 connection.
    pub exporter: Option<[u8; 32]>,
    /// Names in the client's certificate, for EXTERNAL, in order of preference. Empty if the client
    /// has shown no certificate, or it was not verified.
    pub certificate_names: Vec<Box<str>>,
}
