//! Not falling asleep where an answer is due within some µs: to wake a core up costs more than the work that it is woken for.

use std::{
    num::NonZero,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::yield_now;

/// How long a wait stays awake: longer than an emulated module needs for an answer, and nothing against the patience of a wait.
const AWAKE: Duration = Duration::from_micros(300);

/// How many are there in this process. As many as there are cores keep them awake by their work.
static ALL: AtomicUsize = AtomicUsize::new(0);

/// Somebody who waits for answers, one after the other.
#[derive(Debug)]
pub(crate) struct Alert(());

impl Alert {
    pub(crate) fn new() -> Self {
        ALL.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// Never ends. Polled beside what is waited for, it keeps the core awake for a moment, where nobody else needs it.
    pub(crate) async fn stay(&self) {
        let until = Instant::now() + AWAKE;
        while ALL.load(Ordering::Relaxed) < cores() && Instant::now() < until {
            yield_now().await;
        }
        std::future::pending::<()>().await;
    }
}

impl Drop for Alert {
    fn drop(&mut self) {
        ALL.fetch_sub(1, Ordering::Relaxed);
    }
}

fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}
