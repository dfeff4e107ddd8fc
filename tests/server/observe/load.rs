//! Users that upload, each on its own connection and thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kit::{Client, Message, PASSWORD, Server};

/// Uploads until it is dropped.
pub struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The work of one user.
#[derive(Clone)]
pub struct Uploader {
    pub user: String,
    pub mailbox: String,
    /// Bytes of a message, and messages of a batch.
    pub size: usize,
    pub batch: usize,
    /// Time between two batches.
    pub pause: Duration,
}

impl Load {
    /// Begins to upload. The users must exist; mailboxes are created.
    pub fn start(server: &Server, uploaders: &[Uploader]) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let threads = uploaders.iter().map(|uploader| {
            let (over, uploader) = (over.clone(), uploader.clone());
            let client = Client::connect(server.address());
            thread::spawn(move || upload(client, &uploader, &over))
        });
        let threads = threads.collect();
        Load { over, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn upload(mut client: Client, uploader: &Uploader, over: &AtomicBool) {
    client.response().expect("a greeting");
    client.ok(&format!("LOGIN {} {PASSWORD}", uploader.user));
    client.command(&format!("CREATE {}", uploader.mailbox));
    let octets = vec![b'x'; uploader.size];
    let batch = vec![Message { options: "", octets: &octets }; uploader.batch];
    while !over.load(Ordering::Relaxed) {
        let reply = client.append(&uploader.mailbox, &batch);
        assert!(reply.tagged.starts_with("OK"), "{}", reply.tagged);
        thread::sleep(uploader.pause);
    }
}
