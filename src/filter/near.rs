//! Names that come close to one that is not there.

/// Names offered in a message.
const OFFERED_MAX: usize = 3;

/// The names that come closest to `wanted`, best first: the same but for case, then within an edit
/// distance of a third of its length.
pub(super) fn nearest<'a>(
    wanted: &str,
    names: impl Iterator<Item = std::borrow::Cow<'a, str>>,
) -> Vec<String> {
    let folded = fold(wanted);
    let limit = (folded.len() / 3).max(1);
    let mut close: Vec<(usize, String)> = names
        .filter_map(|name| {
            let distance = distance(&folded, &fold(&name), limit)?;
            Some((distance, name.into_owned()))
        })
        .collect();
    close.sort();
    close.truncate(OFFERED_MAX);
    close.into_iter().map(|(_, name)| name).collect()
}

/// A name without case and without the quotes that case makes necessary.
fn fold(name: &str) -> Vec<char> {
    name.chars().filter(|letter| *letter != '"').flat_map(char::to_lowercase).collect()
}

/// Edit distance of two texts, when it is at most `limit`.
fn distance(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (slot, to) in row.iter_mut().skip(1).zip(b) {
            let replace = diagonal + usize::from(from != to);
            diagonal = *slot;
            left = replace.min(diagonal + 1).min(left + 1);
            *slot = left;
        }
    }
    row.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(wanted: &str, names: &[&str]) -> Vec<String> {
        nearest(wanted, names.iter().map(|name| (*name).into()))
    }

    // trap T-20
    #[test]
    fn same_but_for_case_comes_first() {
        assert_eq!(
            offered("public.Orders", &["public.orders2", "public.orders", "public.customers"]),
            ["public.orders", "public.orders2"]
        );
    }

    #[test]
    fn distance_counts_edits() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for (a, b, edits) in [("kitten", "sitting", 3), ("", "ab", 2), ("ab", "ab", 0)] {
            assert_eq!(distance(&chars(a), &chars(b), 10), Some(edits));
            assert_eq!(distance(&chars(b), &chars(a), 10), Some(edits));
        }
        assert_eq!(distance(&chars("kitten"), &chars("sitting"), 2), None);
    }
}
