//! Debian's mosquitto, on a port of its own.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// A broker that ends with the test.
pub(crate) struct Mosquitto {
    process: Child,
    port: u16,
    _config: tempfile::NamedTempFile,
}

impl Mosquitto {
    /// Starts it; `None`, and why, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = installed() else {
            eprintln!("skipped: mosquitto is not installed");
            return None;
        };
        // Another program may take the port in between; the next one is free again.
        (0..5).find_map(|_| Self::on_a_free_port(program)).or_else(|| panic!("mosquitto does not start"))
    }

    fn on_a_free_port(program: &str) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let mut config = tempfile::NamedTempFile::new().expect("a temporary file");
        writeln!(config, "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root")
            .expect("written");
        let mut process = Command::new(program)
            .args(["-v", "-c"])
            .arg(config.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let log = BufReader::new(process.stderr.take().expect("it is piped"));
        let (tell, told) = mpsc::channel();
        // All of the log has to be read, or the broker would block.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok).filter(|line| line.contains(" running")) {
                let _ = tell.send(line);
            }
        });
        let broker = Self { process, port, _config: config };
        told.recv_timeout(Duration::from_secs(30)).ok().map(|_| broker)
    }

    /// For `--broker`.
    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// It is gone from one moment to the next.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// It stays, and does nothing any more.
    pub(crate) fn freeze(&self) {
        let status = Command::new("kill").args(["-STOP", &self.process.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn installed() -> Option<&'static str> {
    let runs = |program: &&str| {
        Command::new(program).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find(runs)
}
