//! Times as people read them.

/// Microseconds of a timeline as seconds: `6.204`.
pub(crate) fn seconds(us: u64) -> String {
    format!("{}.{:03}", us / 1_000_000, us / 1000 % 1000)
}

/// A duration: `412 ms`, `14.3 s`, `2 min 05 s`, `1 h 02 min`.
pub(crate) fn human(ms: u64) -> String {
    let s = ms / 1000;
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{s}.{} s", ms / 100 % 10),
        60_000..3_600_000 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

/// A duration that is only guessed: `less than a minute`, `about 3 min`.
pub(crate) fn rough(ms: u64) -> String {
    match ms.div_ceil(60_000) {
        0 | 1 => "less than a minute".to_owned(),
        minutes @ 2..=90 => format!("about {minutes} min"),
        minutes => format!("about {} h", (minutes + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(seconds(6_204_999), "6.204");
        let shown: Vec<_> = [0, 999, 14_390, 59_999, 125_000, 3_725_000].map(human).into();
        assert_eq!(shown, ["0 ms", "999 ms", "14.3 s", "59.9 s", "2 min 05 s", "1 h 02 min"]);
        assert_eq!(
            [59_000, 61_000, 5_400_000, 7_200_000].map(rough).join(", "),
            "less than a minute, about 2 min, about 90 min, about 2 h"
        );
    }
}
