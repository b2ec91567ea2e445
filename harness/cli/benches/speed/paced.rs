//! A line as slow as a real one: each byte takes its ten bits.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use atspec_emulator::{PortGuard, pseudo_terminal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};

use crate::{
    cases::{self, Publications, processor_time, processor_time_since},
    module::{self, Apart},
};

/// Bits a second.
pub(crate) const BAUD: u32 = 115_200;

/// What a start bit, eight bits and a stop bit take.
const BYTE: Duration = Duration::from_nanos(10 * 1_000_000_000 / BAUD as u64);

/// A sleep may end so much too late; the rest is waited for awake, since less than that is to be measured.
const SLEEP_SLACK: Duration = Duration::from_micros(300);

/// What a case takes on such a line.
pub(crate) struct OnTheLine {
    /// What its bytes need, both ways.
    pub(crate) line: Duration,
    /// What it took longer than that.
    pub(crate) more: Duration,
    /// What the harness used of a processor; the module has a thread of its own.
    pub(crate) processor: Duration,
}

/// Drives publications on a line that is paced.
pub(crate) fn cases(what: Publications, time: Duration) -> OnTheLine {
    let carried = Arc::new(AtomicU64::new(0));
    let (io, line_end) = duplex(64 * 1024);
    let (_module, ()) = Apart::on(move || (io, ()));
    let (path, _guard) = line(line_end, Arc::clone(&carried));
    module::runtime().block_on(async {
        // The opening of the session is not counted.
        let mut first = None;
        let mut done = 0_u32;
        cases::drive(what, path, |_| {
            let bytes = carried.load(Ordering::Relaxed);
            let (began, ..) = *first.get_or_insert_with(|| (Instant::now(), processor_time(), bytes));
            done += 1;
            began.elapsed() < time
        })
        .await;
        let (began, used, before): (Instant, Duration, u64) = first.expect("at least one case");
        let (took, processor) = (began.elapsed(), processor_time_since(used));
        let bytes = carried.load(Ordering::Relaxed) - before;
        let line = BYTE * u32::try_from(bytes).expect("few seconds");
        let cases = (done - 1).max(1);
        OnTheLine {
            line: line / cases,
            more: took.saturating_sub(line) / cases,
            processor: processor / cases,
        }
    })
}

/// A terminal from which bytes come to the module's end and back no faster than the line; counts what it carried.
fn line(
    module: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    carried: Arc<AtomicU64>,
) -> (PathBuf, PortGuard) {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        module::runtime().block_on(async {
            let (host, path, guard) = pseudo_terminal().expect("a pseudo-terminal");
            tell.send((path, guard)).expect("somebody waits");
            let (mut from_host, mut to_host) = tokio::io::split(host);
            let (mut from_module, mut to_module) = tokio::io::split(module);
            let (mut command, mut reply) = ([0; 4096], [0; 4096]);
            let (mut there, mut back) = (Instant::now(), Instant::now());
            loop {
                let carried_now = tokio::select! {
                    read = from_host.read(&mut command) => carry(&command, read, &mut there, &mut to_module).await,
                    read = from_module.read(&mut reply) => carry(&reply, read, &mut back, &mut to_host).await,
                };
                match carried_now {
                    Some(bytes) => carried.fetch_add(bytes, Ordering::Relaxed),
                    None => return,
                };
            }
        });
    });
    told.recv().expect("a line")
}

/// Brings bytes to the other end when the last of them would be there; `free` is when the line is free again.
async fn carry(
    bytes: &[u8],
    read: std::io::Result<usize>,
    free: &mut Instant,
    to: &mut (impl AsyncWrite + Unpin),
) -> Option<u64> {
    let count = read.ok().filter(|count| *count > 0)?;
    *free = Instant::now().max(*free) + BYTE * u32::try_from(count).ok()?;
    std::thread::sleep(free.saturating_duration_since(Instant::now()).saturating_sub(SLEEP_SLACK));
    while Instant::now() < *free {
        std::hint::spin_loop();
    }
    to.write_all(&bytes[..count]).await.ok()?;
    u64::try_from(count).ok()
}
