/// One function: the cases are compiled together.
#[test]
fn what_the_types_forbid_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// An SQL type for a secret or a personal value could be declared here or in sqlx only (the orphan rule), and a crate that
/// neither knows sqlx nor a runtime does no I/O. That the two types have none is asserted where sqlx is known, in
/// `kit::vault`.
#[test]
fn the_kernel_knows_no_database_and_no_runtime() {
    let manifest = include_str!("../../Cargo.toml");
    for crate_name in ["sqlx", "tokio", "reqwest", "axum", "tracing"] {
        let named = manifest.lines().any(|line| line.split(['.', ' ', '=']).next() == Some(crate_name));
        assert!(!named, "the kernel depends on {crate_name}");
    }
}
