//! Any text without what a terminal obeys or XML forbids.
//!
//! Most texts of a record were made by [`visible`] and are safe already; some hold a system's or a module's words as
//! they are. Both pass through [`xml_safe`] before they reach a terminal or a file.

use std::borrow::Cow;

use atspec_model::text::visible;

/// The text itself where it is safe, else the text as [`visible`] shows it.
///
/// Unsafe are control characters (also line breaks: a report breaks its lines itself), what XML 1.0 forbids, and what
/// changes the direction or the look of a line unseen. Nothing is dropped: `atspec_model::text::bytes` gives an escaped text back.
pub fn xml_safe(text: &str) -> String {
    safe(text).into_owned()
}

/// Like [`xml_safe`] without a copy of what is safe.
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
    if is_safe(text) { Cow::Borrowed(text) } else { Cow::Owned(visible(text.as_bytes())) }
}

/// A safe name that is never blank.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    if text.trim().is_empty() && is_safe(text) { Cow::Borrowed("(unnamed)") } else { safe(text) }
}

/// Whether `visible` would leave the text as it is but for its backslashes, which are safe themselves.
fn is_safe(text: &str) -> bool {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return true;
    }
    text.split('\\').all(|part| visible(part.as_bytes()) == part)
}

#[cfg(test)]
mod tests {
    use atspec_model::text;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn visible_text_stays_as_it_is(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
            let shown = visible(&raw);
            prop_assert_eq!(xml_safe(&shown), shown);
        }

        #[test]
        fn any_text_becomes_safe_and_comes_back(raw in any::<String>()) {
            let shown = xml_safe(&raw);
            prop_assert!(is_safe(&shown));
            if shown != raw {
                prop_assert_eq!(text::bytes(&shown).expect("made by visible"), raw.as_bytes());
            }
        }
    }

    #[test]
    fn shows_what_a_terminal_would_obey() {
        assert_eq!(
            xml_safe("\x1b[2Jgone\u{fffe} ]]> 温度 \\x1a"),
            "\\x1b[2Jgone\\xef\\xbf\\xbe ]]> 温度 \\\\x1a"
        );
        assert_eq!(xml_safe("]]> 温度 \\x1a"), "]]> 温度 \\x1a");
        assert_eq!(name(" \u{3000}"), "(unnamed)");
    }
}
