//! The harness in Python, with Debian's broker.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use atspec_emulator::pseudo_terminal;

use crate::{
    MEASURED,
    cases::{Measured, Publications},
    module::Apart,
};

/// How long the broker may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends with what it is about.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Cases of `harness.py` on an emulated module, or what is not installed.
pub(crate) fn cases(what: Publications) -> Result<Measured, String> {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|e| e.to_string())?.port();
    let broker = Command::new("mosquitto")
        .args(["-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("mosquitto: {e}"))?;
    let _broker = Ended(broker);
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > PATIENCE {
            return Err(String::from("mosquitto does not listen"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let (_module, (path, _guard)) = Apart::on(|| {
        let (io, path, guard) = pseudo_terminal().expect("a pseudo-terminal");
        (io, (path, guard))
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/speed/harness.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(path)
        .args([port.to_string(), what.qos.to_string(), what.len.to_string(), MEASURED.as_secs().to_string()])
        .output()
        .map_err(|e| format!("python3: {e}"))?;
    let told = String::from_utf8_lossy(&output.stdout).trim().parse();
    told.map(|speed| Measured { speed, processor: None, judging: None }).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        said.trim().lines().last().unwrap_or("it said nothing").to_owned()
    })
}
