//! Rows in which every value of each factor meets every value of each other: what goes wrong only when two things come together
//! shows, with a dozen rows where all combinations would be hundreds.

use std::collections::BTreeSet;

/// Two values that meet: factor and value of the one, factor and value of the other.
type Pair = (usize, usize, usize, usize);

/// Rows for factors with so many values each; a row has the value of each factor. The same rows for the same factors.
pub(super) fn rows(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut open: BTreeSet<Pair> = BTreeSet::new();
    for (a, n) in sizes.iter().enumerate() {
        for (b, m) in sizes.iter().enumerate().skip(a + 1) {
            open.extend((0..*n).flat_map(|i| (0..*m).map(move |j| (a, i, b, j))));
        }
    }
    let mut rows = Vec::new();
    while let Some(&(a, i, b, j)) = open.first() {
        let mut row: Vec<Option<usize>> = vec![None; sizes.len()];
        (row[a], row[b]) = (Some(i), Some(j));
        for factor in 0..sizes.len() {
            if row[factor].is_none() {
                let met = |value: usize| {
                    let chosen =
                        row.iter().enumerate().filter_map(|(other, chosen)| Some((other, (*chosen)?)));
                    chosen
                        .filter(|(other, chosen)| open.contains(&pair(factor, value, *other, *chosen)))
                        .count()
                };
                // The first of those that meet most.
                row[factor] = (0..sizes[factor]).rev().max_by_key(|value| met(*value));
            }
        }
        let row: Vec<usize> = row.into_iter().map(Option::unwrap_or_default).collect();
        open.retain(|(a, i, b, j)| row[*a] != *i || row[*b] != *j);
        rows.push(row);
    }
    rows
}

fn pair(factor: usize, value: usize, other: usize, chosen: usize) -> Pair {
    if factor < other { (factor, value, other, chosen) } else { (other, chosen, factor, value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_two_values_meet_and_no_row_is_for_nothing(sizes in prop::collection::vec(1usize..7, 2..6)) {
            let rows = rows(&sizes);
            for a in 0..sizes.len() {
                for b in a + 1..sizes.len() {
                    let met: BTreeSet<_> = rows.iter().map(|row| (row[a], row[b])).collect();
                    prop_assert_eq!(met.len(), sizes[a] * sizes[b]);
                }
            }
            prop_assert!(rows.iter().all(|row| row.iter().zip(&sizes).all(|(value, size)| value < size)));
            let mut sorted = sizes.clone();
            sorted.sort_unstable();
            let least = sorted[sorted.len() - 1] * sorted[sorted.len() - 2];
            prop_assert!(rows.len() >= least && rows.len() <= 2 * least);
        }
    }
}
