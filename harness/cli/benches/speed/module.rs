//! The emulated module that all of them drive.

use std::sync::Arc;

use atspec_emulator::{Emulator, Options};
use atspec_model::profile::Profile;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Runtime,
    sync::oneshot,
};

/// How fast its clock runs.
pub(crate) const CLOCK_FACTOR: f64 = 0.04;

pub(crate) fn profile() -> Arc<Profile> {
    let source = atspec_fixtures::profile("air780e").expect("shipped");
    Arc::new(Profile::load(source).expect("without mistakes"))
}

pub(crate) fn options() -> Options {
    Options { clock_factor: CLOCK_FACTOR, ..Options::default() }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A module on a thread of its own, as a real one is on a processor of its own. It is there until this is dropped.
pub(crate) struct Apart {
    _off: oneshot::Sender<()>,
}

impl Apart {
    /// Switches a module on at the line that `open` opens, and hands over what else `open` made.
    pub(crate) fn on<IO, T>(open: impl FnOnce() -> (IO, T) + Send + 'static) -> (Self, T)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        T: Send + 'static,
    {
        let (tell, told) = std::sync::mpsc::channel();
        let (off, switched_off) = oneshot::channel();
        std::thread::spawn(move || {
            runtime().block_on(async {
                let (io, more) = open();
                let _module = Emulator::spawn(profile(), options(), io);
                let _ = tell.send(more);
                let _ = switched_off.await;
            });
        });
        (Self { _off: off }, told.recv().expect("a module"))
    }
}
