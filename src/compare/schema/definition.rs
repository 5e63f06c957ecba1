//! When two definitions say the same although servers of different versions print them. Pure.

/// First version that leaves out a table's name before its columns where a view has one table only.
const VERSION_BARE_COLUMNS: u32 = 160_000;

/// Whether two texts of a definition mean the same.
///
/// Between servers that print alike the texts must be equal. Where one is older than 16, the newer text
/// may lack the qualification of a column, as in `SELECT t.a FROM t` and `SELECT a FROM t`; everything
/// else must be there in the same order, blanks apart.
pub(super) fn same(source: (&str, u32), target: (&str, u32)) -> bool {
    if source.0 == target.0 {
        return true;
    }
    let bare = |version| version >= VERSION_BARE_COLUMNS;
    match (bare(source.1), bare(target.1)) {
        (false, true) => is_bare_form(&tokens(source.0), &tokens(target.0)),
        (true, false) => is_bare_form(&tokens(target.0), &tokens(source.0)),
        _ => false,
    }
}

/// Whether `bare` is `qualified` with some qualifications left out.
fn is_bare_form(qualified: &[&str], bare: &[&str]) -> bool {
    let (mut q, mut b) = (0, 0);
    while q < qualified.len() {
        if b < bare.len() && qualified[q] == bare[b] {
            // `t.t` against `t`: the column may have the table's name.
            let qualifies = qualified.get(q + 1) == Some(&".") && bare.get(b + 1) != Some(&".");
            if !qualifies {
                q += 1;
                b += 1;
                continue;
            }
        }
        if is_name(qualified[q]) && qualified.get(q + 1) == Some(&".") {
            q += 2;
        } else {
            return false;
        }
    }
    b == bare.len()
}

/// Whether a token is an identifier.
fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_' || first == '"')
}

/// Cuts SQL into names, numbers, literals and single other characters; blanks are left out.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => quoted(rest, first),
            _ if is_word(first) => rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Whether a character is part of names and numbers.
fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

/// Length of a quoted token with its quotes; doubled quotes inside belong to it.
fn quoted(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_lose_their_table_in_newer_texts_only() {
        let (old, new) =
            (" SELECT t.a,\n    t.\"B.c\"\n   FROM s.t;", " SELECT a,\n \"B.c\"\n FROM s.t;");
        assert!(same((old, 150_000), (new, 180_000)));
        assert!(same((new, 180_000), (old, 150_000)));
        assert!(!same((new, 150_000), (old, 180_000)));
        assert!(!same((old, 170_000), (new, 180_000)));
        assert!(same((old, 170_000), (old, 180_000)));
        assert!(same(("SELECT t.t FROM t", 150_000), ("SELECT t FROM t", 160_000)));
    }

    #[test]
    fn everything_else_must_be_the_same() {
        let old = ("SELECT t.a, 'x.y' FROM s.t WHERE t.a > 1.5", 150_000);
        for other in [
            "SELECT b, 'x.y' FROM s.t WHERE a > 1.5",
            "SELECT a, 'y' FROM s.t WHERE a > 1.5",
            "SELECT a, 'x.y' FROM s.u WHERE a > 1.5",
            "SELECT a, 'x.y' FROM s.t WHERE a > 5",
            "SELECT a, 'x.y' FROM s.t WHERE a > 1.5 AND a < 2",
            "SELECT a, 'x.y' FROM s.t",
            "SELECT u.a, 'x.y' FROM s.t WHERE a > 1.5",
        ] {
            assert!(!same(old, (other, 180_000)), "{other}");
        }
        assert!(same(old, ("SELECT a, 'x.y' FROM s.t WHERE a > 1.5", 180_000)));
    }

    #[test]
    fn quotes_inside_quotes_stay_inside() {
        assert_eq!(tokens("a.\"b\"\" c\" = 'it''s'"), ["a", ".", "\"b\"\" c\"", "=", "'it''s'"]);
        assert_eq!(tokens("'open"), ["'open"]);
    }
}
