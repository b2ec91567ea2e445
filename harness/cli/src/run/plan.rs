//! What a run will do, checked in whole before anything is written.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use atspec_model::{
    case::Context,
    profile::Profile,
    timeline::{Bindings, Settings},
};
use atspec_rig::{bench::Options, link::Address};
use atspec_suites::{
    Catalogue,
    campaign::{
        action::Input,
        finding::{self, Replay},
    },
};

use super::campaigns;
use crate::{
    args::RunArgs, failure::Failure, guise::Guise, modules, policies, select::Selection, waivers::Waivers,
};

/// The clock factor of built-in emulated modules.
pub(crate) const EMULATED_CLOCK: f64 = 0.04;

/// How long quiet is watched for at least on a port: longer than a slow reply, and than a message that is printed a little later.
const LEAST_QUIET: Duration = Duration::from_millis(200);

/// What the bench itself may be late by, in ms; never multiplied.
pub(crate) const MARGIN_MS: u64 = 2000;

/// Drawn inputs of a campaign where nobody says how many.
const FUZZ_CASES: usize = 400;

/// A checked run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) waivers: Waivers,
    pub(crate) listen: SocketAddr,
    pub(crate) advertise: Option<String>,
    pub(crate) broker: Option<String>,
    pub(crate) baud: Option<u32>,
    pub(crate) seed: u64,
    pub(crate) retries: u32,
    pub(crate) settings: Settings,
    pub(crate) least_quiet: Duration,
    /// Drawn inputs of each fuzz campaign.
    pub(crate) fuzz_cases: usize,
    /// How long a campaign may begin new inputs.
    pub(crate) fuzz_time: Option<Duration>,
}

/// One module's part.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) profile: Arc<Profile>,
    pub(crate) port: Port,
    /// Makes each case for its run.
    pub(crate) catalogue: Catalogue,
    /// Ids of the chosen cases, in order.
    pub(crate) cases: Vec<String>,
    /// Ids of the cases of the chosen policies, in order; they come last.
    pub(crate) policies: Vec<String>,
    /// Ids of the chosen campaigns, in order.
    pub(crate) campaigns: Vec<&'static str>,
    /// What the only campaign does again, and nothing else.
    pub(crate) replay: Option<Input>,
}

/// Where a module is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Port {
    /// In this process, on a pseudo-terminal.
    Emulated(Guise),
    /// Anywhere else.
    Real(Address),
}

impl Plan {
    /// Checks everything that was asked for.
    pub(crate) fn new(args: &RunArgs) -> Result<Self, Failure> {
        let replay = args.replay.as_ref().map(|path| replay(path)).transpose()?;
        let modules = match &replay {
            Some(again) if args.module.is_empty() => vec![again.module.clone()],
            _ => args.module.clone(),
        };
        let profiles = modules::find_all(&modules)?;
        let ids: Vec<(String, String)> = profiles.iter().flat_map(ids_of).collect();
        let campaigns = campaigns::ids();
        let policies = policies::chosen(&args.policy)?;
        let of_policies = |profile: &Profile| -> Vec<String> {
            let cases = policies::cases(profile, &Bindings::default(), &policies);
            cases.into_iter().map(|case| case.id).collect()
        };
        let names = ids.iter().map(|(_, id)| id.clone()).chain(profiles.iter().flat_map(of_policies));
        let names = names.chain(campaigns.iter().map(|id| (*id).to_owned()));
        let names: Vec<String> = names.collect();
        let selection = Selection::new(&args.only, &args.skip, &names)?;
        let waivers =
            args.waivers.as_ref().map(|path| Waivers::load(path, &ids)).transpose()?.unwrap_or_default();
        if let Some(broker) = &args.broker {
            atspec_rig::broker::Upstream::external(broker)
                .map_err(|e| Failure::usage(format!("--broker: {e}")))?;
        }
        let real = !args.port.starts_with("emulated");
        if real && profiles.len() != 1 {
            return Err(Failure::usage(format!(
                "--port {} is one module; name it with --module NAME, or leave --port out to run emulated modules",
                args.port
            )));
        }
        if !real && args.baud.is_some() {
            return Err(Failure::usage("--baud is for a real port; an emulated module has none"));
        }
        if args.listen.ip().is_unspecified() && args.advertise.is_none() && real {
            return Err(Failure::usage(format!(
                "--listen {} listens everywhere, so the module has to be told where: add --advertise HOST",
                args.listen
            )));
        }
        if args.listen.port() != 0 && profiles.len() > 1 {
            return Err(Failure::usage(
                "--listen with a port of its own is for one module; name it with --module",
            ));
        }
        let mut lanes = Vec::new();
        for profile in profiles {
            let mut cases: Vec<String> =
                ids_of(&profile).map(|(_, id)| id).filter(|id| selection.takes(id)).collect();
            let policies = of_policies(&profile).into_iter().filter(|id| selection.takes(id)).collect();
            let port = port(&args.port, &profile.name)?;
            let catalogue = Catalogue::new(&profile);
            let asked = args.fuzz_cases.is_some() || !args.only.is_empty();
            let mut campaigns: Vec<&str> =
                campaigns.iter().copied().filter(|id| asked && selection.takes(id)).collect();
            if let Some(again) = &replay {
                cases.clear();
                campaigns = campaigns::ids().into_iter().filter(|id| *id == again.campaign).collect();
            }
            let replay = replay.as_ref().map(|again| again.input.clone());
            let profile = Arc::new(profile);
            lanes.push(Lane { profile, port, catalogue, cases, policies, campaigns, replay });
        }
        let clock_factor = clock_factor(args.clock_factor, real);
        Ok(Self {
            lanes,
            waivers,
            listen: args.listen,
            advertise: args.advertise.clone(),
            broker: args.broker.clone(),
            baud: args.baud,
            seed: args.seed,
            retries: args.retries,
            settings: Settings { clock_factor, margin_ms: MARGIN_MS },
            least_quiet: least_quiet(real),
            fuzz_cases: args.fuzz_cases.unwrap_or(FUZZ_CASES),
            fuzz_time: args.fuzz_time,
        })
    }

    /// The bench of a module on a port.
    pub(crate) fn options(&self, port: Address) -> Options {
        Options {
            port,
            baud: self.baud,
            listen: self.listen,
            advertise: self.advertise.clone(),
            broker: self.broker.clone(),
            settings: self.settings,
            least_quiet: self.least_quiet,
            seed: self.seed,
        }
    }
}

/// What a finding's file says has to be done again.
fn replay(path: &Path) -> Result<Replay, Failure> {
    let file = path.display();
    let text = fs::read_to_string(path).map_err(|e| Failure::usage(format!("cannot read {file}: {e}")))?;
    let again = finding::read(&text).map_err(|why| Failure::usage(format!("{file} is no finding: {why}")))?;
    if !campaigns::ids().contains(&again.campaign.as_str()) {
        return Err(Failure::usage(format!("{file}: there is no campaign `{}`", again.campaign)));
    }
    Ok(again)
}

/// How long quiet is watched for at least, whatever the clock factor.
pub(crate) fn least_quiet(real: bool) -> Duration {
    if real { LEAST_QUIET } else { Duration::ZERO }
}

/// The clock factor, as asked for or as usual.
pub(crate) fn clock_factor(asked: Option<f64>, real: bool) -> f64 {
    asked.unwrap_or(if real { 1.0 } else { EMULATED_CLOCK })
}

/// Every case id of a module, as (module, id).
pub(crate) fn ids_of(profile: &Profile) -> impl Iterator<Item = (String, String)> + use<> {
    let bindings = Bindings::default();
    let cases = atspec_suites::cases(&Context { profile, bindings: &bindings });
    let module = profile.name.clone();
    cases.into_iter().map(move |case| (module.clone(), case.id))
}

/// Where a module is, from the command line.
pub(crate) fn port(text: &str, module: &str) -> Result<Port, Failure> {
    match text.strip_prefix("emulated") {
        Some("") => Ok(Port::Emulated(Guise::default())),
        Some(rest) => match rest.strip_prefix(':') {
            Some(name) => Ok(Port::Emulated(Guise::named(name, module)?)),
            None => Err(Failure::usage(format!(
                "--port `{text}`: did you mean `emulated` or `emulated:DEVIANT`?"
            ))),
        },
        None if !text.contains('/') && strsim::jaro_winkler(text, "emulated") > 0.8 => {
            Err(Failure::usage(format!("--port `{text}`: did you mean `emulated` or `emulated:DEVIANT`?")))
        }
        None => Ok(Port::Real(text.parse().map_err(|why| Failure::usage(format!("--port {why}")))?)),
    }
}
