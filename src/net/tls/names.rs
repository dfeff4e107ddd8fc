//! Names in a client's certificate.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The mail addresses in the subject alternative names (RFC 5280 section 4.2.1.6), or else the
/// common names of the subject. Empty if the certificate cannot be parsed: rustls has accepted its
/// chain, but it need not name a person.
pub(super) fn names(certificate: &[u8]) -> Vec<Box<str>> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let addresses: Vec<Box<str>> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::RFC822Name(address) => Some((*address).into()),
            _ => None,
        })
        .collect();
    if !addresses.is_empty() {
        return addresses;
    }
    let common = certificate.subject().iter_common_name();
    common.filter_map(|name| name.as_str().ok().map(Into::into)).collect()
}
