//! The sentinel of a work directory.

use std::path::Path;

use serde_json::Value;

use crate::support::run;

#[test]
fn the_sentinel_is_written_and_read_without_a_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("work");
    let directory = directory.to_str().expect("UTF-8");
    let sentinel = |words: &str| {
        let words: Vec<&str> = words.split(' ').chain(["--dir", directory]).collect();
        let run = run(&words);
        assert_eq!(run.code, Some(0), "{words:?}: {}", run.stderr);
        run.stdout
    };
    let missing = run(&["stream", "sentinel", "get", "--dir", directory]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));
    assert!(!Path::new(directory).exists(), "reading made a directory");
    assert_eq!(sentinel("stream sentinel setup 0/1000 A/2000"), "");
    let all = "startpos       0/1000\nendpos         A/2000\napply          disabled\n\
               write_lsn      0/0\nflush_lsn      0/0\nreplay_lsn     0/0\n";
    assert_eq!(sentinel("stream sentinel get"), all);
    let json: Value = serde_json::from_str(&sentinel("stream sentinel get -J")).expect("JSON");
    let wanted = serde_json::json!({
        "startpos": "0/1000", "endpos": "A/2000", "apply": false,
        "write_lsn": "0/0", "flush_lsn": "0/0", "replay_lsn": "0/0",
    });
    assert_eq!(json, wanted);
    assert_eq!(sentinel("stream sentinel set startpos 0/1100"), "");
    assert_eq!(sentinel("stream sentinel get --startpos"), "0/1100\n");
    assert_eq!(sentinel("stream sentinel set endpos B/30"), "B/30\n");
    assert_eq!(sentinel("stream sentinel get -e"), "B/30\n");
    sentinel("stream sentinel set apply");
    assert_eq!(sentinel("stream sentinel get -a"), "enabled\n");
    sentinel("stream sentinel set prefetch");
    assert_eq!(sentinel("stream sentinel get --apply"), "disabled\n");
    sentinel("stream sentinel set endpos 0/0");
    assert_eq!(sentinel("stream sentinel get --endpos"), "0/0\n");
    for (words, said) in [
        ("stream sentinel set endpos 12", "argument LSN: expected"),
        ("stream sentinel set endpos 0/1 --current", "cannot"),
        ("stream sentinel get --apply --endpos", "cannot"),
        ("stream sentinel set endpos --current", "--source"),
        ("stream sentinel set startpos 0/123456789", "expected"),
        ("stream sentinel setup 0/1", "argument ENDLSN is missing"),
    ] {
        let words: Vec<&str> = words.split(' ').chain(["--dir", directory]).collect();
        let run = run(&words);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{words:?}");
        assert!(run.stderr.contains(said), "{words:?}: {}", run.stderr);
    }
}
