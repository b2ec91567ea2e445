//! Whether the bench itself keeps time: a laptop that slept, a container that was paused or a machine that is far too busy must
//! not be taken for a module that was late.

use std::time::{Duration, Instant, SystemTime};

use atspec_model::timeline::What;
use tokio::{task::JoinHandle, time::sleep};

use crate::record::Recorder;

/// Looks at the clock again and again as long as it lives, and records it where far more time has passed than it slept.
#[derive(Debug)]
pub(crate) struct Pulse(JoinHandle<()>);

impl Pulse {
    /// `margin` is what the bench allows for itself in every deadline. Has to be called within a tokio runtime.
    pub(crate) fn start(recorder: Recorder, margin: Duration) -> Self {
        Self(tokio::spawn(beat(recorder, margin)))
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A machine that sleeps stops one of the clocks and not the other.
#[derive(Debug, Clone, Copy)]
struct Beat {
    monotonic: Instant,
    wall: SystemTime,
}

impl Beat {
    fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// The longer of the times by both clocks. A clock that was set back tells none.
    fn since(&self, earlier: &Self) -> Duration {
        let wall = self.wall.duration_since(earlier.wall).unwrap_or_default();
        self.monotonic.duration_since(earlier.monotonic).max(wall)
    }
}

async fn beat(recorder: Recorder, margin: Duration) {
    let period = margin / 4;
    let mut last = Beat::now();
    loop {
        sleep(period).await;
        let now = Beat::now();
        if let Some(ms) = stall(now.since(&last), period, margin) {
            recorder.push(What::Stalled { ms });
        }
        last = now;
    }
}

/// How long the bench stood still, in ms, where that is more than half of its margin: the other half is for what comes with it.
fn stall(passed: Duration, period: Duration, margin: Duration) -> Option<u64> {
    let late = passed.saturating_sub(period);
    (late > margin / 2).then(|| u64::try_from(late.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_what_endangers_a_deadline_counts() {
        let (period, margin) = (SECOND / 2, SECOND * 2);
        assert_eq!(stall(period, period, margin), None);
        assert_eq!(stall(period + SECOND, period, margin), None);
        assert_eq!(stall(period + SECOND * 3, period, margin), Some(3000));
    }

    #[test]
    fn both_clocks_count() {
        let earlier = Beat::now();
        let slept = Beat { wall: earlier.wall + SECOND * 60, ..earlier };
        assert_eq!(slept.since(&earlier), SECOND * 60);
        let set_back = Beat { monotonic: earlier.monotonic + SECOND, wall: earlier.wall - SECOND * 60 };
        assert_eq!(set_back.since(&earlier), SECOND);
    }

    #[tokio::test]
    async fn a_bench_that_stands_still_says_so() {
        let recorder = Recorder::new();
        let _pulse = Pulse::start(recorder.clone(), Duration::from_millis(40));
        // The pulse begins, and then nothing of this thread runs.
        sleep(Duration::from_millis(1)).await;
        std::thread::sleep(Duration::from_millis(200));
        recorder.changed().await;
        let events = recorder.take();
        assert!(events.iter().any(|e| matches!(e.what, What::Stalled { ms: 100.. })), "{events:?}");
    }
}
