//! Tests of the filter file's grammar.

use proptest::prelude::*;

use super::*;

fn exact(name: &str) -> Matcher {
    Matcher::Exact(name.to_owned())
}

fn pattern(text: &str) -> Matcher {
    Matcher::Pattern(text.to_owned())
}

/// The names of the only rule of a file with one entry.
fn names(section: &str, entry: &str) -> (Option<Matcher>, Matcher) {
    let set = parse(&format!("[{section}]\n{entry}")).unwrap();
    assert_eq!(set.rules().len(), 1, "{entry}");
    let rule = &set.rules()[0];
    assert_eq!((rule.line, rule.text.as_str()), (2, entry));
    (rule.schema.clone(), rule.name.clone())
}

fn table(entry: &str) -> (Matcher, Matcher) {
    let (schema, name) = names("exclude-table", entry);
    (schema.unwrap(), name)
}

fn error(text: &str) -> FilterError {
    parse(text).unwrap_err()
}

#[test]
fn every_section_is_known_by_its_name() {
    for section in Section::ALL {
        let set = parse(
            &format!("[{}]\na.b\n", section.name())
                .replace("a.b", if section.name().ends_with("extension") { "a" } else { "a.b" }),
        )
        .unwrap();
        assert_eq!(set.rules()[0].section, section);
    }
}

// trap T-19 T-21
#[test]
fn names_are_taken_as_they_stand() {
    assert_eq!(table("public.orders"), (exact("public"), exact("orders")));
    assert_eq!(table("Public.Or ders,{}%"), (exact("Public"), exact("Or ders,{}%")));
    assert_eq!(table("\"a.b\".\"c\"\"d\""), (exact("a.b"), exact("c\"d")));
    assert_eq!(table("a.\"~/x/\""), (exact("a"), exact("~/x/")));
    assert_eq!(table("a.We:ird=Name # ;"), (exact("a"), exact("We:ird=Name # ;")));
    assert_eq!(table("\"схема\".таблица"), (exact("схема"), exact("таблица")));
    assert_eq!(names("exclude-schema", "a.b"), (None, exact("a.b")));
}

#[test]
fn every_delimiter_encloses_a_pattern() {
    for (open, close) in
        ["//", "''", "\"\"", "||", "##", "$$", "[]", "{}", "()", "<>"].map(|pair| {
            let mut pair = pair.chars();
            (pair.next().unwrap(), pair.next().unwrap())
        })
    {
        let entry = format!("public.~{open}^p_.{close}");
        assert_eq!(table(&entry), (exact("public"), pattern("^p_.")), "{entry}");
    }
}

#[test]
fn either_side_may_be_a_pattern_and_pieces_join() {
    assert_eq!(table("~/^a/.b"), (pattern("^a"), exact("b")));
    assert_eq!(table("~/a.b/.~|c/d|"), (pattern("a.b"), pattern("c/d")));
    assert_eq!(table("a.~/^x/~|/y$|"), (exact("a"), pattern("^x/y$")));
    assert_eq!(names("include-only-schema", "~/[0-9]{4}$/"), (None, pattern("[0-9]{4}$")));
}

#[test]
fn files_from_any_editor_read_the_same() {
    let expected = parse("[exclude-table]\na.b\n[exclude-schema]\nc\n").unwrap();
    for text in [
        "[exclude-table]\r\na.b\r\n[exclude-schema]\r\nc\r\n",
        "[exclude-table]\n  a.b \t\n[exclude-schema]\nc",
        "\u{feff}[exclude-table]\na.b\n[exclude-schema]\nc\n",
    ] {
        assert_eq!(parse(text).unwrap(), expected, "{text:?}");
    }
    let commented = parse("# x\n; y\n[exclude-table]\n;a.x\n#a.y\n\na.b\n").unwrap();
    assert_eq!(commented.rules()[0].line, 7);
}

#[test]
fn repeated_sections_add_up() {
    let text = "[exclude-table]\na.b\n[exclude-table-data]\na.c\n[exclude-table]\na.d\n";
    let set = parse(text).unwrap();
    let lines = |section| set.section(section).map(|rule| rule.line).collect::<Vec<_>>();
    assert_eq!(lines(Section::ExcludeTable), [2, 6]);
    assert_eq!(lines(Section::ExcludeTableData), [4]);
}

#[test]
fn errors_name_the_line() {
    use FilterErrorKind::{
        Empty, ExtensionPattern, ExtraDot, NoDelimiter, NoDot, NoSection, OpenPattern, OpenQuote,
        Stray, Trailing, UnknownSection,
    };
    let entry = |text: &str| text.to_owned();
    let cases: [(&str, FilterErrorKind); 12] = [
        ("orders", NoDot(entry("orders"))),
        ("a.b.c", Trailing { text: entry("a.b.c"), rest: entry("") }),
        ("\"a.b", OpenQuote(entry("\"a.b"))),
        ("a.\"b", OpenQuote(entry("a.\"b"))),
        ("\"a\"x.b", Trailing { text: entry("\"a\"x.b"), rest: entry("x.b") }),
        ("a.\"b\" x", Trailing { text: entry("a.\"b\" x"), rest: entry(" x") }),
        ("a.b~/x/", Stray { text: entry("a.b~/x/"), found: '~' }),
        ("a.b\"c", Stray { text: entry("a.b\"c"), found: '"' }),
        ("a.~/x", OpenPattern { text: entry("a.~/x"), delimiter: '/' }),
        ("a.~x", NoDelimiter(entry("a.~x"))),
        (".b", Empty(entry(".b"))),
        ("a.~//", Empty(entry("a.~//"))),
    ];
    for (text, kind) in cases {
        let kind = if text == "a.b.c" { ExtraDot(entry(text)) } else { kind };
        assert_eq!(error(&format!("[exclude-table]\n\n{text}")), FilterError { line: 3, kind });
    }
    let kind = UnknownSection(entry("exclude-tables"));
    assert_eq!(error("\n[exclude-tables]\n"), FilterError { line: 2, kind });
    assert_eq!(error("a.b\n"), FilterError { line: 1, kind: NoSection });
    let kind = ExtensionPattern(entry("~/x/"));
    assert_eq!(error("[exclude-extension]\n~/x/"), FilterError { line: 2, kind });
    assert!(error("[exclude-table\n").to_string().starts_with("filter file, line 1: "));
}

#[test]
fn contradicting_sections_are_errors_also_with_patterns_only() {
    for (include, exclude) in [
        (Section::IncludeOnlySchema, Section::ExcludeSchema),
        (Section::IncludeOnlyTable, Section::ExcludeTable),
        (Section::IncludeOnlyExtension, Section::ExcludeExtension),
    ] {
        let name = match include {
            Section::IncludeOnlyTable => "~/a/.~/b/",
            Section::IncludeOnlyExtension => "a",
            _ => "~/a/",
        };
        let text = format!("[{}]\n{name}\n[{}]\n{name}\n", exclude.name(), include.name());
        let kind = FilterErrorKind::Contradiction(include, exclude);
        assert_eq!(error(&text), FilterError { line: 2, kind });
    }
}

#[test]
fn redundant_sections_are_warned_of() {
    let set = parse("[include-only-table]\na.b\n[exclude-schema]\nc\n").unwrap();
    assert_eq!(set.warnings().len(), 1);
    assert_eq!(parse("[exclude-schema]\nc\n").unwrap().warnings(), [""; 0]);
    let skip = |text| parse(text).unwrap().check_skip_extensions();
    assert_eq!(skip("[exclude-extension]\na\n").unwrap().len(), 1);
    assert_eq!(skip("[exclude-schema]\na\n").unwrap().len(), 0);
    assert_eq!(skip("[include-only-extension]\na\n").unwrap_err().line, 2);
}

// trap T-21
#[test]
fn names_reach_the_server_as_parameters() {
    let set =
        parse("[exclude-index]\n\"a'b\".~/x{1,2}'/\n[exclude-schema]\n~/\\d/\nplain\n").unwrap();
    let queries = set.queries();
    assert_eq!(queries.len(), 2);
    assert_eq!(queries[0].params, [Some("a'b"), None, None, Some("x{1,2}'")]);
    assert_eq!(queries[1].params, [Some("\\d")]);
    assert_eq!(queries.iter().map(|query| query.line).collect::<Vec<_>>(), [2, 4]);
}

proptest! {
    /// Any two names survive being quoted and read back.
    #[test]
    fn quoted_names_are_read_back(
        schema in "[^\r\n\u{0}]{1,20}",
        name in "[^\r\n\u{0}]{1,20}",
    ) {
        let quote = crate::base::ident::quote_identifier;
        let text = format!("[exclude-table]\n{}.{}\n", quote(&schema), quote(&name));
        let set = parse(&text).unwrap();
        prop_assert_eq!(&set.rules()[0].schema, &Some(Matcher::Exact(schema)));
        prop_assert_eq!(&set.rules()[0].name, &Matcher::Exact(name));
    }

    /// Any text is read or refused, without a panic; a refusal names a line of the text.
    #[test]
    fn any_text_is_read_or_refused(text in "(\\[?(exclude|include)?-?(only-)?(table|schema)?\\]?\n?[a.~/\"|{} \r]{0,6}\n?){0,8}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.split('\n').count());
        }
    }
}
