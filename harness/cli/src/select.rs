//! Choosing cases by glob; what matches nothing is a mistake that offers the nearest.

use globset::{GlobBuilder, GlobMatcher};

use crate::failure::Failure;

/// `--only` and `--skip`.
#[derive(Debug)]
pub(crate) struct Selection {
    only: Vec<GlobMatcher>,
    skip: Vec<GlobMatcher>,
}

impl Selection {
    /// Checks the globs against all case ids of the modules at hand.
    pub(crate) fn new(only: &[String], skip: &[String], ids: &[String]) -> Result<Self, Failure> {
        let compile = |option: &str, globs: &[String]| {
            globs.iter().map(|text| matching(option, text, ids)).collect::<Result<Vec<_>, _>>()
        };
        let selection = Self { only: compile("--only", only)?, skip: compile("--skip", skip)? };
        if !ids.iter().any(|id| selection.takes(id)) {
            return Err(Failure::usage("--only and --skip together leave no case"));
        }
        Ok(selection)
    }

    /// Whether a case is chosen.
    pub(crate) fn takes(&self, id: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|g| g.is_match(id)))
            && !self.skip.iter().any(|g| g.is_match(id))
    }
}

/// A glob over case ids, `publish/*`.
pub(crate) fn glob(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).literal_separator(false).build().map_err(|e| e.kind().to_string())?;
    Ok(glob.compile_matcher())
}

fn matching(option: &str, text: &str, ids: &[String]) -> Result<GlobMatcher, Failure> {
    let matcher =
        glob(text).map_err(|why| Failure::usage(format!("{option} `{text}` is not a glob: {why}")))?;
    if ids.iter().any(|id| matcher.is_match(id)) {
        return Ok(matcher);
    }
    let plain: String = text.chars().filter(|c| !"*?[]{}".contains(*c)).collect();
    let near = nearest(&plain, ids.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; the nearest is `{near}`"));
    Err(Failure::usage(format!("{option} `{text}` matches no case{near}\n  `atspec list` shows every case")))
}

/// The name most like `name`, where any is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let score = |candidate: &str| {
        let whole = strsim::jaro_winkler(name, candidate);
        // `qos1` is near `publish/qos1` too.
        candidate.split('/').map(|part| strsim::jaro_winkler(name, part) * 0.97).fold(whole, f64::max)
    };
    known
        .map(|candidate| (score(candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.6)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Vec<String> {
        ["publish/qos0", "publish/qos1", "connect/protocol"].map(str::to_owned).into()
    }

    #[test]
    fn globs_choose() {
        let chosen = Selection::new(&["publish/*".into()], &["*1".into()], &ids()).unwrap();
        let taken: Vec<String> = ids().into_iter().filter(|id| chosen.takes(id)).collect();
        assert_eq!(taken, ["publish/qos0"]);
    }

    #[test]
    fn what_matches_nothing_offers_the_nearest() {
        let error = format!("{:?}", Selection::new(&["publsh/qos1".into()], &[], &ids()).unwrap_err());
        assert!(error.contains("publish/qos1"), "{error}");
        assert!(Selection::new(&["[".into()], &[], &ids()).is_err());
        assert!(Selection::new(&["publish/*".into()], &["publish/*".into()], &ids()).is_err());
    }
}
