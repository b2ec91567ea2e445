//! Clients made by others, on the tap: Debian's `mosquitto_pub` and `mosquitto_sub`, and `paho-mqtt` for Python, with
//! rumqttd behind the tap and with Debian's mosquitto behind it. What is not installed is skipped, and said so.
#![expect(clippy::unwrap_used, reason = "a test panics to fail")]
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use atspec_model::{
    partner::Settings,
    timeline::{Event, What},
};
use atspec_rig::{broker::Upstream, record::Recorder, tap::Tap};
use tokio::{task::spawn_blocking, time::timeout};

const LIMIT: Duration = Duration::from_secs(30);

struct Bench {
    tap: Tap,
    recorder: Recorder,
    /// The broker behind the tap, where it is not the built-in one.
    url: Option<String>,
    _mosquitto: Option<Killed>,
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bench {
    async fn embedded() -> Self {
        Self::new(Upstream::embedded().unwrap(), None, None).await
    }

    /// With a mosquitto of its own behind the tap.
    async fn external() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut config = tempfile::NamedTempFile::new().unwrap();
        writeln!(config, "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root")
            .unwrap();
        let mut broker = Command::new(mosquitto().unwrap());
        broker.arg("-v").arg("-c").arg(config.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut broker = Killed(broker.spawn().unwrap());
        let log = BufReader::new(broker.0.stderr.take().unwrap());
        let (running, is_running) = tokio::sync::oneshot::channel();
        // All of the log has to be read, or the broker would block.
        std::thread::spawn(move || {
            let mut running = Some(running);
            for line in log.lines().map_while(Result::ok) {
                if line.contains(" running") {
                    running.take().map(|r| r.send(()));
                }
            }
        });
        timeout(LIMIT, is_running).await.unwrap().expect("mosquitto did not start");
        let url = format!("mqtt://127.0.0.1:{port}");
        Self::new(Upstream::external(&url).unwrap(), Some(url), Some(broker)).await
    }

    async fn new(upstream: Upstream, url: Option<String>, mosquitto: Option<Killed>) -> Self {
        let recorder = Recorder::new();
        let tap = Tap::listen("127.0.0.1:0", Settings::default(), upstream, recorder.clone()).await.unwrap();
        Self { tap, recorder, url, _mosquitto: mosquitto }
    }

    fn command(&self, program: &str, args: &str) -> Command {
        let mut command = Command::new(program);
        let port = self.tap.local_addr().port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port]).args(args.split_whitespace());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A subscriber; returns when its SUBACK is on the wire.
    async fn subscriber(&self, args: &str) -> Child {
        let before = self.subacks();
        let child = self.command("mosquitto_sub", &format!("{args} -W 20")).spawn().unwrap();
        self.wait(|| self.subacks() > before).await;
        child
    }

    async fn publish(&self, args: &str) {
        let output = finished(self.command("mosquitto_pub", args).spawn().unwrap()).await;
        assert!(output.status.success(), "{output:?}");
    }

    fn subacks(&self) -> usize {
        let is_suback = |e: &&Event| matches!(&e.what, What::ToModule { bytes, .. } if bytes[0] == 0x90);
        self.recorder.since(0, |events| events.iter().filter(is_suback).count())
    }

    async fn wait(&self, until: impl Fn() -> bool) {
        let found = async {
            while !until() {
                self.recorder.changed().await;
            }
        };
        timeout(LIMIT, found).await.expect("it did not happen");
    }

    fn no_faults(&self) {
        let is_fault = |e: &&Event| matches!(e.what, What::Fault { .. });
        let faults: Vec<Event> =
            self.recorder.since(0, |events| events.iter().filter(is_fault).cloned().collect());
        assert_eq!(faults, []);
    }
}

async fn finished(child: Child) -> Output {
    timeout(LIMIT, spawn_blocking(|| child.wait_with_output()))
        .await
        .expect("it does not end")
        .unwrap()
        .unwrap()
}

async fn lines(child: Child) -> Vec<String> {
    let output = finished(child).await;
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn runs(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn mosquitto() -> Option<&'static str> {
    ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find(|program| runs(program, &["-h"]))
}

/// The benches that can be built here, for tests with mosquitto's clients.
async fn benches() -> Vec<Bench> {
    if !runs("mosquitto_pub", &["--help"]) || !runs("mosquitto_sub", &["--help"]) {
        eprintln!("skipped: mosquitto_pub and mosquitto_sub are not installed");
        return Vec::new();
    }
    let mut benches = vec![Bench::embedded().await];
    if mosquitto().is_some() {
        benches.push(Bench::external().await);
    } else {
        eprintln!("skipped in part: mosquitto is not installed");
    }
    benches
}

#[tokio::test]
async fn every_qos_both_ways() {
    for bench in benches().await {
        for granted in 0..=2 {
            let sub = bench.subscriber(&format!("-t t/# -q {granted} -C 3 -F %t|%q|%r|%p")).await;
            for sent in 0..=2 {
                bench.publish(&format!("-t t/{sent} -q {sent} -m m{sent}")).await;
            }
            let expected: Vec<String> = (0..=2).map(|q| format!("t/{q}|{}|0|m{q}", granted.min(q))).collect();
            assert_eq!(lines(sub).await, expected);
        }
        bench.no_faults();
    }
}

#[tokio::test]
async fn overlapping_filters_bring_one_copy() {
    for bench in benches().await {
        let sub = bench.subscriber("-t a/# -t a/b -t +/b -q 1 -C 3 -F %p").await;
        for n in 1..=3 {
            bench.publish(&format!("-t a/b -q 1 -m {n}")).await;
        }
        assert_eq!(lines(sub).await, ["1", "2", "3"]);
        bench.no_faults();
    }
}

/// Several modules, or several people, may use one broker at a time.
#[tokio::test]
async fn two_taps_on_one_broker_do_not_hear_each_other() {
    for bench in benches().await {
        let other = match &bench.url {
            Some(url) => Upstream::external(url).unwrap(),
            None => Upstream::embedded().unwrap(),
        };
        let other = Bench::new(other, None, None).await;
        let sub = bench.subscriber("-t # -q 1 -C 1 -F %p").await;
        other.publish("-t t -q 1 -m elsewhere").await;
        bench.publish("-t t -q 1 -m here").await;
        assert_eq!(lines(sub).await, ["here"]);
    }
}

#[tokio::test]
async fn retained_messages() {
    for bench in benches().await {
        bench.publish("-t kept -q 1 -r -m first").await;
        bench.publish("-t kept/not -q 1 -n").await;
        assert_eq!(lines(bench.subscriber("-t kept -q 1 -C 1 -F %r|%q|%p").await).await, ["1|1|first"]);
        bench.publish("-t kept -q 1 -r -n").await;
        let sub = bench.subscriber("-t kept -C 1 -F %r|%p").await;
        bench.publish("-t kept -q 1 -m live").await;
        assert_eq!(lines(sub).await, ["0|live"]);
        bench.no_faults();
    }
}

#[tokio::test]
async fn wills() {
    for bench in benches().await {
        let watcher = bench.subscriber("-t will -q 2 -C 1 -F %q|%p").await;
        let will = "--will-topic will --will-qos 1 --will-payload";
        let polite = bench.subscriber(&format!("-t other -C 1 {will} polite")).await;
        bench.publish("-t other -q 1 -m bye").await;
        finished(polite).await;
        let mut dying = bench.subscriber(&format!("-t other -C 1 {will} dead")).await;
        dying.kill().unwrap();
        dying.wait().unwrap();
        assert_eq!(lines(watcher).await, ["1|dead"]);
        bench.no_faults();
    }
}

#[tokio::test]
async fn a_persistent_session_keeps_messages() {
    for bench in benches().await {
        let first = bench.subscriber("-c -i keeper -t q/# -q 2 -C 1 -F %p").await;
        bench.publish("-t q/x -q 1 -m now").await;
        assert_eq!(lines(first).await, ["now"]);
        for number in 0..20 {
            bench.publish(&format!("-t q/x -q {} -m m{number}", 1 + number % 2)).await;
        }
        // mosquitto_sub prints QoS 2 at PUBREL: the order is that of each QoS.
        let mut got = lines(bench.subscriber("-c -i keeper -t q/# -q 2 -C 20 -F %q|%p").await).await;
        got.sort_by_key(|line| line.as_bytes()[0]);
        let of = |qos| (0..20).filter(move |n| 1 + n % 2 == qos).map(move |n| format!("{qos}|m{n}"));
        assert_eq!(got, of(1).chain(of(2)).collect::<Vec<_>>());
        bench.no_faults();
    }
}

#[tokio::test]
async fn a_large_payload_and_the_old_protocol() {
    for bench in benches().await {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![b'x'; 250_000]).unwrap();
        let sub = bench.subscriber("-t big -q 2 -C 1 -N").await;
        bench.publish(&format!("-t big -q 2 -f {}", file.path().display())).await;
        assert_eq!(finished(sub).await.stdout.len(), 250_000);
        let old = finished(bench.command("mosquitto_pub", "-V mqttv31 -t t -m x").spawn().unwrap()).await;
        assert!(!old.status.success(), "MQTT 3.1 is refused");
        bench.no_faults();
    }
}

/// Prints `ok` when everything is as it should be.
const PAHO: &str = r#"
import queue, sys, paho.mqtt.client as mqtt
PORT, WAIT = int(sys.argv[1]), 20

def client(name, clean=True, will=None):
    c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean)
    c.got, c.ups, c.subs = queue.Queue(), queue.Queue(), queue.Queue()
    c.on_message = lambda _c, _u, m: c.got.put((m.topic, m.qos, m.retain, m.payload))
    c.on_connect = lambda _c, _u, flags, reason, _p: c.ups.put((reason.value, flags.session_present))
    c.on_subscribe = lambda _c, _u, _mid, codes, _p: c.subs.put([x.value for x in codes])
    if will:
        c.will_set(*will)
    c.connect("127.0.0.1", PORT, 60)
    c.loop_start()
    return c, c.ups.get(timeout=WAIT)

def subscribe(c, *filters):
    c.subscribe(list(filters))
    return c.subs.get(timeout=WAIT)

def gone(c):
    c.disconnect()
    c.loop_stop()

pub, up = client("pub")
assert up == (0, False), up
sub, _ = client("sub")
assert subscribe(sub, ("a/+", 1), ("b/#", 2), ("c", 0)) == [1, 2, 0]
for topic, granted in (("a/x", 1), ("b", 2), ("b/y/z", 2), ("c", 0), ("a/温度", 1)):
    for qos in (0, 1, 2):
        payload = bytes(range(256)) * 20
        pub.publish(topic, payload, qos).wait_for_publish(WAIT)
        got = sub.got.get(timeout=WAIT)
        assert got == (topic, min(qos, granted), False, payload), got
for number in range(300):
    pub.publish("b/burst", str(number), 2)
got = [int(sub.got.get(timeout=WAIT)[3]) for _ in range(300)]
assert got == list(range(300)), got
sub.unsubscribe(["a/+", "never"])

keeper, up = client("keeper", clean=False)
assert up == (0, False), up
subscribe(keeper, ("k", 2))
gone(keeper)
for number in range(50):
    pub.publish("k", str(number), 1 + number % 2).wait_for_publish(WAIT)
keeper, up = client("keeper", clean=False)
assert up == (0, True), up
got = [keeper.got.get(timeout=WAIT) for _ in range(50)]
for qos in (1, 2):
    # paho hands QoS 2 over at PUBREL: the order holds within one QoS.
    mine = [(t, q, r, int(p)) for t, q, r, p in got if q == qos]
    assert mine == [("k", qos, False, n) for n in range(50) if 1 + n % 2 == qos], mine
gone(keeper)

watcher, _ = client("watcher")
subscribe(watcher, ("w", 1))
dying, _ = client("dying", will=("w", b"dead", 1, True))
taker, _ = client("dying")
got = watcher.got.get(timeout=WAIT)
assert got == ("w", 1, False, b"dead"), got
dying.loop_stop()
late, _ = client("late")
subscribe(late, ("w", 2))
got = late.got.get(timeout=WAIT)
assert got == ("w", 1, True, b"dead"), got
for c in (pub, sub, taker, watcher, late):
    gone(c)
print("ok")
"#;

#[tokio::test]
async fn paho_for_python() {
    let probe =
        Command::new("python3").args(["-c", "import paho.mqtt.client as m; m.CallbackAPIVersion"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: paho-mqtt 2 for python3 is not installed");
        return;
    }
    let mut benches = vec![Bench::embedded().await];
    if mosquitto().is_some() {
        benches.push(Bench::external().await);
    }
    for bench in benches {
        let mut python = Command::new("python3");
        python.args(["-c", PAHO, &bench.tap.local_addr().port().to_string()]);
        let child = python.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = finished(child).await;
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "ok\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        bench.no_faults();
    }
}
