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
    /// Processor time of judging one case.
    pub(crate) judging: Duration,
}

/// Drives publications on so many modules at once, each lane a thread with a module in it.
pub(crate) fn on_lanes(what: Publications, lanes: usize, time: Duration) -> Measured {
    let lane = move || {
        let runtime = module::runtime();
        runtime.block_on(async {
            let (io, path, _guard) = pseudo_terminal().expect("a pseudo-terminal");
            let _module = Emulator::spawn(module::profile(), module::options(), io);
            let mut last = None;
            let (began, mut done) = (Instant::now(), 0_u32);
            drive(what, path, |tried| {
                last = Some(tried);
                done += 1;
                began.elapsed() < time
            })
            .await;
            (f64::from(done) / began.elapsed().as_secs_f64(), last.expect("at least one"))
        })
    };
    let threads: Vec<_> = (0..lanes).map(|_| std::thread::spawn(lane)).collect();
    let (speeds, mut tried): (Vec<f64>, Vec<Tried>) =
        threads.into_iter().map(|thread| thread.join().expect("a lane")).unzip();
    let tried = tried.pop().expect("at least one lane");
    Measured { speed: speeds.iter().sum(), judging: judging(&tried) }
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
    let whole = judge(&tried.case, &profile, &tried.timeline);
    let opened = tried.timeline.events.iter().position(|event| is_step(&event.what, tried.opening));
    let mut seen = Seen::new(&profile);
    seen.follow(&tried.case, &tried.timeline.events[..opened.expect("a step behind the opening")]);
    let began = processor_time();
    for _ in 0..1000 {
        let judgement = judge_from(seen.clone(), &tried.case, &tried.timeline);
        assert_eq!(judgement, whole);
    }
    (processor_time() - began) / 1000
}

fn is_step(what: &What, step: usize) -> bool {
    matches!(what, What::Step { index, .. } if *index == step)
}

/// What this thread has used of a processor: others on the machine do not count.
fn processor_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}
