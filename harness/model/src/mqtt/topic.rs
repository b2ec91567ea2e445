//! Topic names and topic filters by section 4.7, on bytes.

/// Whether the bytes are a topic name that may be published on: 1 to 65 535 bytes of UTF-8 without U+0000
/// and without wildcards.
pub fn valid_name(name: &[u8]) -> bool {
    valid_text(name) && wildcard(name).is_none()
}

/// Whether the bytes are a topic filter that may be subscribed to: 1 to 65 535 bytes of UTF-8 without U+0000,
/// every `+` alone in its level, `#` alone in the last level.
pub fn valid_filter(filter: &[u8]) -> bool {
    valid_text(filter) && misplaced_hash(filter).is_none() && misplaced_plus(filter).is_none()
}

/// Whether a message published on `name` goes to a subscription of `filter`.
///
/// `a/#` matches `a` too, `+` matches an empty level, and a filter that begins with a wildcard never matches
/// a name that begins with `$` (4.7.2-1). A misplaced wildcard is an ordinary character here; ask
/// [`valid_filter`] first.
pub fn matches(filter: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'$') && matches!(filter.first(), Some(b'+' | b'#')) {
        return false;
    }
    let mut levels = filter.split(|&b| b == b'/').peekable();
    let mut names = name.split(|&b| b == b'/');
    while let Some(level) = levels.next() {
        if level == b"#" && levels.peek().is_none() {
            return true;
        }
        match names.next() {
            Some(name) if level == b"+" || level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

fn valid_text(text: &[u8]) -> bool {
    (1..=usize::from(u16::MAX)).contains(&text.len())
        && !text.contains(&0)
        && std::str::from_utf8(text).is_ok()
}

/// The first wildcard character, which no topic name may have.
pub(super) fn wildcard(name: &[u8]) -> Option<usize> {
    name.iter().position(|b| matches!(b, b'+' | b'#'))
}

/// The first `#` that is not alone in the last level.
pub(super) fn misplaced_hash(filter: &[u8]) -> Option<usize> {
    (0..filter.len()).find(|&at| filter[at] == b'#' && !(opens_level(filter, at) && at + 1 == filter.len()))
}

/// The first `+` that does not fill its level.
pub(super) fn misplaced_plus(filter: &[u8]) -> Option<usize> {
    let closes_level = |at: usize| filter.get(at + 1).is_none_or(|&b| b == b'/');
    (0..filter.len()).find(|&at| filter[at] == b'+' && !(opens_level(filter, at) && closes_level(at)))
}

fn opens_level(filter: &[u8], at: usize) -> bool {
    at == 0 || filter[at - 1] == b'/'
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a", true, true)]
    #[case("/", true, true)]
    #[case("//", true, true)]
    #[case("$SYS/x", true, true)]
    #[case("a b/温度", true, true)]
    #[case("", false, false)]
    #[case("a\0", false, false)]
    #[case("#", false, true)]
    #[case("+", false, true)]
    #[case("a/#", false, true)]
    #[case("/#", false, true)]
    #[case("+/+/#", false, true)]
    #[case("+/a/+", false, true)]
    #[case("a#", false, false)]
    #[case("a/#/b", false, false)]
    #[case("##", false, false)]
    #[case("#/", false, false)]
    #[case("a+", false, false)]
    #[case("+a", false, false)]
    #[case("a/b+/c", false, false)]
    #[case("++", false, false)]
    #[case("+#", false, false)]
    fn names_and_filters(#[case] text: &str, #[case] name: bool, #[case] filter: bool) {
        assert_eq!(valid_name(text.as_bytes()), name, "as a name");
        assert_eq!(valid_filter(text.as_bytes()), filter, "as a filter");
    }

    #[rstest]
    #[case::not_utf8(b"a\xff".to_vec())]
    #[case::surrogate(b"\xed\xa0\x80".to_vec())]
    #[case::too_long(vec![b'a'; 65536])]
    fn neither_name_nor_filter(#[case] text: Vec<u8>) {
        assert!(!valid_name(&text));
        assert!(!valid_filter(&text));
    }

    #[rstest]
    // The examples of 4.7.1 and 4.7.2.
    #[case("sport/tennis/player1/#", "sport/tennis/player1", true)]
    #[case("sport/tennis/player1/#", "sport/tennis/player1/ranking", true)]
    #[case("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true)]
    #[case("sport/tennis/player1/#", "sport/tennis/player10", false)]
    #[case("sport/#", "sport", true)]
    #[case("#", "a/b/c", true)]
    #[case("sport/tennis/+", "sport/tennis/player1", true)]
    #[case("sport/tennis/+", "sport/tennis/player1/ranking", false)]
    #[case("sport/+", "sport", false)]
    #[case("sport/+", "sport/", true)]
    #[case("+/+", "/finance", true)]
    #[case("/+", "/finance", true)]
    #[case("+", "/finance", false)]
    #[case("#", "$SYS/x", false)]
    #[case("+/monitor/Clients", "$SYS/monitor/Clients", false)]
    #[case("$SYS/#", "$SYS/x", true)]
    #[case("$SYS/#", "$SYS", true)]
    #[case("$SYS/monitor/+", "$SYS/monitor/Clients", true)]
    #[case("a/#", "a/$b", true)]
    // Exact names, case and empty levels (4.7.3).
    #[case("a", "a", true)]
    #[case("a", "A", false)]
    #[case("a", "/a", false)]
    #[case("a", "a/", false)]
    #[case("a//b", "a//b", true)]
    #[case("a/+/b", "a//b", true)]
    #[case("a/b", "a//b", false)]
    #[case("+/#", "a", true)]
    #[case("/#", "a", false)]
    #[case("+/a/#", "b/a", true)]
    #[case("a/+/#", "a", false)]
    #[case("a/#/b", "a/x/b", false)]
    fn filter_matches_name(#[case] filter: &str, #[case] name: &str, #[case] expected: bool) {
        assert_eq!(matches(filter.as_bytes(), name.as_bytes()), expected);
    }
}
