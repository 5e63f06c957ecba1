//! Databases of every kind of encoding: rows, names and comments arrive, or the rows that cannot are
//! named.

use testbed::Major;

use crate::support::Pair;

/// Words for CREATE DATABASE. "C" fits every encoding.
fn words(encoding: &str) -> String {
    format!("template template0 encoding '{encoding}' locale 'C'")
}

/// A pair of databases with these encodings.
fn pair(name: &str, source: (Major, &str), target: (Major, &str)) -> Pair {
    let (one, other) = (words(source.1), words(target.1));
    Pair::with_words(name, (source.0, &one), (target.0, &other))
}

/// Encodings with text that they have: short for names, long for values.
const TEXTS: [(&str, &str, &str); 4] = [
    (
        "LATIN1",
        "ÄßÿÞ",
        "¡¢£¤¥¦§¨©ª«¬®¯°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ",
    ),
    ("WIN1252", "€Žœ", "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ¡¢£äöüß"),
    ("EUC_JP", "表示", "日本語のテキスト、ｶﾅ、漢字、ソ能表―ЖЩαβ※"),
    // Bytes, which happen to be UTF-8.
    ("SQL_ASCII", "ü☃", "日本語 Ünïcode ☃ 💾"),
];

/// A database whose names, comments, definitions and rows hold text; tables of both COPY formats.
fn schema(name: &str, text: &str) -> String {
    format!(
        "set client_encoding = 'UTF8';
         create schema \"s {name}\"; set search_path = \"s {name}\";
         create type \"e {name}\" as enum ('{name}', 'plain');
         create domain \"d {name}\" as text constraint \"c {name}\" check (value <> 'not {name}');
         create table \"b {name}\" (id int primary key, \"x {name}\" text default '{text}',
           v varchar(200), n name, j json, b jsonb, a text[], d \"d {name}\", constraint \"k {name}\"
           check (v <> 'never {name}'));
         create table \"t {name}\" (id int, e \"e {name}\"[], x text) partition by list (x);
         create table \"p {name}\" partition of \"t {name}\" for values in ('{text}', '{name}');
         create index \"i {name}\" on \"b {name}\" ((v || '{name}'));
         create view \"v {name}\" as select id, '{text}'::text as \"{name}\" from \"b {name}\"
           where v = '{name}';
         create function \"f {name}\"() returns text language sql as $$ select '{text}'::text $$;
         create sequence \"q {name}\" start 7; select nextval('\"q {name}\"');
         comment on table \"b {name}\" is '{text}'; comment on column \"b {name}\".v is '{text}';
         comment on schema \"s {name}\" is '{text}'; comment on index \"i {name}\" is '{text}';
         comment on constraint \"k {name}\" on \"b {name}\" is '{text}';
         insert into \"b {name}\" (id, v, n, j, b, a, d) select g, '{text}', '{name}',
           json_build_object('{name}', '{text}'), jsonb_build_object('{name}', '{text}'),
           array['{text}', null, '{name}'], '{text}' from generate_series(1, 500) g;
         insert into \"t {name}\" select g, array['{name}', 'plain']::\"e {name}\"[], '{text}'
           from generate_series(1, 500) g;
         insert into \"b {name}\" (id) values (0)"
    )
}

/// Clones a database of each encoding into one of the encoding that `of` says.
fn every_encoding_arrives(label: &str, major: Major, of: impl Fn(&'static str) -> &'static str) {
    for (encoding, name, text) in TEXTS {
        let pair = pair(label, (Major::V15, encoding), (major, of(encoding)));
        pair.source.psql(&schema(name, text)).unwrap();
        pair.clone(&[]);
        pair.assert_same();
        let count = format!(
            "set client_encoding = 'UTF8'; select count(*) from \"s {name}\".\"b {name}\"
             where v = '{text}'"
        );
        assert_eq!(pair.target_value(&count), "500", "{encoding}");
    }
}

// trap V-24
#[test]
fn rows_names_and_comments_arrive_in_utf8() {
    every_encoding_arrives("enc_utf8", Major::V18, |_| "UTF8");
}

// trap V-24
#[test]
fn rows_names_and_comments_arrive_in_the_same_encoding() {
    every_encoding_arrives("enc_same", Major::V15, |encoding| encoding);
}

// trap V-24
#[test]
fn characters_that_unicode_lacks_arrive_in_the_same_encoding_and_are_named_elsewhere() {
    // A byte that WIN1252 leaves open, and a place for characters of one's own in EUC_JP.
    for (encoding, bytes) in [("WIN1252", "81"), ("EUC_JP", "f5a1")] {
        let sql = format!(
            "create type e as enum ('a');
             create table binary_form (id int primary key, x text);
             create table text_form (id int primary key, x text, e e[]);
             insert into binary_form select g, g || 'x' from generate_series(1, 300) g;
             insert into binary_form
               values (1000, 'a' || convert_from('\\x{bytes}'::bytea, '{encoding}'));
             insert into text_form select id, x, array['a']::e[] from binary_form"
        );
        let image = format!(
            "select string_agg(encode(convert_to(x, '{encoding}'), 'hex'), ',' order by id) from "
        );
        let same = pair("enc_own", (Major::V15, encoding), (Major::V18, encoding));
        same.source.psql(&sql).unwrap();
        same.clone(&[]);
        for table in ["binary_form", "text_form"] {
            let image = format!("{image}{table}");
            let arrived = same.target_value(&image);
            assert_eq!(arrived, same.source_value(&image), "{encoding} {table}");
            assert!(arrived.ends_with(&format!(",61{bytes}")), "{arrived}");
        }

        let other = pair("enc_none", (Major::V15, encoding), (Major::V18, "UTF8"));
        other.source.psql(&sql).unwrap();
        let place = other.source_value("select ctid from binary_form where id = 1000");
        let output = other.program().run().unwrap();
        assert_eq!(output.status.code(), Some(6), "{}", output.stderr);
        for words in ["public.binary_form", "public.text_form"] {
            assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
        }
        let named = format!("public.binary_form: row at ctid {place} (column ");
        assert!(output.stderr.contains(&named), "{named}: {}", output.stderr);
        assert!(
            output.stderr.contains(&format!("ENCODING '{encoding}' LOCALE 'C'")),
            "{}",
            output.stderr
        );
    }
}

/// Rows with bytes of WIN1252 among others, beside a table that is whole. Places: the number of the row.
const INVALID: &str = r"
create table good (id int primary key, x text);
insert into good select g, 'x' from generate_series(1, 100) g;
create table bad (n int, name text, id int primary key, note varchar(10));
insert into bad select g, 'plain', g, 'plain' from generate_series(1, 2000) g;
update bad set name = convert_from('\x636166e9'::bytea, 'SQL_ASCII') where id = 1500;
update bad set name = convert_from('\xe9'::bytea, 'SQL_ASCII'),
               note = convert_from('\x80'::bytea, 'SQL_ASCII') where id = 1600";

/// The statements that the last hint gives for the source.
fn repair(stderr: &str) -> String {
    let at = stderr.rfind("SET client_encoding").unwrap_or_else(|| panic!("no repair: {stderr}"));
    stderr[at..].split(" on the source.").next().unwrap().to_owned()
}

/// Clones a source with [`INVALID`] rows: they are named, the others arrive, and what the hint says
/// resolves it.
fn invalid_rows_are_named(pair: &Pair, arguments: &[&str]) {
    let place = |id: u32| pair.source_value(&format!("select ctid from bad where id = {id}"));
    let output = pair.program().args(arguments).run().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", output.stderr);
    let named = format!(
        "ctid {} (column \"name\"), {} (columns \"name\", \"note\"): ERROR 22021",
        place(1500),
        place(1600)
    );
    assert!(output.stderr.contains(&named), "{named}: {}", output.stderr);
    assert!(output.stderr.contains("public.bad"), "{}", output.stderr);
    assert_eq!(pair.target_value("select count(*) from good"), "100");
    assert_eq!(pair.target_value("select count(*) from bad where id in (1500, 1600)"), "0");
    // One value per run.
    let mut stderr = output.stderr;
    for _ in 0..3 {
        pair.source.psql(&repair(&stderr)).unwrap();
        let output = pair.program().args(arguments).run().unwrap();
        if output.status.success() {
            let arrived = "set client_encoding = 'UTF8';
                           select string_agg(name || note, ' ' order by id) from bad where id > 1400
                             and name <> 'plain'";
            assert_eq!(pair.target_value(arrived), "caféplain é€");
            assert_eq!(pair.target_value("select count(*) from bad"), "2000");
            return;
        }
        stderr = output.stderr;
    }
    panic!("what the hint says does not help: {stderr}");
}

// trap V-23, V-25
#[test]
fn bytes_of_an_sql_ascii_source_that_are_no_utf8_are_named_with_ctid_and_column() {
    for arguments in [&[][..], &["--split-tables-larger-than", "30kB"]] {
        let pair = pair("enc_ascii", (Major::V15, "SQL_ASCII"), (Major::V18, "UTF8"));
        pair.source.psql(INVALID).unwrap();
        invalid_rows_are_named(&pair, arguments);
    }
}

// trap V-25
#[test]
fn invalid_bytes_of_a_utf8_source_are_named_with_ctid_and_column() {
    let pair = pair("enc_corrupt", (Major::V15, "SQL_ASCII"), (Major::V18, "UTF8"));
    pair.source.psql(INVALID).unwrap();
    // The way such databases come to be: bytes that nobody checked, in a database that says UTF8 now.
    let sql = format!(
        "update pg_database set encoding = pg_char_to_encoding('UTF8') where datname = '{}'",
        pair.source.name()
    );
    pair.source.cluster().psql("postgres", &sql).unwrap();
    invalid_rows_are_named(&pair, &["--copy-format", "text"]);
}

// trap V-23
#[test]
fn any_bytes_arrive_from_sql_ascii_in_sql_ascii() {
    let pair = pair("enc_bytes", (Major::V15, "SQL_ASCII"), (Major::V18, "SQL_ASCII"));
    pair.source
        .psql(
            r"create table t (id int primary key, x text);
              insert into t select g, convert_from(set_byte('\x00', 0, g), 'SQL_ASCII')
                from generate_series(1, 255) g;
              do $$ begin execute format('comment on table t is %L',
                convert_from('\x63616665e9'::bytea, 'SQL_ASCII')); end $$",
        )
        .unwrap();
    pair.clone(&[]);
    let image = "set client_encoding = 'SQL_ASCII';
                 select string_agg(encode(textsend(x), 'hex'), ',' order by id) from t";
    assert_eq!(pair.target_value(image), pair.source_value(image));
    let comment = "set client_encoding = 'SQL_ASCII';
                   select encode(textsend(obj_description('t'::regclass, 'pg_class')), 'hex')";
    assert_eq!(pair.target_value(comment), "63616665e9");
}

// trap V-24
#[test]
fn characters_that_the_target_lacks_are_named_with_ctid_and_column() {
    let pair = pair("enc_lacks", (Major::V15, "UTF8"), (Major::V18, "LATIN1"));
    pair.source
        .psql(
            "set client_encoding = 'UTF8';
             create table \"tä\" (id int primary key, x text, a text[]);
             insert into \"tä\" values (1, 'ö', '{ü}'), (2, 'ä', array['1', '2 €']), (3, 'é', null);
             create table other (x text); insert into other values ('ü')",
        )
        .unwrap();
    let output = pair.program().run().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", output.stderr);
    let named = "row at ctid (0,2) (column \"a\"): ERROR 22P05";
    assert!(output.stderr.contains(named), "{}", output.stderr);
    assert!(output.stderr.contains("tä"), "{}", output.stderr);
    assert!(output.stderr.contains("ENCODING 'UTF8' LOCALE 'C'"), "{}", output.stderr);
    assert_eq!(pair.target_value("select count(*) from other"), "1");
    pair.source
        .psql("set client_encoding = 'UTF8'; update \"tä\" set a = '{2 EUR}' where id = 2")
        .unwrap();
    pair.clone(&[]);
    pair.assert_same();
}

// trap V-24
#[test]
fn pairs_of_encodings_that_cannot_work_are_refused_before_any_work() {
    for (source, target, fix) in [
        ("EUC_JP", "LATIN1", "ENCODING 'UTF8' LOCALE 'C'"),
        ("SQL_ASCII", "LATIN1", "ENCODING 'SQL_ASCII' LOCALE 'C'"),
        ("WIN1251", "EUC_JP", "ENCODING 'WIN1251' LOCALE 'C'"),
    ] {
        let pair = pair("enc_pair", (Major::V15, source), (Major::V18, target));
        pair.source.psql("create table t (x text); insert into t values ('a')").unwrap();
        let check = pair.check().run().unwrap();
        assert_eq!(check.status.code(), Some(12), "{}", check.stdout);
        assert!(check.stdout.contains(fix), "{fix}: {}", check.stdout);
        let output = pair.program().run().unwrap();
        assert_eq!(output.status.code(), Some(7), "{}", output.stderr);
        assert!(output.stderr.contains(fix), "{fix}: {}", output.stderr);
        let created = "select count(*) from pg_class where relname = 't'";
        assert_eq!(pair.target_value(created), "0");
    }
}
