//! What the documentation shows is what is run.

use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The listings of a language, in order.
fn listings(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let after = document.split(&fence).skip(1);
    after.map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

#[test]
fn the_listing_of_the_readme_is_an_example() {
    assert_eq!(listings(&text("README.md"), "rust"), [text("examples/three_bits.rs")]);
}

#[test]
fn every_example_is_said_to_exist() {
    let readme = text("README.md");
    let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    for file in folder {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(readme.contains(&format!("examples/{name}")), "the README does not name {name}");
    }
}
