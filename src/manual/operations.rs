//! # Operations
//!
//! ## Running
//!
//! ```sh
//! mailrace serve --data /srv/mail --listen 127.0.0.1:1143
//! ```
//!
//! `mailrace serve --help` lists every flag with its default. When the server is ready it prints
//! a line for each address on standard output, and nothing else ever:
//!
//! ```text
//! mailrace: listening on 127.0.0.1:1143
//! mailrace: listening by TLS on 0.0.0.0:993
//! mailrace: admin on http://127.0.0.1:9143/
//! ```
//!
//! Its log goes to standard error, or to the file of `--log-file`, as text or, with
//! `--log-format json`, as one JSON object a line. With `--audit-log FILE` logins and changes
//! of mail go to a file of their own. Neither passwords nor mail appear in either. SIGHUP and
//! SIGUSR1 reopen both files by their names, so that logrotate can move them; see
//! [observability](super::observability).
//!
//! With `--admin 127.0.0.1:9143` it also shows what it does: metrics, probes, a live page. See
//! [observability](super::observability).
//!
//! SIGTERM and SIGINT end the server: sessions get BYE, batches in flight are finished or vanish
//! whole. A second signal ends it at once. kill -9 is safe as well; it costs the next start the
//! reading of what came after the last checkpoint. SIGHUP reloads the certificate and reopens the
//! files of the log; SIGUSR1 only reopens the files; SIGUSR2 does nothing. A limit on the size of
//! files (RLIMIT_FSIZE) does not kill the server: what reaches it is treated as a full disk.
//!
//! As a service, it comes with units for systemd, a Debian package and a Dockerfile:
//! `tuning/README.md`. `mailrace doctor --data DIR` says what the machine lacks, and exits with 1
//! when something should be done.
//!
//! ## Configuration
//!
//! `mailrace serve --config /etc/mailrace/mailrace.toml` reads a TOML file whose keys are the flags
//! without their dashes; a flag on the command line goes before the key:
//!
//! ```toml
//! data = "/var/lib/mailrace"
//! listen = "0.0.0.0:143"
//! tls-listen = "0.0.0.0:993"
//! tls-cert = "/etc/mailrace/cert.pem"
//! tls-key = "/etc/mailrace/key.pem"
//! ```
//!
//! `mailrace config example` prints one with every key and its meaning. `mailrace config check
//! FILE` says all that is wrong with one, each with its line, and then tries what a start tries:
//! the rights of the data folder, the file of users, master users, certificates with their dates,
//! token keys, and whether the addresses can be listened on. An address that is in use is right
//! when a server runs on that data. Run it as the user of the service. A key that does not exist
//! keeps the server from starting, so that no typing error goes unnoticed. The file is read at the
//! start only.
//!
//! The data folder of `serve`, `user` and `doctor` is what `--data` says, or else the environment
//! variable `MAILRACE_DATA`, or else (with `--config FILE`, which `user` takes as well) the file's
//! key `data`, or else `./mailrace-data`.
//!
//! ## TLS
//!
//! With `--tls-cert` and `--tls-key` clients may go over to TLS by STARTTLS; with `--tls-listen`
//! they can speak it from the first octet on, which is safer (RFC 8314). TLS 1.2 and 1.3, what
//! rustls takes for good; session tickets spare those who come again the handshake's signature.
//!
//! - For a trial, `mailrace cert self-signed --name mail.example.org` makes both files. Clients
//!   have to be told to trust that certificate.
//! - A renewed certificate is taken into use by SIGHUP (`systemctl reload mailrace`). Sessions
//!   notice nothing. If the new files will not do, the log says why, and the former ones stay.
//!   Every ticket that was given out before is void.
//! - From 30 days before the certificate expires the log says so, at each start and once a day;
//!   `mailrace config check` says it, too, and fails when it has expired. The metric
//!   `mailrace_tls_certificate_expires_seconds` has the date.
//! - Without TLS, passwords and tokens are taken from this machine only, unless
//!   `--allow-plaintext-auth` says that nobody can listen in between. From elsewhere LOGINDISABLED
//!   is told.
//! - `--tls-client-ca FILE` asks clients for a certificate of these authorities. Whoever shows one
//!   may log in by AUTHENTICATE EXTERNAL as the user whom it names: by a mail address among its
//!   alternative names, or, when there is none, by its common name. Whoever shows none logs in as
//!   everybody else does. Lists of revoked certificates are not looked at.
//! - SCRAM-SHA-256-PLUS ties the login to the TLS 1.3 connection (`tls-exporter`, RFC 9266), so
//!   that nobody between can pass it on, not even with a certificate that the client believes.
//!
//! What TLS costs when mail comes in is in `benches/README.md`; `mailrace bench --tls` measures it.
//!
//! ## Exit codes
//!
//! Those of sysexits.h.
//!
//! | Code | Meaning | What to do |
//! | --- | --- | --- |
//! | 0 | Done, or ended by a signal | |
//! | 1 | doctor: something should be done | What it says |
//! | 64 | Wrong usage | Read the sentence, or `--help` |
//! | 65 | A name or password that will not do, a user who is there already or is not | |
//! | 65 | serve: the log or the catalog is damaged | See below, "When mail is damaged" |
//! | 65 | serve: the data is of a newer or older mailrace | Use that one; nothing was changed |
//! | 69 | No io_uring: an old kernel, a seccomp profile, a sysctl | `tuning/README.md` |
//! | 70 | A bug | Tell us, with the log |
//! | 71 | The system refused memory, a thread or a ring | The limits that the sentence names |
//! | 72 | serve: the data folder was deleted or moved away | Put it back: a start makes a new one |
//! | 73 | A file or folder cannot be created | Permissions, a full disk |
//! | 74 | A file or an address cannot be used | Permissions, the disk, `--listen` |
//! | 75 | Another server runs on this data folder | |
//! | 76 | demo, bench or top: a server did not answer as it should | |
//! | 78 | Configuration, users, certificate, keys will not do | The sentence names file and line |
//!
//! ## The data folder
//!
//! | File | What it is | May it be deleted? |
//! | --- | --- | --- |
//! | `users` | Who may log in | It is yours to edit |
//! | `users.lock` | Held while a user is changed | While nobody changes one |
//! | `users.secret` | Makes answers to names that do not exist | While no server runs |
//! | `lock` | Held by the server | While no server runs |
//! | `segments/` | The log: all mail there is | Never |
//! | `catalog.redb` | A checkpoint of the log | While no server runs; it is made again |
//! | `spare` | Room that is held for the catalog, 16 MiB of nothing | Yes; it is made again |
//! | `catalog.redb.damaged-N` | A catalog that a start set aside | Yes |
//! | `quarantine.json` | What the last start found damaged | Yes; each start writes or removes it |
//!
//! Everything in it belongs to one server at a time. A backup is a copy of the folder, taken while
//! no server runs, or a snapshot of the file system, taken at any time.
//!
//! **Permissions.** The folder and all in it belong to the user that mailrace runs as: folders have
//! 0700 and files 0600, whatever the umask. What was there before (a folder made by hand, files out
//! of an archive) is brought to that at each start, and the log says what it was. Only files that
//! mailrace makes are changed. It does not take a folder that others can use if that holds anything
//! else and mailrace has not used it before, nor one that many share, like /tmp: they would be
//! locked out. A folder whose permissions cannot be changed is refused if anybody may write to it;
//! otherwise a line is logged at each start. So a backup by another user is one by root, or a
//! snapshot. `mailrace doctor` says what is open.
//!
//! **Core dumps** would hold mail, passwords and keys, so there are none: `mailrace serve` sets its
//! limit for them to 0 and marks the process as one that is not to be dumped, which also keeps
//! debuggers of other users than root from it. To look for a bug, run with `--core-dumps` and
//! `LimitCORE=infinity` in the unit.
//!
//! ## Connections
//!
//! | Limit | Flag | Standard | Beyond |
//! | --- | --- | --- | --- |
//! | Connections in all | `--connections` | 16,384, or fewer: see below | `BYE [UNAVAILABLE]` |
//! | From one address | `--connections-per-address` | 4,096 | `BYE [UNAVAILABLE]` |
//! | Of one user | `--connections-per-user` | 512 | `NO [LIMIT]` |
//! | Seconds before login | `--login-time` | 60 | BYE |
//! | Commands before login | `--commands-before-login` | 64 | BYE |
//! | Those that make no sense | | 10 | BYE |
//! | Octets thrown away before login, as those of APPEND are | | 1 MiB | BYE |
//! | Failed logins of a connection | | 4 | BYE |
//! | Of an address, in 10 minutes | `--login-failures` | 50 | `NO [UNAVAILABLE]` |
//! | Idle seconds after login | `--idle-time` | 1,800 | BYE |
//!
//! An address of IPv6 counts by its first 64 bits. Of the commands before login the first quarter
//! is answered at once, the others wait a fifth of a second each. The time before login runs,
//! whatever the client sends. Idle is who sends nothing, or reads nothing of what it is sent.
//!
//! Each connection needs a descriptor, and so do some hundred files: `LimitNOFILE` should be
//! 20,000. The server raises its soft limit to the hard one. With fewer descriptors there are fewer
//! connections, whatever `--connections` says, and a line about it at the start: the log never goes
//! without. RFC 9051 section 5.4 asks for 30 minutes at least; with a lower `--idle-time` a line is
//! logged.
//!
//! An idle session takes some 6 KiB of memory, a connection before login 60 KiB at most, a session
//! 8 MiB at most: `MEMORY_BEFORE_LOGIN` and `MEMORY_OF_SESSION` in [`limits`](crate::limits) are
//! the sums. Mail is not in them, it has the arenas; nor is what the next section counts. A client
//! that does not read its replies gets no new ones once 256 KiB wait (16 KiB before login): the
//! server stops reading from it. One that sends a message octet by octet gives up its place in the
//! arena when others want it. Messages of batches that are not complete are remembered until they
//! are; more than 1,572,864 in one reactor are refused with `NO [LIMIT]`, but for batches of up to
//! 100. So are different combinations of keywords in them, once they take 32 MiB.
//!
//! ## The cost of one command
//!
//! | Limit | Standard | Beyond |
//! | --- | --- | --- |
//! | Keys of one SEARCH | 4,096 | `NO [LIMIT]` |
//! | Strings among them | 1,000 | `NO [LIMIT]` |
//! | Memory of SORT, THREAD, followed results of a user | 256 MiB | `NO [LIMIT]`, `[NOUPDATE]` |
//! | Large messages (over 1 MiB) in memory, for each reactor | 2 of 124 MiB | The next one waits |
//!
//! Work of a command that takes long is done in pieces. What takes more than a millisecond or two
//! is done by two threads beside the reactors (`parser-0` and `parser-1`), on which users take
//! turns, and ends when its client has gone. A client that has closed its half of the connection
//! is sent `* OK still working` meanwhile: the reset that comes back from one that has gone tells
//! it.
//!
//! ## Mail that is not as it should be
//!
//! Messages are kept octet for octet. What is said of broken ones is made the best of; where that
//! is not what stands in the message, it is here.
//!
//! **NUL.** Only the literal of BINARY can carry a NUL octet. `FETCH BINARY[]` and `BINARY[n]`
//! tell it as it was appended. In BODY[...] and RFC822 the octet 0x80 stands for each NUL, so that
//! sizes and offsets stay right; ENVELOPE and BODYSTRUCTURE have U+FFFD. Programs that copy mail
//! and must keep such messages use BINARY.
//!
//! **Large messages.** Parts, previews and searches work to the last octet of a message of any
//! size; it is read piece by piece. Headers are the exception: where a field, or all headers of a
//! message, are longer than 24 MiB ([`MIME_HEADER`](crate::limits::MIME_HEADER)), ENVELOPE,
//! BODYSTRUCTURE, SEARCH, SORT and THREAD answer `NO [LIMIT]` for that message, and go on with the
//! others. THREAD does so from 1 MiB of References on. BODY[...] always gives the octets.
//!
//! **Structure.** A Content-Type that cannot be read is text/plain. A multipart whose boundary
//! never comes has one part, its text. A message/rfc822 in base64, which RFC 2046 forbids, is
//! told without envelope and parts; BINARY and SEARCH decode it. message/global is a message to
//! clients that have enabled IMAP4rev2, to others a part without parts. A line that ends in
//! CR CR LF is a line.
//!
//! ## Users
//!
//! ```sh
//! mailrace user add alice --data /srv/mail --quota 10G
//! mailrace user passwd alice --data /srv/mail
//! mailrace user set alice --no-quota --data /srv/mail
//! mailrace user remove alice --data /srv/mail
//! mailrace user list --data /srv/mail
//! ```
//!
//! The password is asked for without echo, or read as one line from standard input when that is not
//! a terminal. All of it works before the first start and while the server runs. `list` prints a
//! line for each user: name, quota in octets or `none`, and `password` or `password,scram`, divided
//! by tabs. The file `users` has a line for each:
//!
//! ```text
//! # a comment
//! alice:$argon2id$v=19$m=19456,t=2,p=1$...$...:10737418240:SCRAM-SHA-256$65536:...$...:...
//! bob:$argon2id$v=19$m=19456,t=2,p=1$...$...:none
//! ```
//!
//! Name, argon2id hash as a PHC string, quota in octets or `none`, and, if there are, the keys of
//! SCRAM-SHA-256 as RFC 5803 has them. Names are compared octet for octet. You may edit the file;
//! write a new one and rename it. The server looks at it twenty times a second and with every
//! login, and a thread reads it again when it changed; SIGHUP is not needed, and a hundred
//! thousand lines hold up no session. If a line makes no sense then, it logs which, and goes on
//! with the users it had. To lock a user out for a while, take the line out, and later put the
//! same line back. The mail stays. `mailrace user remove` leaves a line `#removed alice` instead:
//! a user who is added under that name later gets an account of another number (`:account=...`
//! before the keys) and sees no mail of the first. `mailrace user add --keep-mail` gives a user
//! the mail of the one who was removed last. Whoever gets a line by hand gets the mail of its
//! name. Sessions of a user who was removed or has another password get BYE at their next command
//! once the file is read, those in IDLE after two minutes at the latest.
//!
//! **What a quota does not count.** A quota is about mail. Changes of flags, moves and the records
//! of messages are logged beside it, also by an account whose mail fills its quota. So an account
//! with a quota has an allowance for them: 128 MiB at once and 1 MiB a second after that
//! ([`LOG_ALLOWANCE`](crate::limits::LOG_ALLOWANCE)). Each octet of mail that it appends pays for
//! four octets of log, so APPEND of real mail takes nothing from it. When it is used up, commands
//! that write wait until it has grown again; none is refused, reading goes on, and other accounts
//! do not notice. `mailrace_log_waits_total` counts those commands. Accounts without a quota may
//! fill the disk by mail anyway, and never wait.
//!
//! A copy counts like any message, though its octets are stored once. COPY into the trash may take
//! an account to twice its quota, so that clients without MOVE can delete when the quota is full:
//! the mailbox with the special use `\\Trash`, and those called Trash, Deleted Items or Deleted
//! Messages. Beyond the quota, APPEND and other copies are refused. MOVE is always possible.
//! A message that is announced claims its first MiB of the quota
//! ([`ANNOUNCED`](crate::limits::ANNOUNCED)), and the rest as it arrives. So it can be refused amid
//! its octets, when other connections have filled the quota meanwhile.
//!
//! **Keywords.** The messages of a mailbox can have 1,024 different keywords, 64 KiB of their text,
//! and 16 MiB of combinations; all mailboxes of an account together, 64 MiB. Beyond, APPEND, STORE,
//! COPY and MOVE are answered by `NO [LIMIT]`, and PERMANENTFLAGS leaves out `\*`. A keyword comes
//! with the first message that has it and goes with the last. While a session has the mailbox
//! selected, memory of three times as many that have gone may be kept.
//!
//! ## Logging in
//!
//! | Mechanism | Offered |
//! | --- | --- |
//! | SCRAM-SHA-256 | While every user has keys |
//! | SCRAM-SHA-256-PLUS | The same, over TLS 1.3 |
//! | PLAIN, LOGIN, and the command LOGIN | Over TLS and on loopback addresses |
//! | OAUTHBEARER, XOAUTH2 | The same, with `--oauth-keys` |
//! | EXTERNAL | To clients that have shown a certificate |
//!
//! `--auth-mechanisms` restricts them; without PLAIN and LOGIN the command is refused as well.
//! `--allow-plaintext-auth` offers PLAIN and the like to everybody, for networks on which nobody
//! listens.
//!
//! **Passwords.** A check costs 19 MiB and some tens of milliseconds on a thread of its own kind,
//! one for each core, beyond four cores for every two of them, and at low priority: logins wait for
//! mail. A password that was right is remembered, as a keyed hash in memory, until the user's hash
//! in the file changes; so thousands of connections of one migration cost one check. When thousands
//! of users come at once, after a restart say, they wait for their turn, the addresses in rotation,
//! so that a guesser keeps others waiting no longer than one of his guesses takes. A login that has
//! waited for nine tenths of `--login-time` is answered by `NO [UNAVAILABLE]`.
//!
//! **SCRAM** proves the password without showing it. Its keys, should the file be stolen, can be
//! attacked more cheaply than an argon2id hash: `user add --no-scram` and `user passwd --no-scram`
//! keep none, and then SCRAM is not offered to anybody, so that a client that prefers it does not
//! fail. Users of before have no keys until their password is set again. Names that do not exist
//! are answered as if they had keys like most users' (`users.secret` makes them, and keeps them the
//! same over restarts). Their salt changes at times of its own, half a year to three years apart,
//! as a user's does with the password.
//!
//! **Tokens** are JWTs, signed with RSA, P-256, P-384 or Ed25519 by a key of the set in
//! `--oauth-keys` (a JWKS file, read again when it changes; nothing is fetched). `exp`, `iss`
//! (`--oauth-issuer`) and `aud` (`--oauth-audience`) must be there and right, with a minute for
//! clocks that differ. `--oauth-user-claim` is required and names the one claim that says which
//! user it is. Name a claim that users cannot set themselves: `sub` is one at every issuer (OpenID
//! Connect Core section 5.7); `email` counts only in a token that says `"email_verified": true`, as
//! a JSON boolean; `preferred_username` is the user's own choice at many issuers, and then opens
//! anybody's mail. The user must be in the file.
//!
//! **Failures.** The answer to a failed login waits half a second, doubled with each further one up
//! to 15 seconds; one a minute is forgotten. A right password never waits. From one address a user
//! may fail 10 times in ten minutes and all users together 50 times (`--login-failures`); then
//! nothing more is looked at, the answer is `NO [UNAVAILABLE]`, until enough is forgotten: at any
//! time one a minute for the user, five for the address. A password that was right a moment ago is
//! let in all the same. So a migration with one wrong password does not stop the others from its
//! host; one with many wrong ones might, and wants a higher number. Loopback addresses are treated
//! like others.
//!
//! **Master users.** With `--master-user admin` the user `admin` opens everybody's mail with a
//! password of his own: he logs in as `alice*admin`, or names alice as the authorization identity
//! of PLAIN, SCRAM, OAUTHBEARER or EXTERNAL. alice must be in the file. It is logged each time.
//! There is none unless you name one.
//!
//! ## When mail is damaged
//!
//! A start that finds acknowledged mail damaged exits with 65 and changes nothing. The last line of
//! its log names file, offset and mailbox. There are three ways on:
//!
//! 1. Restore the damaged segment from a backup, and start again. This is the only way that brings
//!    everything back.
//! 2. Start with `--quarantine` (key `quarantine = true`): sound mail is served at once, and you
//!    restore later. Everything damaged is logged as an error, up to 100 lines, and listed in full
//!    in `quarantine.json`: file, offset, what is wrong, and user, mailbox and UIDs where they are
//!    known. `mailrace_damaged_messages` and `mailrace_damages` count them. Clients get
//!    `NO [CORRUPTION]` for each damaged message, and all others.
//! 3. For a single message whose octets are wrong: start with `--quarantine` and have the user
//!    expunge it. The next start needs no flag.
//!
//! Before you choose the second way, know what it means when frames are lost, and not only octets
//! of messages. The changes in them are lost: mail is missing, mail expunged in them is back, flags
//! are old, mailboxes may be missing, be back, or have names like `Recovered 3-17`. All mailboxes
//! of the accounts concerned get a new UIDVALIDITY, so their clients download everything again.
//! Copy the data folder first; the server does not change what is damaged, but the disk may be
//! failing.
//!
//! The flag is needed at every start until the damage is gone; without it, a start fails as before.
//! To repair a hole, stop the server, put the segment back from a backup, delete `catalog.redb` and
//! start. Mail that came since is kept. If that start says that a frame does not fit, mailboxes
//! have been created since whose names the lost frames hold as well: start once with
//! `--quarantine`.
//!
//! ## When the disk is full
//!
//! APPEND is answered by a tagged NO and leaves nothing behind. Reading goes on. Make room, and
//! appending works again, without a restart.
//!
//! Before that, segments get smaller: where the disk has no room for a whole one, the next takes
//! what there is, down to 1 MiB. Four segments of 1 MiB for each reactor are held back for those
//! who change what is there: STORE, MOVE, EXPUNGE and DELETE go on, for some 200 changes in each of
//! these segments. The last quarter of them is for EXPUNGE and DELETE alone. They are filled up
//! again when there is room. CREATE, COPY, RENAME and SUBSCRIBE are refused, and mail that is read
//! is not marked so.
//!
//! A start needs no room: it takes into use what is there, and no segment before the first write.
//! The catalog may have to grow; for that the file `spare` is given up. Only where that was not
//! there (a disk that was full already when this version came to it) does a start end with 74.
//!
//! ## When the data folder goes away
//!
//! A server whose data folder, folder of segments or segment in use was deleted or moved away ends
//! within a second, with BYE to its sessions and exit code 72: what it went on to store would have
//! no name. The unit does not start it again, because that would begin an empty folder.
