//! How fast publications are driven over AT on a pseudo-terminal, observed on the wire, recorded and judged byte for byte,
//! beside the bare loop that does nothing but carry bytes. `just bench` prints the table that BENCHMARKS.md keeps.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use atspec_emulator::{Emulator, Options as EmulatorOptions, pseudo_terminal};
use atspec_model::{case::Context, judge::judge, profile::Profile, timeline::Settings, verdict::Verdict};
use atspec_rig::{
    bench::{Bench, Options},
    link::Address,
    sitting::{Sitting, Tried},
};
use atspec_suites::campaign::{
    action::{Action, Bytes, Input, Publication},
    case::case,
};

/// How long each line of the table is measured.
const MEASURED: Duration = Duration::from_secs(4);

fn main() {
    // `cargo test` runs benchmarks as tests: then there is nothing to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let bare = bare_loop();
    println!("| what | a second | of the bare loop |\n|---|---|---|");
    println!("| bare loop: line, TCP message, TCP reply, line; nothing parsed | {bare:.0} | 1 |");
    for (qos, len) in [(0, 16), (0, 1024), (1, 16), (1, 1024)] {
        let (speed, judging) = cases(qos, len);
        let ratio = speed / bare;
        println!(
            "| publications of QoS {qos}, {len} bytes, recorded and judged ({:.0} µs of it judging) | {speed:.0} | {ratio:.2} |",
            judging.as_secs_f64() * 1e6
        );
    }
}

/// Trips a second of a line on a pseudo-terminal that becomes a TCP message, whose reply becomes a line again. Two threads.
fn bare_loop() -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (module, path, _guard) = runtime.block_on(async { pseudo_terminal() }).expect("a pseudo-terminal");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let far = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let mut host = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("the terminal");
        let mut lines = BufReader::new(host.try_clone().expect("a second handle"));
        let (mut line, mut buffer) = (String::new(), [0; 64]);
        let (began, mut trips) = (Instant::now(), 0_u32);
        while began.elapsed() < MEASURED {
            host.write_all(b"AT+MPUB=\"topic\",1,0,\"sixteen bytes ..\"\n").expect("written");
            let n = stream.read(&mut buffer).expect("a message");
            stream.write_all(&buffer[..n]).expect("a reply");
            line.clear();
            lines.read_line(&mut line).expect("a line");
            trips += 1;
        }
        f64::from(trips) / began.elapsed().as_secs_f64()
    });
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut module = module;
        let mut buffer = [0; 256];
        while !far.is_finished() {
            let Ok(Ok(n)) = tokio::time::timeout(
                Duration::from_millis(200),
                AsyncReadExt::read(&mut module, &mut buffer),
            )
            .await
            else {
                break;
            };
            if n == 0 || stream.write_all(&buffer[..n.min(60)]).is_err() {
                break;
            }
            let Ok(n) = stream.read(&mut buffer) else { break };
            if n == 0 || AsyncWriteExt::write_all(&mut module, b"PUBACK\n").await.is_err() {
                break;
            }
        }
    });
    far.join().expect("the far side")
}

/// Cases a second on an emulated module, and the time that judging one takes.
fn cases(qos: u8, len: usize) -> (f64, Duration) {
    let source = atspec_fixtures::profile("air780e").expect("shipped");
    let profile = Arc::new(Profile::load(source).expect("without mistakes"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (io, path, _guard) = pseudo_terminal().expect("a pseudo-terminal");
        let options = EmulatorOptions { clock_factor: 0.04, ..EmulatorOptions::default() };
        let _module = Emulator::spawn(Arc::clone(&profile), options, io);
        let options = Options {
            port: Address::Device(path),
            baud: None,
            listen: "127.0.0.1:0".parse().expect("an address"),
            advertise: None,
            broker: None,
            settings: Settings { clock_factor: 0.04, margin_ms: 2000 },
            seed: 1,
        };
        let (_interrupt, interrupted) = tokio::sync::watch::channel(false);
        let mut bench = Bench::set_up(&profile, options, interrupted).await.expect("a bench");
        bench.bring_up().await.expect("a module that answers");
        let mut sitting = Sitting::new(&mut bench, None);
        let input = Input::one(Action::Publish(Publication {
            by: "publish".to_owned(),
            topic: Bytes(b"t".to_vec()),
            qos,
            payload: Bytes(vec![b'x'; len]),
            ..Publication::default()
        }));
        let make = |cx: &Context<'_>| case(cx, "fuzz/payload", &input);
        let mut last: Option<Tried> = None;
        let (began, mut done) = (Instant::now(), 0_u32);
        while began.elapsed() < MEASURED {
            let tried = sitting.attempt("fuzz/payload", &make).await.expect("a module that answers");
            assert_eq!(tried.judgement.verdict, Verdict::Pass, "{}", tried.judgement.message);
            last = Some(tried);
            done += 1;
        }
        let speed = f64::from(done) / began.elapsed().as_secs_f64();
        let tried = last.expect("at least one");
        let judged = Instant::now();
        for _ in 0..1000 {
            std::hint::black_box(judge(&tried.case, &profile, &tried.timeline));
        }
        (speed, judged.elapsed() / 1000)
    })
}
