//! `atspec bite`: proof that the cases can fail. Every deviant is driven through all cases of its module, and what goes red
//! is compared with what its defect breaks.

mod drive;
mod plan;
mod readme;
mod score;
mod show;

use crate::{
    args::{BiteArgs, Format},
    failure::{Failure, INTERRUPTED},
    interrupt, out,
};
use drive::Drive;
use plan::Plan;
use score::Report;

/// Exit code where a deviant survives, or something surprises.
const LACKING: u8 = 1;

/// Drives the deviants and tells the score.
pub(crate) fn bite(args: &BiteArgs) -> Result<u8, Failure> {
    let plan = Plan::new(args)?;
    if let Some(file) = &args.readme {
        readme::check(file)?;
    }
    let interrupted = interrupt::watch()?;
    let driven = Drive::new(&plan, interrupted.clone()).all();
    if *interrupted.borrow() {
        return Ok(INTERRUPTED);
    }
    let (driven, again) = driven?;
    let report = Report::new(&plan, &driven, again);
    match args.format {
        Format::Text => out::line(show::text(&report))?,
        Format::Json => out::line(show::json(&report)?)?,
    }
    if let Some(file) = &args.readme {
        readme::write(file, &report)?;
    }
    Ok(if report.bites() { 0 } else { LACKING })
}
