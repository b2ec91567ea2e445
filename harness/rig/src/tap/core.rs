//! The state behind the lock: the partner, the broker behind it, and what is recorded of which connection.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use atspec_model::{
    partner::{Admission, Command, ConnId, NoConnection, Output, Partner},
    timeline::{Close, Side, What},
};
use tokio::task::JoinSet;

use super::{
    Shared,
    line::{self, Io, Item, Outbox},
};
use crate::{
    broker::{BrokerError, Upstream},
    record::Recorder,
};

/// Bytes of a connection that are recorded before it is known whose it is.
const UNDECIDED_BYTES: usize = 4096;
/// Strangers of one case that leave a trace.
const STRANGERS: usize = 16;
/// Connections at a time.
const CONNECTIONS: usize = 64;
/// Bytes that may wait for a module which does not read.
const UNREAD_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of the module's connections that one case records.
const RECORDED_BYTES: usize = 128 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Core {
    partner: Partner,
    admission: Admission,
    upstream: Upstream,
    recorder: Recorder,
    began: Instant,
    lines: BTreeMap<ConnId, Line>,
    tasks: JoinSet<()>,
    next_conn: ConnId,
    strangers: usize,
    /// Bytes of the module's connections in this case.
    recorded: usize,
    /// The timeout that the timekeeper waits for.
    armed: Option<u64>,
}

/// One connection as the core sees it.
#[derive(Debug)]
struct Line {
    outbox: Arc<Outbox>,
    trace: Trace,
}

/// What is recorded of a connection.
#[derive(Debug)]
enum Trace {
    /// Whose it is will show: the beginning is recorded, or kept when there were many strangers; the rest is kept.
    Undecided { recorded: usize, kept: Vec<What>, silent: bool },
    /// Everything.
    Module,
    /// Nothing any more.
    Nothing,
}

impl Core {
    pub(super) fn new(partner: Partner, upstream: Upstream, recorder: Recorder) -> Self {
        Self {
            partner,
            admission: Admission::Everyone,
            upstream,
            recorder,
            began: Instant::now(),
            lines: BTreeMap::new(),
            tasks: JoinSet::new(),
            next_conn: 1,
            strangers: 0,
            recorded: 0,
            armed: None,
        }
    }

    /// A connection was accepted; a task of its own serves it from now on.
    pub(super) fn open(shared: &Arc<Shared>, io: Box<dyn Io>, peer: String) {
        let mut core = shared.core();
        while core.tasks.try_join_next().is_some() {}
        if core.lines.len() >= CONNECTIONS {
            return core
                .fault(format!("more than {CONNECTIONS} connections at a time; one was not accepted"));
        }
        let conn = core.next_conn;
        core.next_conn += 1;
        let outbox = Arc::<Outbox>::default();
        let silent = core.strangers >= STRANGERS;
        let trace = Trace::Undecided { recorded: 0, kept: Vec::new(), silent };
        core.lines.insert(conn, Line { outbox: outbox.clone(), trace });
        core.record(conn, What::Opened { conn, peer });
        core.act(shared, |partner, now| partner.connected(conn, now));
        core.tasks.spawn(line::serve(shared.clone(), conn, io, outbox));
    }

    /// Does something to the partner, and then everything that follows from it.
    pub(super) fn act<R>(&mut self, shared: &Arc<Shared>, act: impl FnOnce(&mut Partner, u64) -> R) -> R {
        let now = self.now();
        let result = act(&mut self.partner, now);
        self.follow(now);
        let next = self.partner.next_timeout();
        if next.is_some_and(|next| self.armed.is_none_or(|armed| next < armed)) {
            shared.earlier.notify_one();
        }
        result
    }

    pub(super) fn command(&mut self, shared: &Arc<Shared>, command: Command) -> Result<(), NoConnection> {
        let words = command.to_string();
        let now = self.now();
        self.partner.command(command, now)?;
        self.recorder.push(What::Broker { command: words });
        self.act(shared, |_, _| ());
        Ok(())
    }

    pub(super) fn begin(&mut self, shared: &Arc<Shared>, admission: Admission) {
        self.lines.values_mut().for_each(|line| line.trace = Trace::Nothing);
        (self.strangers, self.recorded) = (0, 0);
        self.admission = admission.clone();
        self.act(shared, |partner, _| partner.admit(admission));
        let result = self.upstream.reset();
        self.check(result);
    }

    pub(super) fn admission(&self) -> Admission {
        self.admission.clone()
    }

    pub(super) fn module_connections(&self) -> usize {
        self.partner.module_connections()
    }

    /// What the broker behind has not answered or delivered.
    pub(super) fn owed(&self) -> usize {
        self.partner.owed()
    }

    /// When the partner has to be called next; remembered, so that only an earlier time wakes the timekeeper.
    pub(super) fn arm(&mut self) -> Option<Instant> {
        self.armed = self.partner.next_timeout();
        self.armed.and_then(|at| self.began.checked_add(Duration::from_micros(at)))
    }

    /// Something of the tap or the broker behind failed.
    pub(super) fn fault(&mut self, what: String) {
        self.recorder.push(What::Fault { what });
    }

    /// The tap goes.
    pub(super) fn abandon(&mut self) {
        self.tasks.abort_all();
        self.lines.clear();
    }

    /// Records something of a connection, as far as it is known whose it is.
    pub(super) fn record(&mut self, conn: ConnId, what: What) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        match &mut line.trace {
            Trace::Nothing => {}
            Trace::Module => {
                self.recorded += match &what {
                    What::FromModule { bytes, .. } | What::ToModule { bytes, .. } => bytes.len(),
                    _ => 0,
                };
                if self.recorded > RECORDED_BYTES {
                    self.lines.values_mut().for_each(|line| line.trace = Trace::Nothing);
                    return self.fault(format!(
                        "more than {RECORDED_BYTES} bytes in one case; the rest is not recorded"
                    ));
                }
                self.recorder.push(what);
            }
            Trace::Undecided { recorded, kept, silent } => {
                let size = if let What::FromModule { bytes, .. } = &what { bytes.len() } else { 0 };
                if *silent || *recorded + size > UNDECIDED_BYTES {
                    // No more than one packet: the partner closes a connection that sends more before its CONNECT.
                    keep(kept, what);
                } else {
                    *recorded += size;
                    self.recorder.push(what);
                }
            }
        }
    }

    /// A line is over.
    pub(super) fn gone(&mut self, conn: ConnId) {
        self.lines.remove(&conn);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Does what the partner asks for.
    fn follow(&mut self, now: u64) {
        while let Some(output) = self.partner.poll() {
            match output {
                Output::Send { conn, bytes } => {
                    if self.put(conn, Item::Bytes(bytes)) > UNREAD_BYTES {
                        self.fault(format!(
                            "more than {UNREAD_BYTES} bytes wait for the module to read them"
                        ));
                        self.partner.cut(conn, now);
                    }
                }
                Output::Pause { conn } => {
                    self.put(conn, Item::Pause);
                }
                Output::Close { conn, how, .. } => {
                    self.put(conn, Item::Close(how));
                }
                Output::HalfClose { conn } => {
                    self.put(conn, Item::HalfClose);
                }
                Output::Reading { conn, on } => {
                    if let Some(line) = self.lines.get(&conn) {
                        line.outbox.set_reading(on);
                    }
                }
                Output::Altered { conn, packet, action } => {
                    self.record(conn, What::Altered { conn, packet, action });
                }
                Output::Module { conn } => self.adopt(conn),
                Output::Stranger { conn, why } => self.turn_away(conn, why),
                Output::Subscribe { session, ticket, filters } => {
                    let result = self.upstream.subscribe(session, ticket, &filters);
                    if result.is_err() {
                        self.partner.subscribed(ticket, &vec![0x80; filters.len()], now);
                    }
                    self.check(result);
                }
                Output::Unsubscribe { session, filters } => {
                    let result = self.upstream.unsubscribe(session, &filters);
                    self.check(result);
                }
                Output::Publish { message, .. } => {
                    let result = self.upstream.publish(message);
                    self.check(result);
                }
                Output::SessionEnded { session } => self.upstream.end_session(session),
                Output::Fault(what) => self.fault(what),
            }
        }
    }

    /// Hands something to a line; returns how many bytes wait there.
    fn put(&mut self, conn: ConnId, item: Item) -> usize {
        self.lines.get(&conn).map_or(0, |line| line.outbox.put(item))
    }

    fn check(&mut self, result: Result<(), BrokerError>) {
        if let Err(error) = result {
            self.fault(error.to_string());
        }
    }

    /// The connection is the module's: what was kept of it is recorded.
    fn adopt(&mut self, conn: ConnId) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        if let Trace::Undecided { kept, .. } = std::mem::replace(&mut line.trace, Trace::Module) {
            for what in kept {
                self.recorder.push(what);
            }
        }
    }

    fn turn_away(&mut self, conn: ConnId, why: String) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        let was = std::mem::replace(&mut line.trace, Trace::Nothing);
        self.strangers += 1;
        if matches!(was, Trace::Undecided { silent: false, .. }) {
            self.recorder.push(What::Stranger { conn, why });
        }
    }
}

/// Keeps an event for later; bytes that follow bytes join them.
fn keep(kept: &mut Vec<What>, what: What) {
    match (kept.last_mut(), what) {
        (Some(What::FromModule { bytes: before, .. }), What::FromModule { bytes, .. }) => {
            before.extend(bytes);
        }
        (_, what) => kept.push(what),
    }
}

/// A recorded end.
pub(super) fn closed(conn: ConnId, by: Side, how: Close) -> What {
    What::Closed { conn, by, how }
}
