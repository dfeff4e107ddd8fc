//! What a transport says of its own safety.

/// How far a connection can be trusted. A connection in clear text is [`Security::default`].
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Nobody but the client reads along: TLS.
    pub private: bool,
    /// The version of TLS, as `TLSv1_3`.
    pub version: Option<&'static str>,
    /// What `tls-exporter` binds SCRAM to (RFC 9266 section 2): 32 octets that both ends of this
    /// TLS 1.3 connection know, and those of no other.
    pub exporter: Option<[u8; 32]>,
    /// Names that the client's certificate proves, for EXTERNAL, in the order of preference; none
    /// when it has not shown one, or it was not verified.
    pub certificate_names: Vec<Box<str>>,
}
