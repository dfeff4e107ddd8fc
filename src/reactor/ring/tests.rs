//! What the seam promises, tested on a real ring. Skipped with a message if the kernel has none.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;

use bytes::Bytes;

use super::*;
use crate::limits::{BLOCK, LARGE_LEASE, LARGE_LEASES, SMALL_LEASES};
use crate::reactor::{Arena, Lease, LeaseClass, Options, spawn};

fn on_reactor<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    if let Err(error) = probe(1) {
        eprintln!("SKIPPED: {error}");
        return;
    }
    run(Options { core: None }, test()).unwrap();
}

fn arena() -> Arena {
    Arena::with(Shape::STANDARD, register).unwrap()
}

async fn pair() -> (Conn, TcpStream) {
    let socket = Bound::all(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap().remove(0);
    let client = TcpStream::connect(socket.address().unwrap()).unwrap();
    let conn = Conn::new(Listener::new(socket).accept().await.unwrap());
    (conn, client)
}

#[test]
fn octets_arrive_at_their_place_in_the_lease() {
    on_reactor(|| async {
        let arena = arena();
        let (conn, mut client) = pair().await;
        let mut lease = arena.lease(LeaseClass::Small).await;
        lease.octets_mut().fill(b'.');
        client.write_all(b"hello").unwrap();
        conn.readable().await.unwrap();
        let (result, lease) = conn.recv(lease, 100..200, false).await;
        assert_eq!(result.unwrap(), 5);
        assert_eq!(&lease.octets()[98..107], b"..hello..");
        drop(client);
        let (result, _) = conn.recv(lease, 0..10, true).await;
        assert_eq!(result.unwrap(), 0, "the end of the stream");
    });
}

#[test]
fn an_interrupt_returns_received_octets() {
    on_reactor(|| async {
        let arena = arena();
        let (conn, mut client) = pair().await;
        client.write_all(b"half of it").unwrap();
        conn.readable().await.unwrap();
        let handle = conn.interrupt_handle();
        spawn(async move { handle.interrupt() });
        let lease = arena.lease(LeaseClass::Large).await;
        let (result, lease) = conn.recv(lease, 0..LARGE_LEASE, true).await;
        assert_eq!(result.unwrap(), 10);
        let handle = conn.interrupt_handle();
        spawn(async move { handle.interrupt() });
        let (result, _) = conn.recv(lease, 0..LARGE_LEASE, true).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
    });
}

#[test]
fn an_interrupt_does_not_affect_later_operations() {
    on_reactor(|| async {
        let arena = arena();
        let (conn, mut client) = pair().await;
        let lease = arena.lease(LeaseClass::Small).await;
        conn.interrupt_handle().interrupt();
        spawn(async move {
            for _ in 0..20 {
                breathe().await;
            }
            client.write_all(b"late").unwrap();
            // Stays open until it was read.
            std::future::pending::<()>().await;
        });
        let (result, _) = conn.recv(lease, 0..4, true).await;
        assert_eq!(result.unwrap(), 4);
    });
}

#[test]
fn leases_run_out_and_come_back_in_order() {
    on_reactor(|| async {
        let arena = arena();
        let mut all: Vec<Lease> =
            std::iter::from_fn(|| arena.try_lease(LeaseClass::Large)).collect();
        assert_eq!(all.len(), LARGE_LEASES);
        assert!(!arena.is_short());
        let waiting = arena.clone();
        let waiter = spawn(async move { waiting.lease(LeaseClass::Large).await.offset });
        let second = arena.clone();
        let gone = spawn(async move { second.lease(LeaseClass::Large).await });
        tokio::task::yield_now().await;
        assert!(arena.is_short());
        gone.abort();
        let freed = all.pop().unwrap();
        let offset = freed.offset;
        drop(freed);
        assert_eq!(waiter.await.unwrap(), offset);
        all.clear();
        assert_eq!(arena.stats().in_use, 0);
        assert_eq!(arena.stats().waits, 2);
        let smalls = std::iter::from_fn(|| arena.try_lease(LeaseClass::Small));
        assert_eq!(smalls.collect::<Vec<_>>().len(), SMALL_LEASES);
    });
}

#[test]
fn a_shortage_interrupts_an_idle_lease_holder() {
    on_reactor(|| async {
        let arena = arena();
        let (conn, _client) = pair().await;
        let mut all: Vec<Lease> =
            std::iter::from_fn(|| arena.try_lease(LeaseClass::Large)).collect();
        let lease = all.pop().unwrap();
        let other = arena.clone();
        let hungry = spawn(async move { other.lease(LeaseClass::Large).await.offset });
        let guard = arena.idle(LeaseClass::Large, conn.interrupt_handle());
        let (result, lease) = conn.recv(lease, 0..10, false).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
        drop(guard);
        let offset = lease.offset;
        drop(lease);
        assert_eq!(hungry.await.unwrap(), offset);
    });
}

#[test]
fn a_shortage_of_large_leases_spares_holders_of_small_ones() {
    on_reactor(|| async {
        let arena = Arena::new().unwrap();
        let (conn, _client) = pair().await;
        let (patient, mut other) = pair().await;
        let mut all: Vec<Lease> =
            std::iter::from_fn(|| arena.try_lease(LeaseClass::Large)).collect();
        let (large, small) = (all.pop().unwrap(), arena.try_lease(LeaseClass::Small).unwrap());
        // The connection with the small lease has waited longer.
        let spared = arena.idle(LeaseClass::Small, patient.interrupt_handle());
        let receiving = spawn(async move { patient.recv(small, 0..5, true).await.0 });
        let guard = arena.idle(LeaseClass::Large, conn.interrupt_handle());
        let waiting = arena.clone();
        let hungry = spawn(async move { waiting.lease(LeaseClass::Large).await.offset });
        let (result, large) = conn.recv(large, 0..10, false).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
        let offset = large.offset;
        drop((guard, large));
        assert_eq!(hungry.await.unwrap(), offset);
        std::io::Write::write_all(&mut other, b"there").unwrap();
        assert_eq!(receiving.await.unwrap().unwrap(), 5);
        drop(spared);
    });
}

#[test]
fn files_return_what_was_written() {
    on_reactor(|| async {
        let arena = arena();
        let folder = tempfile::tempdir().unwrap();
        let mut options = std::fs::File::options();
        options.read(true).write(true).create(true);
        let path = folder.path().join("segment");
        let direct = options.clone().custom_flags(libc::O_DIRECT).open(&path);
        let file = LogFile::new(direct.or_else(|_| options.open(&path)).unwrap().into());
        let mut lease = arena.lease(LeaseClass::Small).await;
        lease.octets_mut()[..2 * BLOCK].fill(7);
        let (result, lease) = file.write_at(lease, 2 * BLOCK, BLOCK as u64).await;
        result.unwrap();
        file.sync_data().await.unwrap();
        let (result, lease) = file.read_at(lease, 0..lease_len(), 0).await;
        assert_eq!(result.unwrap(), 3 * BLOCK);
        assert!(lease.octets()[..BLOCK].iter().all(|&octet| octet == 0));
        assert!(lease.octets()[BLOCK..3 * BLOCK].iter().all(|&octet| octet == 7));
    });
}

const fn lease_len() -> usize {
    LeaseClass::Small.size()
}

#[test]
fn sending_reaches_the_client_and_a_closed_one_is_an_error() {
    on_reactor(|| async {
        let (conn, mut client) = pair().await;
        conn.send(Bytes::from_static(b"one "), true).await.unwrap();
        conn.send(Bytes::from_static(b"two"), false).await.unwrap();
        let mut got = [0; 7];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"one two");
        conn.shutdown();
        assert!(conn.send(Bytes::from_static(b"late"), false).await.is_err());
    });
}

#[test]
fn an_interrupt_does_not_end_a_send() {
    on_reactor(|| async {
        let (conn, mut client) = pair().await;
        let conn = std::rc::Rc::new(conn);
        // More than the kernel buffers without a reader.
        let octets = Bytes::from(vec![7; 32 << 20]);
        let sending = spawn({
            let (conn, octets) = (conn.clone(), octets.clone());
            async move { conn.send(octets, false).await }
        });
        for _ in 0..100 {
            breathe().await;
            conn.interrupt_handle().interrupt();
        }
        let reader = std::thread::spawn(move || {
            let mut got = vec![0; 32 << 20];
            client.read_exact(&mut got).map(|()| got)
        });
        sending.await.unwrap().unwrap();
        assert!(reader.join().unwrap().unwrap() == octets);
    });
}

/// Makes the kernel refuse submissions of this many entries at once from this thread.
fn refuse_submissions_of(entries: u32) {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let load = |offset| (BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
    let skip_unless = |value, others| (BPF_JMP | BPF_JEQ | BPF_K, 0, others, value);
    let answer = |value| (BPF_RET | BPF_K, 0, 0, value);
    // Fields of struct seccomp_data: the system call number, and the low half of its second
    // argument.
    let program = [
        load(0),
        skip_unless(libc::SYS_io_uring_enter as u32, 3),
        load(16 + 8),
        skip_unless(entries, 1),
        answer(libc::SECCOMP_RET_ERRNO | libc::EAGAIN as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let mut filter =
        program.map(|(code, jt, jf, k)| libc::sock_filter { code: code as u16, jt, jf, k });
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program lives as long as the calls, which copy it.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    assert!(done, "{}", std::io::Error::last_os_error());
}

/// The kernel lacks memory for a moment: when the executor parks, and when more is prepared than
/// the queue has room for.
#[test]
fn a_submission_that_is_refused_for_now_goes_later() {
    use super::size::RingSize;
    const SUBMISSIONS: u32 = RingSize::ALL[0].submissions;
    on_reactor(|| async {
        const SOME: u32 = 100;
        refuse_submissions_of(SOME);
        refuse_submissions_of(SUBMISSIONS);
        for operations in [SOME, 3 * SUBMISSIONS] {
            let waiting: Vec<_> = (0..operations).map(|_| spawn(breathe())).collect();
            // Another operation now and then, as a reactor always has.
            let others = spawn(async {
                loop {
                    crate::reactor::sleep(std::time::Duration::from_millis(5)).await;
                    drop(spawn(breathe()));
                }
            });
            for task in waiting {
                task.await.unwrap();
            }
            others.abort();
        }
    });
}

/// More long-waiting operations than the queue has entries.
#[test]
fn long_waits_do_not_fill_the_queue() {
    on_reactor(|| async {
        let (conn, _client) = pair().await;
        let conn = std::rc::Rc::new(conn);
        for _ in 0..2 * super::size::RingSize::ALL[0].submissions {
            let conn = conn.clone();
            drop(spawn(async move { drop(conn.readable().await) }));
        }
        for _ in 0..100 {
            breathe().await;
        }
    });
}
