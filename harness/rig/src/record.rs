//! The recorder: one clock, one order, for everything that touches the module.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use atspec_model::timeline::{Event, What};
use tokio::sync::Notify;

/// Takes events from the serial link, the tap and the driver in the order in which they happen. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    log: Mutex<Log>,
    changed: Notify,
}

#[derive(Debug)]
struct Log {
    began: Instant,
    /// The same instant by the wall clock.
    date: SystemTime,
    events: Vec<Event>,
}

impl Log {
    fn new() -> Self {
        Self { began: Instant::now(), date: SystemTime::now(), events: Vec::new() }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// An empty recorder whose clock starts now.
    pub fn new() -> Self {
        Self(Arc::new(Shared { log: Mutex::new(Log::new()), changed: Notify::new() }))
    }

    /// Forgets everything and starts the clock again: a case begins.
    pub fn restart(&self) {
        *self.log() = Log::new();
    }

    /// When the case began, in µs since 1970 by the wall clock.
    pub fn began_us(&self) -> Option<u64> {
        let since = self.log().date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        u64::try_from(since.as_micros()).ok()
    }

    /// Begins a recording that goes on behind `events` of an earlier one, as if no time had passed in between.
    pub fn resume(&self, events: Vec<Event>) {
        let passed = events.last().map_or(0, |e| e.at_us);
        let now = Instant::now();
        let began = now.checked_sub(Duration::from_micros(passed)).unwrap_or(now);
        *self.log() = Log { began, events, ..Log::new() };
    }

    /// Records an event that happens now; returns its index.
    pub fn push(&self, what: What) -> usize {
        let mut log = self.log();
        let at_us = u64::try_from(log.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        log.events.push(Event { at_us, what });
        let index = log.events.len() - 1;
        drop(log);
        self.0.changed.notify_one();
        index
    }

    /// Waits until something has been recorded since the last wait. There is one waiter, the driver.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Looks at the events from `start` on.
    pub fn since<R>(&self, start: usize, look: impl FnOnce(&[Event]) -> R) -> R {
        let log = self.log();
        look(log.events.get(start..).unwrap_or_default())
    }

    /// Takes all events out: the case is over.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.log().events)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
