//! The clients and the model of the simulation against the real server, on real sockets and a real
//! disk: rounds of simultaneous clients, with a restart between them.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use kit::Random;
use kit::model::append::Style;
use kit::model::client::{Plan, client};
use kit::model::content::Sizes;
use kit::model::verify::verify;
use kit::model::wire::{Dial, Wire};
use kit::model::{Bounds, Model, Person, Shared};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use mailrace::limits::{
    BLOCK, KEYWORD_SETS, KEYWORDS, LARGE_LEASE, SMALL_BATCH, SMALL_LEASE, STEP_MESSAGES,
    UNFINISHED_MESSAGES,
};
use mailrace::server::{Config, Server};

/// Two accounts, one of them small.
const PEOPLE: [Person; 2] = [
    Person { name: "anna", password: "secret", quota: None },
    Person { name: "bert", password: "secret", quota: Some(60_000) },
];

const BOUNDS: Bounds = Bounds {
    block: BLOCK,
    small_lease: SMALL_LEASE,
    large_lease: LARGE_LEASE,
    keywords: KEYWORDS,
    keyword_sets: KEYWORD_SETS,
    small_batch: SMALL_BATCH,
    unfinished_messages: UNFINISHED_MESSAGES,
    step_messages: STEP_MESSAGES,
    little_room: false,
};

struct Tcp(Option<TcpStream>);

impl Wire for Tcp {
    async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.as_mut().ok_or(io::ErrorKind::NotConnected)?.write_all(octets).await
    }

    async fn recv(&mut self) -> io::Result<Vec<u8>> {
        let stream = self.0.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut octets = vec![0; 16 << 10];
        let length = stream.read(&mut octets).await?;
        octets.truncate(length);
        Ok(octets)
    }

    fn close(&mut self) {
        self.0 = None;
    }

    fn reset(&mut self) {
        if let Some(stream) = self.0.take() {
            let _ = stream.set_zero_linger();
        }
    }
}

struct To(SocketAddr);

impl Dial for To {
    type Wire = Tcp;

    async fn dial(&self) -> io::Result<Tcp> {
        let stream = TcpStream::connect(self.0).await?;
        stream.set_nodelay(true)?;
        Ok(Tcp(Some(stream)))
    }

    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Hashes that cost nothing.
fn write_users(folder: &Path) {
    let cheap = argon2::Params::new(8, 1, 1, None).expect("the least there is");
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let line = |person: &Person| {
        let hash = argon2.hash_password(person.password.as_bytes()).expect("a hash");
        let quota = person.quota.map_or("none".into(), |quota| quota.to_string());
        format!("{}:{hash}:{quota}\n", person.name)
    };
    let lines: String = PEOPLE.iter().map(line).collect();
    fs::write(folder.join("users"), lines).expect("the file of users");
}

fn start(folder: &Path, reactors: usize) -> Server {
    let config = Config {
        data: folder.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        reactors: Some(reactors),
        segment_size: 4 << 20,
        first_segment: 4 << 20,
        segments_ahead: 1,
        ..Config::default()
    };
    Server::start(config).expect("a start")
}

fn plan(random: &mut Random, account: usize) -> Plan {
    let sizes = if random.one_in(6) { Sizes::Edges } else { Sizes::Small };
    let append = Style { most: random.pick(&[2, 5, 20]), sizes };
    let (shares, races) = (random.one_in(2), random.one_in(2));
    let (commands, appends) = (random.within(5, 40), random.pick(&[5, 20, 60]));
    Plan { account, commands, append, appends, shares, races: shares && races }
}

/// Runs several clients at the same time to their end.
async fn round(address: SocketAddr, model: &Shared, random: &mut Random) -> Result<(), String> {
    let mut running = Vec::new();
    for number in 0..random.within(1, 5) {
        let plan = plan(random, usize::from(number == 4));
        let (model, random) = (model.clone(), random.fork());
        running.push(tokio::task::spawn_local(async move {
            client(&To(address), model, random, plan).await
        }));
    }
    for client in running {
        client.await.expect("a client does not panic")?;
    }
    Ok(())
}

/// Runs a seed.
fn run(seed: u64, rounds: usize) -> (u64, Result<(), String>) {
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().expect("a folder");
    write_users(folder.path());
    let mut model = Model::new(&PEOPLE, BOUNDS);
    if std::env::var("MAILRACE_TRACE").is_ok() {
        model.trace = Some(Rc::new(|line: &str| println!("{line}")));
    }
    let model: Shared = Rc::new(RefCell::new(model));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let mut result = Ok(());
    for _ in 0..rounds {
        let server = start(folder.path(), random.within(1, 2));
        result = local.block_on(&runtime, round(server.address(), &model, &mut random));
        server.stop().expect("a stop");
        if result.is_err() {
            break;
        }
        let server = start(folder.path(), random.within(1, 2));
        let to = To(server.address());
        result = local.block_on(&runtime, verify(&to, &model, &mut random));
        server.stop().expect("a stop");
        if result.is_err() {
            break;
        }
    }
    let replies = model.borrow().replies;
    (replies, result)
}

#[test]
fn the_server_is_lawful() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("MAILRACE_SEED").unwrap_or(1);
    let (mut replies, seeds) = (0, number("MAILRACE_SEEDS").unwrap_or(6));
    for seed in first..first + seeds {
        let (more, result) = run(seed, 3);
        replies += more;
        if let Err(text) = result {
            panic!("MAILRACE_SEED={seed}: {text}");
        }
    }
    println!("{seeds} seeds, {replies} replies");
    assert!(replies > seeds * 20, "the clients do something");
}
