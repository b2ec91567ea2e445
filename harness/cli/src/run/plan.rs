//! What a run will do, checked in whole before anything is written.

use std::{net::SocketAddr, sync::Arc};

use atspec_emulator::{Deviant, Deviation};
use atspec_fixtures as fixtures;
use atspec_model::{
    case::Context,
    profile::Profile,
    timeline::{Bindings, Settings},
};
use atspec_rig::{bench::Options, link::Address};
use atspec_suites::Catalogue;

use crate::{
    args::RunArgs,
    failure::Failure,
    modules, policies,
    select::{Selection, nearest},
    waivers::Waivers,
};

/// The clock factor of built-in emulated modules.
pub(crate) const EMULATED_CLOCK: f64 = 0.04;

/// What the bench itself may be late by, in ms; never multiplied.
pub(crate) const MARGIN_MS: u64 = 2000;

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
}

/// Where a module is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Port {
    /// In this process, on a pseudo-terminal.
    Emulated(Option<(String, Deviation)>),
    /// Anywhere else.
    Real(Address),
}

impl Plan {
    /// Checks everything that was asked for.
    pub(crate) fn new(args: &RunArgs) -> Result<Self, Failure> {
        let profiles = modules::find_all(&args.module)?;
        let ids: Vec<(String, String)> = profiles.iter().flat_map(ids_of).collect();
        let policies = policies::chosen(&args.policy)?;
        let of_policies = |profile: &Profile| -> Vec<String> {
            let cases = policies::cases(profile, &Bindings::default(), &policies);
            cases.into_iter().map(|case| case.id).collect()
        };
        let names = ids.iter().map(|(_, id)| id.clone()).chain(profiles.iter().flat_map(of_policies));
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
            let cases: Vec<String> =
                ids_of(&profile).map(|(_, id)| id).filter(|id| selection.takes(id)).collect();
            let policies = of_policies(&profile).into_iter().filter(|id| selection.takes(id)).collect();
            let port = port(&args.port, &profile.name)?;
            let catalogue = Catalogue::new(&profile);
            lanes.push(Lane { profile: Arc::new(profile), port, catalogue, cases, policies });
        }
        let clock_factor = args.clock_factor.unwrap_or(if real { 1.0 } else { EMULATED_CLOCK });
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
            seed: self.seed,
        }
    }
}

/// Every case id of a module, as (module, id).
pub(crate) fn ids_of(profile: &Profile) -> impl Iterator<Item = (String, String)> + use<> {
    let bindings = Bindings::default();
    let cases = atspec_suites::cases(&Context { profile, bindings: &bindings });
    let module = profile.name.clone();
    cases.into_iter().map(move |case| (module.clone(), case.id))
}

fn port(text: &str, module: &str) -> Result<Port, Failure> {
    match text.strip_prefix("emulated") {
        Some("") => Ok(Port::Emulated(None)),
        Some(rest) => match rest.strip_prefix(':') {
            Some(name) => Ok(Port::Emulated(Some((name.to_owned(), deviation(name, module)?)))),
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

/// The defect of a shipped deviant of the module.
pub(crate) fn deviation(name: &str, module: &str) -> Result<Deviation, Failure> {
    let load = |name: &str, text: &str| {
        Deviant::load(text)
            .map_err(|why| Failure::usage(format!("the deviant `{name}` cannot be read: {why}")))
    };
    let Some(text) = fixtures::deviant(name) else {
        let known: Vec<&str> = fixtures::DEVIANTS.iter().map(|(name, _)| *name).collect();
        let near = nearest(name, known.iter().copied())
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(Failure::usage(format!("no deviant `{name}`{near}")));
    };
    let deviant = load(name, text)?;
    if deviant.module != module {
        return Err(Failure::usage(format!(
            "the deviant `{name}` is one of {}, not of {module}",
            deviant.module
        )));
    }
    Ok(deviant.deviation)
}
