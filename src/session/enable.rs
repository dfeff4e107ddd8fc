//! ENABLE (RFC 5161) and UNAUTHENTICATE (RFC 8437).

use super::deadline::Deadline;
use super::enabled::Enabled;
use super::session::Session;
use imap::protocol::Tag;
use imap::protocol::response::{self, Code, Condition};

impl Session {
    /// ```abnf
    /// enable-data = "ENABLED" *(SP capability)
    /// ```
    /// ENABLED lists only extensions enabled by this command. Unknown names are ignored.
    pub(super) fn enable(&mut self, tag: &Tag, names: &[Box<str>]) {
        let (before, mut now) = (self.enabled, self.enabled);
        for name in names {
            match &**name {
                "CONDSTORE" => now.condstore = true,
                "QRESYNC" => (now.condstore, now.qresync) = (true, true),
                "UTF8=ACCEPT" => now.utf8 = true,
                "IMAP4REV2" => now.rev2 = true,
                _ => {}
            }
        }
        let told = [
            // Not if QRESYNC enabled it (RFC 7162 section 3.2.3).
            ("CONDSTORE", names.iter().any(|name| &**name == "CONDSTORE") && !before.condstore),
            ("QRESYNC", now.qresync && !before.qresync),
            ("UTF8=ACCEPT", now.utf8 && !before.utf8),
            ("IMAP4rev2", now.rev2 && !before.rev2),
        ];
        let told = told.iter().filter(|(_, new)| *new).map(|(name, _)| *name);
        self.output.push(|out| response::words(out, "ENABLED", told));
        if now.condstore {
            self.enable_condstore();
        }
        self.enabled = now;
        self.ok(tag, "ENABLE completed");
    }

    /// Enables CONDSTORE when the client first uses mod-sequences, and sends HIGHESTMODSEQ of the
    /// selected mailbox (RFC 7162 section 3.1).
    pub(super) fn enable_condstore(&mut self) {
        if std::mem::replace(&mut self.enabled.condstore, true) {
            return;
        }
        let Some((_, owner)) = &self.user else { return };
        let account = owner.account.borrow();
        let mailbox = self.selected_mailbox().and_then(|selected| account.mailbox(selected));
        let Some(mailbox) = mailbox else { return };
        let highest = mailbox.counts().highest_modseq;
        if let Some(selected) = &*self.selected.borrow() {
            // It may be above changes that the client has not been told.
            selected.heard.tells(highest);
        }
        let code = Code::HighestModSeq(highest);
        let text = "mod-sequences are told from now on";
        self.output.push(|out| response::untagged(out, Condition::Ok, Some(&code), text));
    }

    /// Logs the user out and disables all extensions. The connection stays open.
    pub(super) async fn unauthenticate(&mut self, tag: &Tag) {
        self.leave();
        self.logged_out("UNAUTHENTICATE");
        self.user = None;
        (self.seat, self.attending, self.commands) = (None, None, 0);
        self.levels = Vec::new();
        self.enabled = Enabled::default();
        self.deadline =
            Some(Deadline::new(self.home.settings.login_time, &self.conn, &self.output));
        self.input.logged_out();
        self.output.logged_out();
        let capabilities = self.capabilities().await;
        self.ok_code(tag, Code::Capability(&capabilities), "UNAUTHENTICATE completed");
    }
}
