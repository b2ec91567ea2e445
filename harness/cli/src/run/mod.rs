//! `atspec run`: modules side by side, each on a thread of its own; one place where everything is reported.

mod campaigns;
mod lane;
mod plan;
mod report;
mod stand;

use std::{sync::mpsc, thread};

use atspec_model::verdict::Verdict;

pub(crate) use plan::{EMULATED_CLOCK, MARGIN_MS, Port, clock_factor, ids_of, least_quiet, port};
pub(crate) use stand::{Attempt, NoStand, Stand};

use crate::{
    args::RunArgs,
    failure::{Failure, INTERRUPTED},
    interrupt,
};
use lane::Told;
use plan::Plan;
use report::Reports;

/// Runs the modules. Everything is checked before anything is written.
pub(crate) fn run(args: &RunArgs) -> Result<u8, Failure> {
    let plan = Plan::new(args)?;
    let interrupted = interrupt::watch()?;
    let mut reports = Reports::create(args, &plan)?;
    let (tell, told) = mpsc::channel::<Told>();
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let finished = thread::scope(|scope| {
        for lane in &plan.lanes {
            let (tell, interrupted, stopping) = (tell.clone(), interrupted.clone(), stopping.clone());
            let (plan, dir) = (&plan, args.out.as_path());
            scope.spawn(move || lane::drive(plan, lane, dir, &tell, &interrupted, &stopping));
        }
        drop(tell);
        let mut finished = 0;
        while let Ok(told) = told.recv() {
            finished += usize::from(matches!(told, Told::ModuleDone { complete: true, .. }));
            let failed = matches!(&told, Told::Case { record, .. }
                if matches!(record.verdict, Verdict::Fail | Verdict::Inconclusive));
            reports.on(told)?;
            if failed && args.fail_fast {
                let _ = stop.send(true);
            }
        }
        Ok(finished)
    })?;
    let partial = finished < plan.lanes.len();
    let end = reports.finish(partial)?;
    if *interrupted.borrow() {
        return Ok(INTERRUPTED);
    }
    Ok(end.exit_code(args.strict))
}
