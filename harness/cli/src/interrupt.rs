//! Ctrl-C and SIGTERM: the first asks the run to end with valid reports, the second ends it at once.

use std::thread;

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::failure::{Failure, INTERRUPTED};

/// Becomes `true` at the first interruption.
pub(crate) fn watch() -> Result<watch::Receiver<bool>, Failure> {
    let (tell, told) = watch::channel(false);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::bench(format!("no runtime: {e}")))?;
    let (mut int, mut term) = {
        let _inside = runtime.enter();
        let listen =
            |kind| signal(kind).map_err(|e| Failure::bench(format!("cannot listen for signals: {e}")));
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?)
    };
    thread::spawn(move || {
        runtime.block_on(async move {
            for again in [false, true] {
                tokio::select! { _ = int.recv() => {} _ = term.recv() => {} }
                if again {
                    std::process::exit(i32::from(INTERRUPTED));
                }
                let _ = tell.send(true);
            }
        });
    });
    Ok(told)
}
