//! This harness: publications that are driven, recorded and judged.

use std::{
    collections::VecDeque,
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use atspec_emulator::{Emulator, pseudo_terminal};
use atspec_model::{
    case::Context,
    judge::{Seen, judge, judge_from},
    timeline::{Settings, Timeline, What},
    verdict::Verdict,
};
use atspec_rig::{
    bench::{Bench, Options},
    link::Address,
    sitting::{Sitting, Tried},
};
use atspec_suites::campaign::{
    action::{Action, Bytes, Input, Publication},
    case::case,
};

use crate::module::{self, CLOCK_FACTOR};

/// Recordings of passing cases that are kept, as a campaign does.
const RING: usize = 8;

/// How often a case is judged to know how long it takes; the processor time is known to some ms only.
const JUDGED: u32 = 10_000;

/// Publications that are all alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publications {
    pub(crate) qos: u8,
    /// Bytes of the payload.
    pub(crate) len: usize,
}

impl fmt::Display for Publications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QoS {}, {} bytes", self.qos, self.len)
    }
}

/// What was measured.
pub(crate) struct Measured {
    /// Cases a second, of all lanes together.
    pub(crate) speed: f64,
    /// Processor time of a case, that of the module included: what others on the machine do is not in it.
    pub(crate) processor: Option<Duration>,
    /// Processor time of judging a case.
    pub(crate) judging: Option<Duration>,
}

impl Measured {
    /// Keeps the better of two measurements of the same.
    pub(crate) fn improve(&mut self, again: &Self) {
        let less = |a: Option<Duration>, b: Option<Duration>| a.into_iter().chain(b).min();
        self.speed = self.speed.max(again.speed);
        self.processor = less(self.processor, again.processor);
        self.judging = less(self.judging, again.judging);
    }
}

/// Drives publications on so many modules at once, each lane a thread with a module in it.
pub(crate) fn on_lanes(what: Publications, lanes: usize, time: Duration) -> Measured {
    let threads: Vec<_> = (0..lanes).map(|_| std::thread::spawn(move || lane(what, time))).collect();
    let all: Vec<Measured> = threads.into_iter().map(|thread| thread.join().expect("a lane")).collect();
    let speed = all.iter().map(|lane| lane.speed).sum();
    let together = all.into_iter().reduce(|mut a, b| {
        a.improve(&b);
        a
    });
    Measured { speed, ..together.expect("at least one lane") }
}

fn lane(what: Publications, time: Duration) -> Measured {
    module::runtime().block_on(async {
        let (io, path, _guard) = pseudo_terminal().expect("a pseudo-terminal");
        let _module = Emulator::spawn(module::profile(), module::options(), io);
        let mut last = None;
        // The opening of the session is not counted.
        let mut first: Option<(Instant, Duration)> = None;
        let mut done = 0_u32;
        drive(what, path, |tried| {
            let (began, _) = *first.get_or_insert_with(|| (Instant::now(), processor_time()));
            last = Some(tried);
            done += 1;
            began.elapsed() < time
        })
        .await;
        let (began, used) = first.expect("at least one case");
        Measured {
            speed: f64::from(done - 1) / began.elapsed().as_secs_f64(),
            processor: Some(processor_time_since(used) / (done - 1).max(1)),
            judging: Some(judging(&last.expect("at least one case"))),
        }
    })
}

/// Drives so many publications and tells, ten times, how many are done.
pub(crate) fn watched(what: Publications, cases: u32, mut tell: impl FnMut(u32)) {
    module::runtime().block_on(async {
        let (io, path, _guard) = pseudo_terminal().expect("a pseudo-terminal");
        let _module = Emulator::spawn(module::profile(), module::options(), io);
        let mut ring: VecDeque<Timeline> = VecDeque::with_capacity(RING);
        let mut done = 0;
        drive(what, path, |tried| {
            if ring.len() == RING {
                ring.pop_front();
            }
            ring.push_back(tried.timeline);
            done += 1;
            if done == 1 || done % (cases / 10).max(1) == 0 {
                tell(done);
            }
            done < cases
        })
        .await;
    });
}

/// Drives publications on the module at a path, as long as `go_on`; each has to pass.
pub(crate) async fn drive(what: Publications, path: PathBuf, mut go_on: impl FnMut(Tried) -> bool) {
    let profile = module::profile();
    let options = Options {
        port: Address::Device(path),
        baud: None,
        listen: "127.0.0.1:0".parse().expect("an address"),
        advertise: None,
        broker: None,
        settings: Settings { clock_factor: CLOCK_FACTOR, margin_ms: 2000 },
        least_quiet: Duration::ZERO,
        seed: 1,
    };
    let (_interrupt, interrupted) = tokio::sync::watch::channel(false);
    let mut bench = Bench::set_up(&profile, options, interrupted).await.expect("a bench");
    bench.bring_up().await.expect("a module that answers");
    let mut sitting = Sitting::new(&mut bench, None);
    let input = Input::one(Action::Publish(Publication {
        by: "publish".to_owned(),
        topic: Bytes(b"t".to_vec()),
        qos: what.qos,
        payload: Bytes(vec![b'x'; what.len]),
        ..Publication::default()
    }));
    let make = |cx: &Context<'_>| case(cx, "fuzz/payload", &input);
    loop {
        let tried = sitting.attempt("fuzz/payload", &make).await.expect("a module that answers");
        assert_eq!(tried.judgement.verdict, Verdict::Pass, "{}", tried.judgement.message);
        if !go_on(tried) {
            return;
        }
    }
}

/// Processor time of judging a try, its opening looked at already, as in a sitting.
fn judging(tried: &Tried) -> Duration {
    let profile = module::profile();
    let opened = tried.timeline.events.iter().position(|event| is_step(&event.what, tried.opening));
    let mut seen = Seen::new(&profile);
    seen.follow(&tried.case, &tried.timeline.events[..opened.expect("a step behind the opening")]);
    let judged = || judge_from(seen.clone(), &tried.case, &tried.timeline);
    assert_eq!(judged(), judge(&tried.case, &profile, &tried.timeline), "the opening makes no difference");
    let began = processor_time();
    for _ in 0..JUDGED {
        std::hint::black_box(judged());
    }
    processor_time_since(began) / JUDGED
}

fn is_step(what: &What, step: usize) -> bool {
    matches!(what, What::Step { index, .. } if *index == step)
}

/// What this thread has used of a processor: others on the machine do not count.
pub(crate) fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// The same since an earlier look.
pub(crate) fn processor_time_since(earlier: Duration) -> Duration {
    processor_time().saturating_sub(earlier)
}
