//! Lists of names in findings: short enough to read, long enough to act upon.

/// How many names a finding lists before it only counts.
pub(super) const NAMES_MAX: usize = 5;

/// Names with commas between them, and how many more there are.
pub(super) fn listed<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    let mut count = 0_usize;
    for name in names {
        if count < NAMES_MAX {
            if count > 0 {
                text.push_str(", ");
            }
            text.push_str(&name.to_string());
        }
        count += 1;
    }
    match count.saturating_sub(NAMES_MAX) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// A number with its noun.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}
