//! One connection: the task that reads from it, writes to it and ends it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use atspec_model::{
    partner::ConnId,
    timeline::{Close, Side, What},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep_until, timeout_at},
};

use super::{Shared, core::closed};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;
/// Between two segments that are to be read one by one; no promise, since TCP has none.
const APART: Duration = Duration::from_millis(3);
/// How long a module that does not read can put off the end of its connection.
const FLUSH: Duration = Duration::from_secs(1);
/// How long the module's own end is waited for after ours.
const LINGER: Duration = Duration::from_secs(1);

/// A byte stream to a module.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the drop that follows reset the connection instead of ending it orderly.
    fn reset(&self);
}

impl Io for TcpStream {
    fn reset(&self) {
        // Fails only on a socket that is dead already.
        let _ = self.set_zero_linger();
    }
}

/// Something for a line to do.
#[derive(Debug)]
pub(super) enum Item {
    /// One write.
    Bytes(Vec<u8>),
    /// Nothing for a moment.
    Pause,
    HalfClose,
    Close(Close),
}

/// What the core wants of a line.
#[derive(Debug)]
pub(super) struct Outbox {
    wishes: Mutex<Wishes>,
    changed: Notify,
}

#[derive(Debug)]
struct Wishes {
    items: VecDeque<Item>,
    bytes: usize,
    reading: bool,
    /// Since when the line is to be closed.
    closing: Option<Instant>,
}

impl Default for Outbox {
    fn default() -> Self {
        let wishes = Wishes { items: VecDeque::new(), bytes: 0, reading: true, closing: None };
        Self { wishes: Mutex::new(wishes), changed: Notify::new() }
    }
}

impl Outbox {
    /// Returns how many bytes wait.
    pub(super) fn put(&self, item: Item) -> usize {
        let mut wishes = self.wishes();
        match &item {
            Item::Bytes(bytes) => wishes.bytes += bytes.len(),
            Item::Close(_) => wishes.closing = Some(Instant::now()),
            Item::Pause | Item::HalfClose => {}
        }
        wishes.items.push_back(item);
        self.changed.notify_one();
        wishes.bytes
    }

    pub(super) fn set_reading(&self, on: bool) {
        self.wishes().reading = on;
        self.changed.notify_one();
    }

    fn next(&self) -> Option<Item> {
        let mut wishes = self.wishes();
        let item = wishes.items.pop_front();
        if let Some(Item::Bytes(bytes)) = &item {
            wishes.bytes -= bytes.len();
        }
        item
    }

    /// The close that is wished for, whatever else waits.
    fn close(&self) -> Close {
        let last = self
            .wishes()
            .items
            .iter()
            .rev()
            .find_map(|i| if let Item::Close(how) = i { Some(*how) } else { None });
        last.unwrap_or(Close::Rst)
    }

    fn reading(&self) -> bool {
        self.wishes().reading
    }

    fn deadline(&self) -> Option<Instant> {
        self.wishes().closing.map(|since| since + FLUSH)
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a connection until it is over in both directions.
pub(super) async fn serve(shared: Arc<Shared>, conn: ConnId, io: Box<dyn Io>, outbox: Arc<Outbox>) {
    let (read, write) = split(io);
    let mut line = Line { shared, conn, outbox, read, write, module_ended: false, broker_ended: false };
    let end = line.run().await;
    line.finish(end).await;
}

struct Line {
    shared: Arc<Shared>,
    conn: ConnId,
    outbox: Arc<Outbox>,
    read: ReadHalf<Box<dyn Io>>,
    write: WriteHalf<Box<dyn Io>>,
    module_ended: bool,
    broker_ended: bool,
}

impl Line {
    /// Reads and writes until one side ends the connection; returns how ours ends.
    async fn run(&mut self) -> Close {
        let mut buffer = vec![0; CHUNK];
        let mut writing: Vec<u8> = Vec::new();
        let mut written = 0;
        let mut resting: Option<Instant> = None;
        loop {
            if written == writing.len() && resting.is_none() {
                match self.outbox.next() {
                    Some(Item::Bytes(bytes)) => {
                        // Before it is written, so that no reaction can precede it.
                        self.record(What::ToModule { conn: self.conn, bytes: bytes.clone() });
                        (writing, written) = (bytes, 0);
                        continue;
                    }
                    Some(Item::Pause) => {
                        resting = Some(Instant::now() + APART);
                        continue;
                    }
                    Some(Item::HalfClose) => {
                        self.end_writing().await;
                        continue;
                    }
                    Some(Item::Close(how)) => return how,
                    None => {}
                }
            }
            let at = |time: Option<Instant>| async move {
                match time {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            let (rest_over, flush_over) = (at(resting), at(self.outbox.deadline()));
            tokio::select! {
                result = self.read.read(&mut buffer), if self.outbox.reading() => {
                    if let Some(how) = self.take(&buffer, result.ok()) {
                        return how;
                    }
                }
                result = self.write.write(&writing[written..]), if written < writing.len() => match result {
                    Ok(count) if count > 0 => written += count,
                    _ => return self.module_end(Close::Rst),
                },
                () = self.outbox.changed.notified() => {}
                () = rest_over => resting = None,
                () = flush_over => return self.outbox.close(),
            }
        }
    }

    /// What was read goes to the recorder, then to the partner. At the module's end: how ours is to be.
    fn take(&mut self, buffer: &[u8], count: Option<usize>) -> Option<Close> {
        match count {
            Some(0) => Some(self.module_end(Close::Fin)),
            Some(count) => {
                let bytes = &buffer[..count];
                self.record(What::FromModule { conn: self.conn, bytes: bytes.to_vec() });
                self.shared.act(|partner, now| partner.received(self.conn, bytes, now));
                None
            }
            // Whatever the error, nothing orderly will come any more.
            None => Some(self.module_end(Close::Rst)),
        }
    }

    /// The module ended the connection. What was still to be sent is lost, as it would be with any broker.
    fn module_end(&mut self, how: Close) -> Close {
        self.module_ended = true;
        self.record(closed(self.conn, Side::Module, how));
        self.shared.act(|partner, now| partner.ended(self.conn, now));
        how
    }

    /// Ends our direction, if it has not ended.
    async fn end_writing(&mut self) {
        if !std::mem::replace(&mut self.broker_ended, true) {
            self.record(closed(self.conn, Side::Broker, Close::Fin));
            let _ = self.write.shutdown().await;
        }
    }

    async fn finish(mut self, how: Close) {
        match how {
            Close::Rst if !self.module_ended => {
                self.record(closed(self.conn, Side::Broker, Close::Rst));
                self.shared.core().gone(self.conn);
                let Self { read, write, .. } = self;
                read.unsplit(write).reset();
            }
            Close::Rst => self.shared.core().gone(self.conn),
            Close::Fin => {
                self.end_writing().await;
                if !self.module_ended {
                    self.drain().await;
                }
                self.shared.core().gone(self.conn);
            }
        }
    }

    /// Takes what the module sent before it learnt of the end: unread bytes would turn the close into a reset.
    async fn drain(&mut self) {
        let mut buffer = vec![0; CHUNK];
        let until = Instant::now() + LINGER;
        while let Ok(result) = timeout_at(until, self.read.read(&mut buffer)).await {
            match result {
                Ok(0) => return self.record(closed(self.conn, Side::Module, Close::Fin)),
                Ok(count) => {
                    self.record(What::FromModule { conn: self.conn, bytes: buffer[..count].to_vec() });
                }
                Err(_) => return self.record(closed(self.conn, Side::Module, Close::Rst)),
            }
        }
    }

    fn record(&self, what: What) {
        self.shared.core().record(self.conn, what);
    }
}
