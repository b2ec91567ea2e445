//! What an emulated module differs in from the one that its profile describes: nothing, a defect, or what the document leaves open.

use atspec_emulator::{Deviant, Deviation, Temper, Variant};
use atspec_fixtures as fixtures;

use crate::{failure::Failure, select::nearest};

/// In front of a variant's name, where deviants and variants are named side by side.
pub(crate) const VARIANT: &str = "variant-";

/// An emulated module in a certain guise.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Guise {
    /// As it is written behind `emulated:`; empty for the plain module.
    pub(crate) name: String,
    pub(crate) deviation: Option<Deviation>,
    pub(crate) temper: Temper,
}

impl Guise {
    /// A shipped deviant or variant of the module, or a defect by itself.
    pub(crate) fn named(name: &str, module: &str) -> Result<Self, Failure> {
        let plain = Self { name: name.to_owned(), ..Self::default() };
        if let Some(text) = name.strip_prefix(VARIANT).and_then(fixtures::variant) {
            let variant = Variant::load(text)
                .map_err(|why| Failure::usage(format!("the variant `{name}` cannot be read: {why}")))?;
            if !variant.modules.iter().any(|of| of == module) {
                let modules = variant.modules.join(", ");
                return Err(Failure::usage(format!("`{name}` is a variant of {modules}, not of {module}")));
            }
            return Ok(Self { temper: variant.temper, ..plain });
        }
        deviation(name, module).map(|deviation| Self { deviation: Some(deviation), ..plain })
    }
}

/// The defect of a shipped deviant of the module, or one by itself.
fn deviation(name: &str, module: &str) -> Result<Deviation, Failure> {
    let Some(text) = fixtures::deviant(name) else {
        if let Some(deviation) = bare(name) {
            return Ok(deviation);
        }
        let variants: Vec<String> =
            fixtures::VARIANTS.iter().map(|(name, _)| format!("{VARIANT}{name}")).collect();
        let deviants = fixtures::DEVIANTS.iter().map(|(name, _)| *name);
        let near = nearest(name, deviants.chain(variants.iter().map(String::as_str)))
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(Failure::usage(format!("no deviant `{name}`{near}")));
    };
    let deviant = Deviant::load(text)
        .map_err(|why| Failure::usage(format!("the deviant `{name}` cannot be read: {why}")))?;
    if deviant.module != module {
        // Its name may be that of a defect which any module can have.
        if let Some(deviation) = bare(name) {
            return Ok(deviation);
        }
        return Err(Failure::usage(format!(
            "the deviant `{name}` is one of {}, not of {module}",
            deviant.module
        )));
    }
    Ok(deviant.deviation)
}

/// A defect by itself, as a deviant's file names it: `one-in-twenty`, `byte-altered=65`.
fn bare(text: &str) -> Option<Deviation> {
    #[derive(serde::Deserialize)]
    struct Bare {
        deviation: Deviation,
    }
    let value = match text.split_once('=') {
        Some((name, parameter)) => format!("deviation = {{ {name} = {parameter} }}"),
        None => format!("deviation = \"{text}\""),
    };
    toml::from_str::<Bare>(&value).ok().map(|bare| bare.deviation)
}
