//! `atspec emulate`: an emulated module on a pseudo-terminal.

use std::sync::Arc;

use atspec_emulator::{Emulator, Options, pseudo_terminal};
use tokio::runtime::Builder;

use crate::{args::EmulateArgs, failure::Failure, guise::Guise, interrupt, modules, out};

/// Runs until it is interrupted.
pub(crate) fn emulate(args: &EmulateArgs) -> Result<u8, Failure> {
    let profile = Arc::new(modules::find(&args.module)?);
    let guise = args.deviant.as_ref().map(|name| Guise::named(name, &profile.name)).transpose()?;
    let Guise { deviation, temper, .. } = guise.unwrap_or_default();
    let mut interrupted = interrupt::watch()?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::bench(format!("no runtime: {e}")))?;
    runtime.block_on(async {
        let (io, path, mut guard) =
            pseudo_terminal().map_err(|e| Failure::bench(format!("cannot make a pseudo-terminal: {e}")))?;
        if let Some(link) = &args.link {
            guard
                .link(&path, link)
                .map_err(|e| Failure::usage(format!("cannot link {}: {e}", link.display())))?;
        }
        let clock_factor = args.clock_factor;
        let options = Options { clock_factor, boot_lines: true, deviation, temper, ..Options::default() };
        let module = Emulator::spawn(Arc::clone(&profile), options, io);
        out::line(path.display())?;
        if let Some(link) = &args.link {
            out::line(format!("{} -> {}", link.display(), path.display()))?;
        }
        tokio::select! {
            _ = interrupted.wait_for(|stop| *stop) => {}
            () = module.finished() => {}
        }
        Ok(0)
    })
}
