//! "Did you mean": the nearest of the names that would be right.

/// The candidate that differs least from `word`, if the difference is small.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or the list of what there is.
pub(super) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(found) = nearest(word, candidates.clone()) {
        return format!("did you mean `{found}`?");
    }
    let list: Vec<_> = candidates.into_iter().map(|c| format!("`{c}`")).collect();
    if list.is_empty() { "there is none".to_owned() } else { format!("there is {}", list.join(", ")) }
}

/// Insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut last: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |list: &[usize], index: usize| list.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&row, j) + usize::from(x != *y)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let before = j.checked_sub(1).and_then(|k| b.get(k).map(|y| (k, *y)));
            if let Some((k, y_before)) = before
                && previous == Some(*y)
                && y_before == x
            {
                cost = cost.min(at(&last, k) + 1);
            }
            next.push(cost);
        }
        last = std::mem::replace(&mut row, next);
        previous = Some(x);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["bind", "public_origin", "trusted_proxies", "tls"];
        for (word, found) in [
            ("bnid", Some("bind")),
            ("binds", Some("bind")),
            ("public-origin", Some("public_origin")),
            ("trusted_proxy", Some("trusted_proxies")),
            ("TLS", Some("tls")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), found, "{word}");
        }
    }

    #[test]
    fn without_a_near_name_the_hint_lists_all() {
        assert_eq!(hint("colour", ["bind", "tls"]), "there is `bind`, `tls`");
        assert_eq!(hint("x", []), "there is none");
    }
}
