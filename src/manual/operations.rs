//! # Operations
//!
//! ## Running
//!
//! ```sh
//! mailrace serve --data /srv/mail --listen 127.0.0.1:1143
//! ```
//!
//! `mailrace serve --help` lists every flag with its default. When the server is ready it prints
//! one line on standard output (with `--admin` a second one), and nothing else ever:
//!
//! ```text
//! mailrace: listening on 127.0.0.1:1143
//! ```
//!
//! Its log goes to standard error, as text or, with `--log-format json`, as one JSON object a line.
//! Neither passwords nor mail appear in it.
//!
//! With `--admin 127.0.0.1:9143` it also shows what it does: metrics, probes, a live page. See
//! [observability](super::observability).
//!
//! SIGTERM and SIGINT end the server: sessions get BYE, batches in flight are finished or vanish
//! whole. A second signal ends it at once. kill -9 is safe as well; it costs the next start the
//! reading of what came after the last checkpoint.
//!
//! Logins in clear text are taken on loopback addresses only.
//!
//! ## Exit codes
//!
//! Those of sysexits.h.
//!
//! | Code | Meaning | What to do |
//! | --- | --- | --- |
//! | 0 | Done, or ended by a signal | |
//! | 64 | Wrong usage | Read the sentence, or `--help` |
//! | 65 | A name or password that will not do, a user who is there already | |
//! | 65 | serve: the log is damaged | See [durability](super::durability) |
//! | 69 | No io_uring: an old kernel, a seccomp profile, a sysctl | `tuning/README.md` |
//! | 70 | A bug | Tell us, with the log |
//! | 71 | The system refused memory, a thread or a ring | |
//! | 73 | A file or folder cannot be created | Permissions, a full disk |
//! | 74 | A file or an address cannot be used | Permissions, the disk, `--listen` |
//! | 75 | Another server runs on this data folder | |
//! | 76 | demo, bench or top: a server did not answer as it should | |
//! | 78 | The file of users makes no sense | The sentence names the line |
//!
//! ## The data folder
//!
//! | File | What it is | May it be deleted? |
//! | --- | --- | --- |
//! | `users` | Who may log in | It is yours to edit |
//! | `users.lock` | Held while a user is added | While nobody adds one |
//! | `lock` | Held by the server | While no server runs |
//! | `segments/` | The log: all mail there is | Never |
//! | `catalog.redb` | A checkpoint of the log | While no server runs; it is made again |
//!
//! Everything in it belongs to one server at a time. A backup is a copy of the folder, taken while
//! no server runs, or a snapshot of the file system, taken at any time.
//!
//! ## Connections
//!
//! At most 16,384 at a time (`--connections` for fewer); further ones are told `BYE [UNAVAILABLE]`.
//! Each needs a descriptor, and so do some hundred files: `LimitNOFILE` should be 20,000. One that
//! has not logged in after 60 seconds is told BYE, whatever it sends (`--login-time`). After login
//! the server ends a connection that sends nothing, or reads nothing of what it is sent, for 30
//! minutes.
//!
//! An idle session takes some 6 KiB of memory. A client that does not read its replies gets no
//! new ones once 256 KiB wait (16 KiB before login): the server stops reading from it. Messages of
//! batches that are not complete are remembered until they are; more than 1,572,864 in one reactor
//! are refused with `NO [LIMIT]`, but for batches of up to 100.
//!
//! ## Users
//!
//! ```sh
//! mailrace user add alice --data /srv/mail --quota 10G
//! ```
//!
//! The password is asked for without echo, or read as one line from standard input when that is not
//! a terminal. It works before the first start and while the server runs. The file `users` has a
//! line for each:
//!
//! ```text
//! # a comment
//! alice:$argon2id$v=19$m=19456,t=2,p=1$...$...:10737418240
//! bob:$argon2id$v=19$m=19456,t=2,p=1$...$...:none
//! ```
//!
//! Name, argon2id hash as a PHC string, quota in octets or `none`. Names are compared octet for
//! octet. The server looks at the file with every login and reads it again when it changed. If a
//! line makes no sense then, it logs which, and goes on with the users it had. To change a
//! password, replace the hash; to lock a user out, delete the line. The mail stays.
//!
//! A password check costs 19 MiB and some tens of milliseconds on a thread of its own kind, half as
//! many as there are cores. A password that was right is remembered, as a keyed hash in memory,
//! until the user's hash in the file changes; so thousands of connections of one migration cost one
//! check. When 1,024 logins wait, further ones are told `NO [UNAVAILABLE]`.
//!
//! ## When the disk is full
//!
//! APPEND is answered by a tagged NO and leaves nothing behind. Reading goes on. Make room, and
//! appending works again, without a restart.
