//! Others who come to the tap's port: they touch no verdict.

mod common;

use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use common::{atspec, stdout, temp, verdicts};

/// What strangers say: nothing, garbage, half a CONNECT, somebody else's CONNECT, a packet before CONNECT.
const WORDS: [&[u8]; 5] = [
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x10\x20\x00\x04MQ",
    b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03you",
    b"\x30\x05\x00\x01txyz",
];

#[test]
fn strangers_touch_no_verdict() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let dir = temp();
    let out = dir.path().join("report");
    let over = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| visit(port, &over));
        let output = atspec()
            .args(["run", "--module", "air780e", "--listen", &port.to_string(), "--only", "open/*"])
            .args([
                "--only",
                "connect/*",
                "--only",
                "close/*",
                "--only",
                "refuse/*",
                "--only",
                "session/*",
                "--out",
            ])
            .arg(&out)
            .output()
            .expect("the program starts");
        over.store(true, Ordering::Relaxed);
        output
    });
    let alarms: Vec<_> = verdicts(&out)
        .into_iter()
        .filter(|(_, v, _)| !["pass", "warning", "skipped"].contains(&v.as_str()))
        .collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

/// Comes again and again, some hundred times a second, and stays for a while.
fn visit(port: SocketAddr, over: &AtomicBool) {
    let mut staying = Vec::new();
    for words in WORDS.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(mut stream) = TcpStream::connect(port) {
            let _ = stream.write_all(words);
            staying.push(stream);
        }
        if staying.len() > 20 {
            staying.remove(0);
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}
