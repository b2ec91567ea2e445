//! Colours, where the caller wants them.

use atspec_model::verdict::Verdict;

/// Puts colours into text, or leaves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    colours: bool,
}

impl Paint {
    /// Leaves text alone.
    pub(crate) const OFF: Self = Self { colours: false };

    pub(crate) fn new(colours: bool) -> Self {
        Self { colours }
    }

    /// In the colour of the verdict.
    pub(crate) fn verdict(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Pass => "32",
            Verdict::Warning => "33",
            Verdict::Fail => "1;31",
            Verdict::Inconclusive | Verdict::Error => "1;35",
            Verdict::Skipped => "2",
        };
        self.code(code, text)
    }

    /// For the line that the eye has to find.
    pub(crate) fn strong(self, text: &str) -> String {
        self.code("1", text)
    }

    /// For what surrounds it.
    pub(crate) fn faint(self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
