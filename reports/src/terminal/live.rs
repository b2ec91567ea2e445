//! The live lines at the foot of the terminal, one per module: done, time left, failed, the case at hand.

use std::{collections::HashMap, fmt, time::Duration};

use atspec_model::verdict::Verdict;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::{paint::Paint, safe::safe, time};

/// The time left is drawn anew this often, also in a case that takes minutes.
const TICK: Duration = Duration::from_millis(500);

/// The live lines.
#[derive(Debug)]
pub(super) struct Live {
    lines: MultiProgress,
    bars: HashMap<String, Bar>,
}

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    now: String,
}

impl Live {
    pub(super) fn new(screen: ProgressDrawTarget) -> Self {
        Self { lines: MultiProgress::with_draw_target(screen), bars: HashMap::new() }
    }

    /// Writes something that stays, with the live lines out of the way meanwhile.
    pub(super) fn above<R>(&self, write: impl FnOnce() -> R) -> R {
        self.lines.suspend(write)
    }

    pub(super) fn start(&mut self, module: &str, cases: usize) {
        let bar = ProgressBar::new(cases as u64).with_style(style()).with_prefix(safe(module).into_owned());
        let bar = self.lines.add(bar);
        bar.enable_steady_tick(TICK);
        self.bars.insert(module.to_owned(), Bar { bar, now: String::new() });
    }

    pub(super) fn now(&mut self, module: &str, id: &str, failed: usize, paint: Paint) {
        if let Some(bar) = self.bars.get_mut(module) {
            bar.now = safe(id).into_owned();
            bar.show(failed, paint);
        }
    }

    pub(super) fn done(&mut self, module: &str, failed: usize, paint: Paint) {
        if let Some(bar) = self.bars.get_mut(module) {
            bar.bar.inc(1);
            bar.show(failed, paint);
        }
    }

    pub(super) fn finish(&mut self, module: &str) {
        if let Some(Bar { bar, .. }) = self.bars.remove(module) {
            bar.finish_and_clear();
            self.lines.remove(&bar);
        }
    }

    /// Takes away the lines of modules that never came to their end.
    pub(super) fn end(&mut self) {
        let modules: Vec<String> = self.bars.keys().cloned().collect();
        for module in modules {
            self.finish(&module);
        }
    }
}

impl Bar {
    fn show(&self, failed: usize, paint: Paint) {
        let told = format!("{failed} failed");
        let told = if failed > 0 { paint.verdict(Verdict::Fail, &told) } else { told };
        self.bar.set_message(format!("{told}  {}", self.now));
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:<10} {bar:20} {pos:>4}/{len:<4} {left}  {wide_msg}")
        .expect("the template is a constant")
        .progress_chars("━━─")
        .with_key("left", left)
}

/// Before the first case is done there is nothing to reckon with.
fn left(state: &ProgressState, to: &mut dyn fmt::Write) {
    let left = u64::try_from(state.eta().as_millis()).unwrap_or(u64::MAX);
    let told = if state.pos() == 0 { "starting".to_owned() } else { format!("{} left", time::rough(left)) };
    let _ = to.write_str(&told); // a line that cannot be formatted is drawn without it
}
