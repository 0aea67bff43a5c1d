//! The tree keeps the project's rules: what `cargo xtask tidy` checks, as a test.

#[test]
fn the_tree_is_tidy() {
    let complaints = xtask::tidy::complaints();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}
