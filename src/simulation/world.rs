//! A run from its seed to its end: a server on a simulated machine, clients, and faults.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use std::{fmt, io};

use kit::model::append::Style;
use kit::model::client::{self, client};
use kit::model::content::Sizes;
use kit::model::verify::verify;
use kit::model::wire::{Dial, Wire};
use kit::model::{Bounds, Model, Person, Shared, Trace, Weather};

use super::backup;
use super::folder::{backup_folder, folder};
use super::plan::{Life, Plan, calm};
use super::rot::spoil;
use crate::index::ReplayError;
use crate::limits::{BLOCK, LARGE_LEASE, SMALL_LEASE};
use crate::reactor::fault::Fault;
use crate::reactor::simulation::{Loss, Machine, Random, Remote};
use crate::reactor::{Options, Thresholds, run, sleep, spawn, timeout};
use crate::server::{Config, Server, StartError};
use crate::store::RecoveryError;

/// Longer than any phase without a deadlock, and shorter than the autologout that would hide one.
const PATIENCE: Duration = Duration::from_secs(25 * 60);

/// Longer than a whole life. In a deadlock of the server or the harness the clock jumps here, so
/// that the run ends and does not hang.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The users, one of them with a quota.
pub const PEOPLE: [Person; 3] = [
    Person { name: "anna", password: "secret", quota: None },
    Person { name: "bert", password: "secret", quota: Some(60_000) },
    Person { name: "cleo", password: "secret", quota: None },
];

/// Figures of a run without a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Starts of the server.
    pub starts: u64,
    /// Lives that ended in a crash.
    pub crashes: u64,
    /// Steps of the machine.
    pub steps: u64,
    /// Replies that clients read.
    pub replies: u64,
    /// Starts that reported damage, as they had to.
    pub reported: u64,
}

impl Summary {
    /// Adds the figures of another run.
    pub fn add(&mut self, other: Summary) {
        self.starts += other.starts;
        self.crashes += other.crashes;
        self.steps += other.steps;
        self.replies += other.replies;
        self.reported += other.reported;
    }
}

/// A wrong result of a run.
#[derive(Debug)]
pub struct Finding {
    /// The seed that repeats it.
    pub seed: u64,
    /// Description of the failure.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// How a life of the server ended.
#[derive(Debug)]
pub enum End {
    /// The power failed, or the server ended or did not start because its disk failed.
    Crash,
    /// The server was stopped in an orderly way.
    Stop,
    /// The server does not start because of damage.
    Damage,
}

pub struct World {
    pub(super) machine: Rc<Machine>,
    pub(super) model: Shared,
    random: RefCell<Random>,
    pub(super) config: Config,
    pub(super) rotten: bool,
    full: bool,
    summary: RefCell<Summary>,
    /// Whether the data folder is copied in the last life.
    backs_up: bool,
    /// The model as it was when that was done.
    backed_up: RefCell<Option<Model>>,
}

/// The sizes of the machine that the model needs.
fn bounds(thresholds: &Thresholds) -> Bounds {
    Bounds {
        block: BLOCK,
        small_lease: SMALL_LEASE,
        large_lease: LARGE_LEASE,
        keywords: thresholds.keywords,
        keyword_sets: thresholds.keyword_sets,
        small_batch: thresholds.small_batch,
        unfinished_messages: thresholds.unfinished_messages,
        step_messages: thresholds.step_messages,
        little_room: thresholds.records_room < Thresholds::STANDARD.records_room
            || thresholds.copied_fragments < Thresholds::STANDARD.copied_fragments,
    }
}

/// Runs a seed to its end.
///
/// # Errors
/// The first wrong behaviour of the server.
pub fn simulate(seed: u64, fault: Option<Fault>, trace: Option<Trace>) -> Result<Summary, Finding> {
    carry_out(seed, Plan::draw, fault, trace)
}

/// Runs a seed with a plan from `draw`.
///
/// # Errors
/// The first wrong behaviour of the server.
pub fn carry_out(
    seed: u64,
    draw: impl FnOnce(&mut Random) -> Plan,
    fault: Option<Fault>,
    trace: Option<Trace>,
) -> Result<Summary, Finding> {
    crate::net::forget_buffers();
    let mut random = Random::new(seed);
    let mut plan = draw(&mut random);
    plan.backs_up |= seed.is_multiple_of(4);
    if seed.is_multiple_of(3) {
        let within = [1, 20, 3_600][seed as usize / 3 % 3];
        plan.config.cleaning.purge_within = Some(Duration::from_secs(within));
    }
    let mut model = Model::new(&PEOPLE, bounds(&plan.temper.thresholds));
    for account in &mut model.accounts {
        account.names.limit_subscriptions(plan.temper.thresholds.subscriptions);
    }
    model.trace = trace.clone();
    let say = trace.map(|trace| {
        trace(&format!("{plan:#?}"));
        Box::new(move |line: fmt::Arguments<'_>| trace(&line.to_string())) as Box<_>
    });
    let machine = Machine::put_up(random.number(), plan.temper.clone(), fault, say);
    let mut world = World::new(machine, model, random, &plan);
    let result = world.lives(&plan);
    let mut summary = *world.summary.borrow();
    (summary.steps, summary.replies) = (world.machine.steps(), world.model.borrow().replies);
    Machine::take_down();
    match result {
        Ok(()) => Ok(summary),
        Err(what) => Err(Finding { seed, what }),
    }
}

impl World {
    fn new(machine: Rc<Machine>, model: Model, random: Random, plan: &Plan) -> World {
        World {
            machine,
            model: Rc::new(RefCell::new(model)),
            random: RefCell::new(random),
            config: Config { data: folder(), ..plan.config.clone() },
            rotten: false,
            full: plan.temper.capacity < 1 << 30,
            summary: RefCell::default(),
            backs_up: plan.backs_up && plan.temper.capacity >= 1 << 30,
            backed_up: RefCell::default(),
        }
    }

    /// A world for testing the harness itself.
    pub fn of_a_test(plan: &Plan) -> World {
        let machine = Machine::put_up(1, plan.temper.clone(), None, None);
        World::new(
            machine,
            Model::new(&PEOPLE, bounds(&Thresholds::STANDARD)),
            Random::new(1),
            plan,
        )
    }

    fn lives(&mut self, plan: &Plan) -> Result<(), String> {
        for (at, life) in plan.lives.iter().enumerate() {
            let end = self.live(life, at + 1 == plan.lives.len())?;
            let loss = match end {
                End::Damage => return Err("damage where there can be none".into()),
                // What was made durable before an orderly end is durable.
                End::Stop | End::Crash => life.loss,
            };
            self.machine.disk(|disk, random| disk.lose(loss, random));
            if life.without_catalog {
                let catalog = self.config.data.join("catalog.redb");
                // The catalog may not exist.
                let _ = self.machine.disk(|disk, _| disk.remove(&catalog));
            }
            if life.rots {
                self.rot();
            }
        }
        self.machine.behave(calm);
        self.full = false;
        // Twice: changes of the first start to the disk must last as well.
        self.look_at_backup()?;
        for _ in 0..2 {
            if let End::Damage = self.look(&self.config, &self.model)? {
                self.summary.borrow_mut().reported += 1;
                return Ok(());
            }
            self.machine.disk(|disk, random| disk.lose(Loss::Everything, random));
        }
        self.purge()
    }

    /// Checks the backup like the original, as of the time when it was taken.
    fn look_at_backup(&mut self) -> Result<(), String> {
        let Some(model) = self.backed_up.take() else { return Ok(()) };
        let rotten = std::mem::replace(&mut self.rotten, false);
        let config = Config { data: backup_folder(&self.config.data), ..self.config.clone() };
        let end = self.look(&config, &Rc::new(RefCell::new(model)));
        self.rotten = rotten;
        match end.map_err(|what| format!("in the backup: {what}"))? {
            End::Damage => Err("the backup is damaged".into()),
            End::Crash | End::Stop => Ok(()),
        }
    }

    /// Copies the data folder while the server runs.
    async fn back_up(&self) -> Result<(), String> {
        let model = self.model.borrow().clone();
        let mut random = Random::new(self.random.borrow_mut().number());
        let data = &self.config.data;
        match backup::copy(data, &backup_folder(data), &mut random).await {
            Ok(true) => *self.backed_up.borrow_mut() = Some(model),
            Ok(false) => self.machine.trace(format_args!("no backup: files change too fast")),
            Err(error) => {
                let (reads, writes) = self.machine.may_fail();
                let may_fail = reads || writes || self.machine.is_off();
                if !may_fail && !self.machine.has_failed() {
                    return Err(format!("no backup: {error}"));
                }
                self.machine.trace(format_args!("no backup: {error}"));
            }
        }
        Ok(())
    }

    fn rot(&mut self) {
        let segments = self.config.data.join("segments");
        let spoiled = self.machine.disk(|disk, random| spoil(disk, &segments, random));
        if let Some(what) = spoiled {
            self.machine.trace(format_args!("rot: {what}"));
            self.rotten = true;
        }
    }

    /// One life with clients.
    fn live(&self, life: &Life, is_last: bool) -> Result<End, String> {
        let config = Config { reactors: Some(life.reactors), ..self.config.clone() };
        self.on_machine(async {
            self.machine.fail_after(life.fails_after);
            let Some(server) = self.start(config).await? else { return Ok(End::Crash) };
            let done = async {
                self.clients(life).await?;
                match is_last && self.backs_up {
                    true => self.back_up().await,
                    false => Ok(()),
                }
            };
            tokio::select! {
                biased;
                () = self.machine.power_fails() => return Ok(End::Crash),
                // The disk failed with an error.
                () = over_of(&server) => return Ok(End::Crash),
                result = timeout(PATIENCE, done) => match result {
                    Some(result) => result?,
                    None => return Err(self.stands_still()),
                },
            }
            self.stop(server).await
        })
    }

    /// One life without faults that checks everything.
    pub(super) fn look(&self, config: &Config, model: &Shared) -> Result<End, String> {
        self.on_machine(async {
            let server = match self.start(config.clone()).await {
                Ok(Some(server)) => server,
                Ok(None) => return Ok(End::Damage),
                Err(error) => return Err(error),
            };
            let weather = self.model.borrow().weather;
            model.borrow_mut().weather = weather;
            let mut random = Random::new(self.random.borrow_mut().number());
            match timeout(PATIENCE, verify(&Network, model, &mut random)).await {
                Some(result) => result?,
                None => return Err(self.stands_still()),
            }
            self.leases_are_back().await?;
            self.stop(server).await
        })
    }

    /// Runs a life, then stops all its tasks. A panic in it is an error.
    pub fn on_machine(
        &self,
        life: impl Future<Output = Result<End, String>>,
    ) -> Result<End, String> {
        let result = run(Options { core: None }, async {
            self.machine.switch_on();
            let result = timeout(LIFE, life).await.unwrap_or_else(|| Err(self.stands_still()));
            self.machine.halt();
            result
        });
        if let Some(panic) = self.machine.panicked() {
            return Err(format!("panicked: {panic}"));
        }
        let end = result.map_err(|error| error.to_string())??;
        self.summary.borrow_mut().crashes += u64::from(matches!(end, End::Crash));
        Ok(end)
    }

    /// Starts the server. `None` if it rightly does not start.
    pub(super) async fn start(&self, config: Config) -> Result<Option<Server>, String> {
        self.summary.borrow_mut().starts += 1;
        let (reads, writes) = self.machine.may_fail();
        // For the model, a segment that cannot be created is a full disk.
        let (full, rotten) = (self.full || writes, self.rotten || reads);
        let weather = Weather { full, ending: true, rotten };
        self.model.borrow_mut().weather = weather;
        let (server, ready) = match Server::begin(config) {
            Ok(started) => started,
            Err(error) => return self.may_fail(&error).map(|()| None),
        };
        for reactor in ready {
            let ready = tokio::select! {
                biased;
                () = self.machine.power_fails() => return Ok(None),
                ready = reactor => ready,
            };
            if ready.is_err() {
                // The other reactors may wait for a disk that no longer answers.
                let ended = tokio::select! {
                    biased;
                    () = self.machine.power_fails() => return Ok(None),
                    ended = server.ended() => ended,
                };
                let error = ended.err().unwrap_or(StartError::Vanished);
                return self.may_fail(&error).map(|()| None);
            }
        }
        Ok(Some(server))
    }

    /// Checks that a start may fail with this error.
    fn may_fail(&self, error: &StartError) -> Result<(), String> {
        let temper_is_bad = self.machine.is_off() || self.machine.has_failed() || self.full;
        let damage =
            matches!(error, StartError::Replay(ReplayError::Log(RecoveryError::Damaged(_))));
        self.machine.trace(format_args!("no start: {error}"));
        // A full disk alone must not prevent a start.
        let failed = self.machine.is_off() || self.machine.has_failed();
        let only_full = matches!(error, StartError::Log(_)) && !failed;
        match damage {
            true if self.rotten => Ok(()),
            false if temper_is_bad && !only_full => Ok(()),
            _ => Err(format!("it does not start: {error}")),
        }
    }

    /// Runs the clients until all have ended.
    async fn clients(&self, life: &Life) -> Result<(), String> {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..life.clients {
            let mut random = Random::new(self.random.borrow_mut().number());
            let plan = work(&mut random, life);
            let model = self.model.clone();
            let tell = tell.clone();
            // The receiver stops at the first finding.
            spawn(async move { drop(tell.send(client(&Network, model, random, plan).await)) });
        }
        drop(tell);
        // Only the first finding counts; others follow from it.
        while let Some(result) = told.recv().await {
            result?;
        }
        Ok(())
    }

    fn stands_still(&self) -> String {
        format!("nothing moves any more; leases in use: {:?}", self.machine.leases())
    }

    /// Without sessions, a reactor holds only the lease for the header of its next segment.
    async fn leases_are_back(&self) -> Result<(), String> {
        for _ in 0..60 {
            if self.machine.leases().iter().all(|&leases| leases == 1) {
                return Ok(());
            }
            sleep(Duration::from_secs(1)).await;
        }
        Err(format!("leases do not come back: {:?} in use", self.machine.leases()))
    }

    /// An orderly end.
    pub(super) async fn stop(&self, server: Server) -> Result<End, String> {
        tokio::select! {
            biased;
            () = self.machine.power_fails() => Ok(End::Crash),
            ended = timeout(PATIENCE, server.ended()) => match ended {
                None => Err("it does not stop".into()),
                Some(Ok(())) => {
                    // The other threads finish their last jobs.
                    sleep(Duration::from_secs(60)).await;
                    Ok(End::Stop)
                }
                Some(Err(_)) if self.machine.has_failed() || self.full => Ok(End::Crash),
                Some(Err(error)) => Err(format!("it does not stop: {error}")),
            },
        }
    }
}

/// Draws the work of a client.
fn work(random: &mut Random, life: &Life) -> client::Plan {
    let sizes = if random.one_in(6) || life.large { Sizes::Edges } else { Sizes::Small };
    let append = Style { most: random.pick(&[2, 5, 20]), sizes };
    let account = life.shared.unwrap_or_else(|| random.below(PEOPLE.len()));
    let (shares, races) = (life.shared.is_some(), life.races && life.shared.is_some());
    let appends = random.pick(&[5, 20, 60]);
    client::Plan { account, commands: life.commands, append, appends, shares, races }
}

/// Waits until a reactor ends by itself.
async fn over_of(server: &Server) {
    let (tell, told) = tokio::sync::oneshot::channel();
    server.when_over(move || {
        let _ = tell.send(());
    });
    let _ = told.await;
}

/// The simulated network, for the clients.
struct Network;

impl Dial for Network {
    type Wire = Remote;

    async fn dial(&self) -> io::Result<Remote> {
        Remote::dial().await
    }

    async fn pause(&self, duration: Duration) {
        sleep(duration).await;
    }
}

impl Wire for Remote {
    async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        Remote::send(self, octets).await
    }

    async fn recv(&mut self) -> io::Result<Vec<u8>> {
        Remote::recv(self).await
    }

    fn close(&mut self) {
        self.end();
    }

    fn reset(&mut self) {
        Remote::reset(self);
    }
}
