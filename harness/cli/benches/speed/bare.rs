//! The bare loop: what pseudo-terminal, TCP and two threads cost by themselves.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use atspec_emulator::pseudo_terminal;

use crate::{
    MEASURED,
    cases::{Measured, processor_time, processor_time_since},
};

/// Trips of a line on a pseudo-terminal that becomes a TCP message, whose reply becomes a line again. Two threads.
pub(crate) fn trips() -> Measured {
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
        let (began, used, mut trips) = (Instant::now(), processor_time(), 0_u32);
        while began.elapsed() < MEASURED {
            host.write_all(b"AT+MPUB=\"topic\",1,0,\"sixteen bytes ..\"\n").expect("written");
            let n = stream.read(&mut buffer).expect("a message");
            stream.write_all(&buffer[..n]).expect("a reply");
            line.clear();
            lines.read_line(&mut line).expect("a line");
            trips += 1;
        }
        (trips, f64::from(trips) / began.elapsed().as_secs_f64(), processor_time_since(used))
    });
    let used = processor_time();
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
    let (trips, speed, far) = far.join().expect("the far side");
    let processor = (far + processor_time_since(used)) / trips.max(1);
    Measured { speed, processor: Some(processor), judging: None }
}
