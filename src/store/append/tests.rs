//! Cases that depend on the order of events on the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::*;
use crate::limits::LARGE_LEASE;
use crate::reactor::simulation::{Machine, Temper};
use crate::reactor::{Options, run, sleep, timeout};
use crate::store::format::HEADER;
use crate::store::pool::{PoolConfig, Spare};
use crate::store::segments::Segments;

/// A log on a simulated machine, in a first segment with room for a few frames.
async fn log() -> (Log, Arena) {
    let folder = Path::new("segments");
    let ingested = Arc::new(AtomicU64::new(0));
    let size = (LARGE_LEASE + 16 * BLOCK) as u32;
    let pool = SegmentPool::start(PoolConfig {
        segments: Segments::open(folder).expect("a folder"),
        size,
        first: size,
        least: size,
        reserve: size,
        reserves: 0,
        piece: 1 << 19,
        spare: Spare::new(folder, 0),
        ahead: 2,
        first_id: SegmentId(1),
        ready: Vec::new(),
        stale: Vec::new(),
        purges: false,
        ingested: ingested.clone(),
    });
    let arena = Arena::new().expect("memory");
    let sequencer = Sequencer::new(Epoch(1), LogId(0), 1, 1);
    let log = Log::start(sequencer, Epoch(1), LogId(0), pool.unwrap(), ingested, &arena).await;
    (log.expect("a first segment"), arena)
}

async fn write(log: &Log, arena: &Arena) {
    let lease = arena.lease(LeaseClass::Small).await;
    let payload = 100;
    log.ready_for(HEADER + payload, Purpose::Adds).await.expect("room");
    let frame = Frame { lease, stream: BatchId(0), position: 0, payload, records_len: 0 };
    log.write(frame, [], ());
}

#[test]
fn a_frame_that_is_there_before_its_segments_header_becomes_durable() {
    for seed in 0..100 {
        let temper = Temper { disk: 50, sync: 20, network: 10, thread: 1, ..Temper::default() };
        let machine = Machine::put_up(seed, temper, None, None);
        let result = run(Options { core: None }, async {
            machine.switch_on();
            let (log, arena) = log().await;
            // A task requests the next segment and then writes nothing, like an EXPUNGE of nothing.
            let other = log.clone();
            while log.inner.state.borrow().sequencer.fits(LARGE_LEASE as u32) {
                write(&log, &arena).await;
            }
            spawn(async move { other.ready_for(LARGE_LEASE, Purpose::Adds).await });
            // The header is in flight for a few milliseconds; the disk decides which of the two is
            // written first.
            while !log.inner.state.borrow().sequencer.fits(LARGE_LEASE as u32) {
                sleep(Duration::from_millis(1)).await;
            }
            write(&log, &arena).await;
            let durable = timeout(Duration::from_secs(60), log.durable()).await;
            assert!(durable.is_some_and(|result| result.is_ok()), "seed {seed}: it waits for ever");
            machine.halt();
        });
        result.expect("a run");
        assert_eq!(machine.panicked(), None);
        Machine::take_down();
    }
}
