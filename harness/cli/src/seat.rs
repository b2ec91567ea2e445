//! A module at the disposal of campaigns: on a port, or emulated and switched off and on at will.

use std::{io, sync::Arc, thread, time::Duration};

use atspec_emulator::{Emulator, Handle, Options as EmulatorOptions, PortGuard, pseudo_terminal};
use atspec_model::{case::Context, profile::Profile, timeline::Settings};
use atspec_rig::{
    bench::{After, Bench, Options},
    link::Address,
    sitting::{Power, Sitting, Tried},
};
use atspec_suites::campaign::{self, Came, Campaign, Next};
use tokio::{runtime::Builder, sync::watch};

use crate::{
    args::SeatArgs,
    failure::Failure,
    guise::Guise,
    interrupt, modules,
    run::{MARGIN_MS, Port, clock_factor, least_quiet, port},
};

/// An emulated module that can be switched off and on.
#[derive(Debug)]
pub(crate) struct Switch {
    profile: Arc<Profile>,
    options: EmulatorOptions,
    on: Option<(Handle, PortGuard)>,
}

impl Switch {
    /// A module that is off.
    pub(crate) fn new(profile: Arc<Profile>, guise: &Guise, clock_factor: f64) -> Self {
        let options = EmulatorOptions {
            clock_factor,
            boot_lines: true,
            deviation: guise.deviation,
            temper: guise.temper.clone(),
            ..EmulatorOptions::default()
        };
        Self { profile, options, on: None }
    }

    /// Switches it off, where it is on, and on. Its new port.
    pub(crate) fn cycle(&mut self) -> io::Result<Address> {
        self.on = None;
        let (io, path, guard) = pseudo_terminal()?;
        let module = Emulator::spawn(Arc::clone(&self.profile), self.options.clone(), io);
        self.on = Some((module, guard));
        Ok(Address::Device(path))
    }

    /// As what a sitting takes.
    pub(crate) fn power(&mut self) -> Power<'_> {
        Box::new(|| self.cycle())
    }
}

/// Does the work at each module, side by side; in the order of the modules.
pub(crate) fn at_each<R: Send>(
    args: &SeatArgs,
    work: impl AsyncFn(&Profile, &mut Sitting<'_, '_>) -> Result<R, After> + Sync,
) -> Result<Vec<(Arc<Profile>, R)>, Failure> {
    let profiles = modules::find_all(&args.module)?;
    let real = !args.port.starts_with("emulated");
    if real && profiles.len() != 1 {
        return Err(Failure::usage(format!(
            "--port {} is one module; name it with --module NAME",
            args.port
        )));
    }
    let seats: Vec<(Arc<Profile>, Port)> = profiles
        .into_iter()
        .map(|profile| Ok((port(&args.port, &profile.name)?, Arc::new(profile))))
        .map(|pair: Result<_, Failure>| pair.map(|(port, profile)| (profile, port)))
        .collect::<Result<_, _>>()?;
    let interrupted = interrupt::watch()?;
    let results: Vec<Result<R, Failure>> = thread::scope(|scope| {
        let sit = |(profile, port): &(Arc<Profile>, Port)| {
            let (profile, port, interrupted) = (Arc::clone(profile), port.clone(), interrupted.clone());
            let work = &work;
            scope.spawn(move || at(args, &profile, port, real, interrupted, work))
        };
        let all: Vec<_> = seats.iter().map(sit).collect();
        let lost = |_| Err(Failure::bench("a campaign ended by a panic, which is a mistake of atspec"));
        all.into_iter().map(|one| one.join().unwrap_or_else(lost)).collect()
    });
    seats.into_iter().zip(results).map(|((profile, _), result)| Ok((profile, result?))).collect()
}

fn at<R>(
    args: &SeatArgs,
    profile: &Arc<Profile>,
    port: Port,
    real: bool,
    interrupted: watch::Receiver<bool>,
    work: &impl AsyncFn(&Profile, &mut Sitting<'_, '_>) -> Result<R, After>,
) -> Result<R, Failure> {
    let failed =
        |what: &str, why: &dyn std::fmt::Display| Failure::bench(format!("{}: {what}{why}", profile.name));
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(|e| failed("no runtime: ", &e))?;
    let result = runtime.block_on(async {
        let clock_factor = clock_factor(args.clock_factor, real);
        let (address, mut switch) = match port {
            Port::Real(address) => (address, None),
            Port::Emulated(guise) => {
                let mut switch = Switch::new(Arc::clone(profile), &guise, clock_factor);
                let address = switch.cycle().map_err(|e| failed("cannot make a pseudo-terminal: ", &e))?;
                (address, Some(switch))
            }
        };
        let options = Options {
            port: address,
            baud: args.baud,
            listen: args.listen,
            advertise: args.advertise.clone(),
            broker: args.broker.clone(),
            settings: Settings { clock_factor, margin_ms: MARGIN_MS },
            least_quiet: least_quiet(real),
            seed: args.seed,
        };
        let mut bench = Bench::set_up(profile, options, interrupted).await.map_err(|e| failed("", &e))?;
        let told = |after: After| match after {
            After::Interrupted => Failure::interrupted(),
            After::Dead(why) | After::PortGone(why) => failed("", &why),
            After::Ready => failed("", &"it stopped for no reason"),
        };
        bench.bring_up().await.map_err(told)?;
        let mut sitting = Sitting::new(&mut bench, switch.as_mut().map(Switch::power));
        work(profile, &mut sitting).await.map_err(told)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Drives a campaign to its end. `seen` is told of every try, and may change the campaign's mind.
pub(crate) async fn drive<C: Campaign>(
    sitting: &mut Sitting<'_, '_>,
    profile: &Profile,
    id: &str,
    campaign: &mut C,
    mut seen: impl FnMut(&mut C, Tried),
) -> Result<(), After> {
    while let Some(Next { input, fresh }) = campaign.next() {
        if fresh {
            sitting.refresh().await?;
        }
        let make = |cx: &Context<'_>| campaign::case::case(cx, id, &input);
        let mut tried = sitting.attempt(id, &make).await?;
        tried.timeline.header.input = Some(input.to_json());
        campaign.learn(&Came {
            case: &tried.case,
            opening: tried.opening,
            profile,
            timeline: &tried.timeline,
            judgement: &tried.judgement,
        });
        seen(campaign, tried);
    }
    sitting.close_session().await
}
