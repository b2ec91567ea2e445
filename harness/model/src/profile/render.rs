//! Mistakes with the lines they are in.

use std::fmt::Write as _;

use super::Mistake;
use crate::text::visible;

/// Widest piece of a line that is shown.
const WIDEST: usize = 100;

/// The mistakes of a file, each with its line, a caret under its place, and the remedy; at the end how many they
/// are. Empty where there are none.
pub fn render(file: &str, source: &str, mistakes: &[Mistake]) -> String {
    let mut out = String::new();
    let lines: Vec<&str> = source.lines().collect();
    for mistake in mistakes {
        let line = lines.get(mistake.line.saturating_sub(1)).copied().unwrap_or_default();
        let (shown, blanks) = excerpt(line, mistake.column);
        let gutter = " ".repeat(mistake.line.to_string().len());
        let _ = writeln!(out, "error: {}", mistake.what);
        let _ = writeln!(out, "{gutter}--> {file}:{}:{}", mistake.line, mistake.column);
        let _ = writeln!(out, "{} | {shown}", mistake.line);
        let _ = writeln!(out, "{gutter} | {}^", " ".repeat(blanks));
        if !mistake.remedy.is_empty() {
            let _ = writeln!(out, "{gutter} = remedy: {}", mistake.remedy);
        }
        out.push('\n');
    }
    match mistakes.len() {
        0 => {}
        1 => out.push_str("1 mistake\n"),
        n => {
            let _ = writeln!(out, "{n} mistakes");
        }
    }
    out
}

/// A line as it is shown, cut where it is long, and how many blanks go before the caret.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let chars: Vec<char> = line.chars().collect();
    let at = column.saturating_sub(1).min(chars.len());
    let from = if chars.len() > WIDEST { at.saturating_sub(WIDEST / 2) } else { 0 };
    let to = chars.len().min(from + WIDEST);
    let mut shown = String::from(if from > 0 { "…" } else { "" });
    let mut blanks = usize::from(from > 0);
    for (i, &c) in chars[from..to].iter().enumerate() {
        let piece = printed(c);
        if from + i < at {
            blanks += piece.chars().map(width).sum::<usize>();
        }
        shown.push_str(&piece);
    }
    if to < chars.len() {
        shown.push('…');
    }
    (shown, blanks)
}

/// A character as a terminal may print it.
fn printed(c: char) -> String {
    match c {
        '\\' => c.to_string(),
        '\t' => "    ".to_owned(),
        _ => visible(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Columns of a character on a terminal: Chinese, Japanese and Korean ones take two.
fn width(c: char) -> usize {
    let wide = matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}');
    if wide { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(line: &str, column: usize) -> String {
        let mistake = Mistake { line: 1, column, what: "w".to_owned(), remedy: "r".to_owned() };
        render("f.toml", line, &[mistake])
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        assert_eq!(
            rendered("a = 1", 3),
            "error: w\n --> f.toml:1:3\n1 | a = 1\n  |   ^\n  = remedy: r\n\n1 mistake\n"
        );
        assert!(rendered("\ta", 2).contains("1 |     a\n  |     ^"), "a tab");
        assert!(rendered("温 b", 3).contains("1 | 温 b\n  |    ^"), "a wide character");
        assert!(rendered("\u{1b}[2J b", 6).contains("1 | \\x1b[2J b\n  |         ^"), "a control character");
        assert!(rendered("", 9).contains("1 | \n  | ^"), "beyond the end");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}!{}", "x".repeat(5000), "y".repeat(5000));
        let text = rendered(&line, 5001);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2].chars().position(|c| c == '!'), lines[3].chars().position(|c| c == '^'));
        assert!(lines[2].chars().count() < WIDEST + 10);
    }

    #[test]
    fn nothing_is_said_of_no_mistakes() {
        assert_eq!(render("f", "", &[]), "");
    }
}
