//! Commands of one user that cost much for what they say: memory stays within a stated sum, and
//! others are served.

use crate::gauge::MIB;
use crate::healthy;
use crate::probe::{server, toll};
use crate::support::{Folder, Message};

#[test]
fn a_part_named_many_times() {
    let folder = Folder::new();
    let server = server(&folder, &[]);
    let mut client = server.login();
    let body =
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5\r\n".repeat(13_000);
    let octets = format!("Content-Transfer-Encoding: base64\r\n\r\n{body}");
    client.append("INBOX", &[Message { options: "", octets: octets.as_bytes() }]);
    client.ok("SELECT INBOX");
    let items: Vec<_> = (1..=1000).map(|n| format!("BINARY.PEEK[1]<0.{n}>")).collect();
    let toll = toll(&server, || {
        client.ok(&format!("FETCH 1 ({})", items.join(" ")));
    });
    toll.check("a part of 1 MB named 1,000 times", 16 * MIB);
    healthy(&server, &folder);
}
