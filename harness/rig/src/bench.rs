//! One module on the bench: its port, its tap, and one case after the other.

use std::{fmt, io, net::SocketAddr, time::Duration};

use atspec_model::{
    case::Case,
    partner::{self, Admission, Credentials},
    profile::Profile,
    timeline::{Bindings, Event, Header, SCHEMA, Settings, Timeline},
};
use tokio::{net::TcpSocket, sync::watch};

use crate::{
    broker::{BrokerError, Upstream},
    drive::{Driver, Stop},
    link::{Address, Link, OpenError},
    pulse::Pulse,
    record::Recorder,
    tap::Tap,
};

/// Where and how a module is driven.
#[derive(Debug, Clone)]
pub struct Options {
    /// The serial port.
    pub port: Address,
    /// Baud, where it differs from the profile's.
    pub baud: Option<u32>,
    /// Where the tap listens.
    pub listen: SocketAddr,
    /// The address the module is told; the one listened on where there is none.
    pub advertise: Option<String>,
    /// A broker of the user's instead of the one in this process, `mqtt://HOST:PORT`.
    pub broker: Option<String>,
    /// Clock factor and margin.
    pub settings: Settings,
    /// How long quiet is watched for at least, whatever the clock factor: what a line, a system and a module that is not of this
    /// process take by themselves is not scaled.
    pub least_quiet: Duration,
    /// Seed of everything generated.
    pub seed: u64,
}

/// The bench cannot be set up.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SetUpError {
    #[error(transparent)]
    Port(#[from] OpenError),
    #[error(
        "cannot listen on {address}: {error}; is another program on that port, does this machine have that address?"
    )]
    Listen { address: SocketAddr, error: io::Error },
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// One module on the bench.
pub struct Bench<'p> {
    profile: &'p Profile,
    options: Options,
    driver: Driver<'p>,
    recorder: Recorder,
    local: SocketAddr,
    /// Holds a port and does not listen on it, so that nobody else does.
    refusing: TcpSocket,
    _pulse: Pulse,
}

impl fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What driving a case came to, besides its recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The module is ready for the next case.
    Ready,
    /// The module does not answer any more, nor does anything bring it back.
    Dead(String),
    /// The serial port is gone.
    PortGone(String),
    /// The operator interrupted.
    Interrupted,
}

impl<'p> Bench<'p> {
    /// Listens, and takes the port.
    pub async fn set_up(
        profile: &'p Profile,
        options: Options,
        interrupt: watch::Receiver<bool>,
    ) -> Result<Self, SetUpError> {
        let recorder = Recorder::new();
        let upstream = match &options.broker {
            Some(address) => Upstream::external(address)?,
            None => Upstream::embedded()?,
        };
        let settings = partner::Settings {
            clock_factor: options.settings.clock_factor,
            margin_us: options.settings.margin_ms * 1000,
            older: profile.behaviour.mqtt31,
            ..partner::Settings::default()
        };
        let failed = |error| SetUpError::Listen { address: options.listen, error };
        let tap = Tap::listen(options.listen, settings, upstream, recorder.clone()).await.map_err(failed)?;
        let local = tap.local_addr();
        let refusing = refusing(local).map_err(failed)?;
        let baud = options.baud.unwrap_or(profile.serial.baud);
        let link = Link::open(&options.port, baud).await?;
        let driver = Driver::new(profile, &options, link, tap, recorder.clone(), interrupt);
        let pulse = Pulse::start(recorder.clone(), Duration::from_millis(options.settings.margin_ms));
        Ok(Self { profile, options, driver, recorder, local, refusing, _pulse: pulse })
    }

    /// Wakes the module up and asks what it is. `Err` says why it cannot be driven.
    pub async fn bring_up(&mut self) -> Result<String, After> {
        let answers = self.driver.bring_up().await.map_err(|stop| self.after(stop))?;
        if !answers {
            return Err(After::Dead(format!(
                "the module does not answer on {}: {}; check power, wiring, baud rate and line ends",
                self.options.port,
                self.driver.printed()
            )));
        }
        self.driver.identity().await.map_err(|stop| self.after(stop))
    }

    /// The values a try of a case is bound to; the same seed gives the same values.
    pub fn bindings(&self, case: &str, attempt: u32) -> Bindings {
        let key = mix(&format!("{}/{}/{case}/{attempt}", self.options.seed, self.profile.name));
        let short = &key[..8];
        Bindings {
            host: self.options.advertise.clone().unwrap_or_else(|| self.local.ip().to_string()),
            port: self.local.port(),
            // No port is 0, so nothing listens there either.
            closed_port: self.refusing.local_addr().map_or(0, |address| address.port()),
            // As long as every server must accept (MQTT-3.1.3-5), so that a shorter buffer shows; in both cases of
            // letters, so that a module that changes one shows.
            client: format!("At{key}"),
            username: format!("User{short}"),
            password: format!("Pass{short}"),
            topic: format!("At/{short}"),
        }
    }

    /// Drives one case and clears up after it. The timeline holds everything observed until the clearing up.
    pub async fn run(&mut self, case: &Case, bindings: Bindings) -> (Timeline, After) {
        self.begin(case, &bindings);
        let after = match self.driver.drive(case).await {
            Err(Stop::Interrupted) => After::Interrupted,
            Err(Stop::PortLost(why)) => After::PortGone(why),
            Ok(_) | Err(Stop::Flooded | Stop::Fault(_)) => match self.driver.tear_down(case).await {
                Ok(true) => After::Ready,
                Ok(false) => After::Dead(format!("the module stopped answering in {}", case.id)),
                Err(stop) => self.after(stop),
            },
        };
        let events = self.recorder.take();
        (self.timeline(case, bindings, events), after)
    }

    /// The next case begins: who counts as the module, and an empty recording.
    fn begin(&mut self, case: &Case, bindings: &Bindings) {
        let own = Credentials {
            client: bindings.client.clone().into_bytes(),
            username: bindings.username.clone().into_bytes(),
            password: bindings.password.clone().into_bytes(),
            empty_client: false,
        };
        self.driver.tap().admit(if case.anonymous { Admission::Everyone } else { Admission::Only(own) });
        self.driver.begin();
    }

    /// Opens a session by the first steps of a case and leaves it open. What was recorded, and whether it stands.
    pub(crate) async fn open_session(
        &mut self,
        case: &Case,
        opening: usize,
        bindings: &Bindings,
    ) -> Result<(Vec<Event>, bool), After> {
        self.begin(case, bindings);
        let driven = self.driver.drive_steps(case, 0..opening).await;
        let stands = self.went(driven)? && self.driver.connected();
        Ok((self.recorder.take(), stands))
    }

    /// Drives the steps behind the opening on a session that stands; `opened` is the recording of its opening. What was recorded
    /// in all, and whether the session still stands.
    pub(crate) async fn go_on(
        &mut self,
        case: &Case,
        opening: usize,
        opened: Vec<Event>,
    ) -> Result<(Vec<Event>, bool), After> {
        self.driver.resume(opened);
        let driven = self.driver.drive_steps(case, opening..case.steps.len()).await;
        let stands = self.went(driven)? && self.driver.connected();
        Ok((self.recorder.take(), stands))
    }

    /// A module that prints without end, or that cannot be asked, is cleared up like any other.
    fn went(&self, driven: Result<bool, Stop>) -> Result<bool, After> {
        match driven {
            Ok(went) => Ok(went),
            Err(Stop::Flooded | Stop::Fault(_)) => Ok(false),
            Err(stop) => Err(self.after(stop)),
        }
    }

    /// Ends a session and clears up after the case that was driven on it.
    pub(crate) async fn close_session(&mut self, case: &Case) -> After {
        let after = match self.driver.tear_down(case).await {
            Ok(true) => After::Ready,
            Ok(false) => After::Dead(format!("the module stopped answering in {}", case.id)),
            Err(stop) => self.after(stop),
        };
        self.recorder.take();
        after
    }

    /// A recording of a case.
    pub(crate) fn timeline(&self, case: &Case, bindings: Bindings, events: Vec<Event>) -> Timeline {
        let header = Header {
            schema: SCHEMA,
            module: self.profile.name.clone(),
            profile: None,
            began_us: self.recorder.began_us(),
            case: case.id.clone(),
            bindings,
            settings: self.options.settings,
            input: None,
        };
        Timeline { header, events }
    }

    /// The module.
    pub fn profile(&self) -> &'p Profile {
        self.profile
    }

    /// The baud rate of its port.
    pub(crate) fn baud(&self) -> u32 {
        self.options.baud.unwrap_or(self.profile.serial.baud)
    }

    /// Whether something can switch the module off and on: then a port that does not answer is left to it.
    pub(crate) fn switchable(&mut self, switchable: bool) {
        self.driver.switchable(switchable);
    }

    /// The module is on another port now.
    pub(crate) fn relink(&mut self, link: Link) {
        self.driver.relink(link);
    }

    /// Takes the next spelling of a command that was refused in the case before; its step, where there was one. The case is to
    /// be driven again.
    pub fn respell(&mut self) -> Option<String> {
        self.driver.respell()
    }

    /// The next spelling was no better.
    pub fn unspell(&mut self, step: &str) {
        self.driver.unspell(step);
    }

    fn after(&self, stop: Stop) -> After {
        match stop {
            Stop::PortLost(why) => After::PortGone(why),
            Stop::Interrupted => After::Interrupted,
            Stop::Flooded => After::Dead(format!("the module prints without end on {}", self.options.port)),
            Stop::Fault(what) => After::Dead(what),
        }
    }
}

/// A port on which nothing listens as long as the socket lives: another bench of this machine cannot take it.
fn refusing(near: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if near.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.bind(SocketAddr::new(near.ip(), 0))?;
    Ok(socket)
}

/// Twenty-one letters and digits that follow from the text alone (FNV-1a), the same on every machine.
fn mix(text: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // One more round, since FNV mixes its last bytes poorly.
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..21)
        .map(|_| {
            let digit = b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::try_from(hash % 36).unwrap_or(0)];
            hash = (hash / 36) ^ hash.rotate_left(11);
            char::from(digit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_refuses_is_nobody_elses() {
        let socket = refusing(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = socket.local_addr().expect("bound");
        let refused = tokio::net::TcpStream::connect(address).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(tokio::net::TcpListener::bind(address).await.is_err(), "it is taken");
    }

    #[test]
    fn credentials_differ_by_case_and_repeat_by_seed() {
        let all: std::collections::BTreeSet<String> =
            (0..2000).map(|n| mix(&format!("1/air780e/case{n}/0"))).collect();
        assert_eq!(all.len(), 2000);
        let short: std::collections::BTreeSet<&str> = all.iter().map(|key| &key[..8]).collect();
        assert_eq!(short.len(), 2000);
        assert_eq!(mix("x"), mix("x"));
    }
}
