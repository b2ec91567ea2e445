//! Names that tell their test cases apart: dashboards key on them, and GitLab drops the second of two alike.

use std::collections::HashSet;

/// The names given so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    given: HashSet<(String, String)>,
}

impl Names {
    /// The name, or the name with the first free number.
    pub(super) fn unique(&mut self, name: &str) -> String {
        self.unique_in("", name)
    }

    /// The same within a scope of its own.
    pub(super) fn unique_in(&mut self, scope: &str, name: &str) -> String {
        let numbered = (2_usize..).map(|n| format!("{name} ({n})"));
        let mut wishes = std::iter::once(name.to_owned()).chain(numbered);
        wishes
            .find(|wish| self.given.insert((scope.to_owned(), wish.clone())))
            .expect("there are more numbers than names")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_two_is_numbered() {
        let mut names = Names::default();
        let given = ["a", "a (2)", "a", "a", "b"].map(|name| names.unique(name));
        assert_eq!(given, ["a", "a (2)", "a (3)", "a (4)", "b"]);
        assert_eq!(names.unique_in("elsewhere", "a"), "a");
    }
}
