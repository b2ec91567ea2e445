//! The tap: the listener to which the module connects, with a scripted broker behind it.
//!
//! ```text
//!  module ──TCP──▶ line (one task per connection) ──bytes──▶ Core { Partner, Upstream } ──▶ rumqttd or another broker
//!                       │                                      │
//!                       └──────────── Recorder ◀───────────────┘
//! ```
//!
//! Everything the [`Partner`] decides happens under one lock and without waiting; only the lines wait for sockets. All
//! tasks are `Send` and are started with `tokio::spawn`, so that any runtime flavour will do; the
//! current-thread one is the fastest.

mod core;
mod line;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use atspec_model::partner::{Admission, Command, NoConnection, Partner, Settings};
use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use self::core::Core;
pub use line::Io;

use crate::{
    broker::{Event, Upstream},
    record::Recorder,
};

/// A listener with a broker behind it. Dropping it closes everything.
#[derive(Debug)]
pub struct Tap {
    shared: Arc<Shared>,
    local: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// What the tasks of a tap have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// The next timeout became an earlier one.
    earlier: Notify,
    /// The broker behind answered or delivered something.
    delivered: Notify,
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the core, and then everything that follows from it.
    fn act<R>(self: &Arc<Self>, act: impl FnOnce(&mut Partner, u64) -> R) -> R {
        self.core().act(self, act)
    }
}

impl Tap {
    /// Listens. Port 0 works, see [`Tap::local_addr`]. Has to be called within a tokio runtime.
    pub async fn listen(
        address: impl ToSocketAddrs,
        settings: Settings,
        mut upstream: Upstream,
        recorder: Recorder,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        let events = upstream.take_events();
        let core = Core::new(Partner::new(settings), upstream, recorder);
        let shared =
            Arc::new(Shared { core: Mutex::new(core), earlier: Notify::new(), delivered: Notify::new() });
        let mut tasks =
            vec![tokio::spawn(accept(shared.clone(), listener)), tokio::spawn(keep_time(shared.clone()))];
        tasks.extend(events.map(|events| tokio::spawn(pass_on(shared.clone(), events))));
        Ok(Self { shared, local, tasks })
    }

    /// Where the tap listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Takes a connection that somebody else accepted, for instance behind TLS.
    pub fn attach(&self, io: impl Io + 'static, peer: String) {
        Core::open(&self.shared, Box::new(io), peer);
    }

    /// A case begins: whose connections are the module's, from now on. Everything of the former case is closed and
    /// forgotten, retained messages too, and is not recorded any more.
    pub fn admit(&self, admission: Admission) {
        self.shared.core().begin(&self.shared, admission);
    }

    /// Like [`Tap::admit`], with the admission as it was.
    pub fn reset(&self) {
        let admission = self.shared.core().admission();
        self.admit(admission);
    }

    /// Obeys a command and records it; it is in effect when this returns. The error says that there is no connection it
    /// could concern, and nothing is recorded.
    pub fn command(&self, command: Command) -> Result<(), NoConnection> {
        self.shared.core().command(&self.shared, command)
    }

    /// Waits, at most so long, until the broker behind has answered every SUBSCRIBE and delivered everything it was given for a
    /// subscription. What is missing then is recorded as a fault of the bench, so that no module is blamed for it.
    pub async fn deliveries(&self, within: Duration) {
        let all = async {
            while self.shared.core().owed() > 0 {
                self.shared.delivered.notified().await;
            }
        };
        if timeout(within, all).await.is_err() {
            let mut core = self.shared.core();
            let owed = core.owed();
            core.fault(format!("the broker behind the tap owes {owed} messages or answers to SUBSCRIBE"));
        }
    }

    /// The module's connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.core().module_connections()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.shared.core().abandon();
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => open(&shared, stream, peer),
            // Out of descriptors, or the peer was gone before: neither ends the listener, but the first would spin.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

fn open(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    // Without it, small packets would wait for acknowledgements of the ones before.
    let _ = stream.set_nodelay(true);
    Core::open(shared, Box::new(stream), peer.to_string());
}

/// Calls the partner when a time of its own has come.
async fn keep_time(shared: Arc<Shared>) {
    loop {
        let next = shared.core().arm();
        let due = async {
            match next {
                Some(at) => sleep_until(Instant::from_std(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => shared.act(Partner::tick),
            () = shared.earlier.notified() => {}
        }
    }
}

/// Brings what the broker behind says to the partner.
async fn pass_on(shared: Arc<Shared>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Subscribed { ticket, granted } => shared.act(|p, now| p.subscribed(ticket, &granted, now)),
            Event::Message { session, message } => shared.act(|p, now| p.deliver(session, message, now)),
            Event::Fault(what) => shared.core().fault(what),
        }
        shared.delivered.notify_one();
    }
}

#[cfg(test)]
mod tests;
