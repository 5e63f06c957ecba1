//! Replays every seed of the fuzz targets of this crate, see `fuzz/README.md`. Those of the
//! protocol crate are replayed by its own tests.

#[path = "../fuzz/bodies/root.rs"]
mod bodies;

use std::path::Path;

#[test]
fn every_seed_of_the_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in bodies::TARGETS {
        let directory = corpus.join(name);
        let entries = std::fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let mut count = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            let data = std::fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&data));
            assert!(outcome.is_ok(), "seed {} of target {name}", path.display());
            count += 1;
        }
        assert!(count > 0, "{} holds no seed: the target starts blind", directory.display());
    }
}

#[test]
fn every_fuzz_target_has_seeds_and_is_built() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let names = |directory: &str| -> std::collections::BTreeSet<String> {
        let entries = std::fs::read_dir(fuzz.join(directory)).unwrap();
        entries
            .map(|entry| {
                let path = entry.unwrap().path();
                path.file_stem().unwrap().to_string_lossy().into_owned()
            })
            .collect()
    };
    let targets = names("fuzz_targets");
    assert_eq!(targets, names("corpus"));
    for name in targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in Cargo.toml");
    }
}
