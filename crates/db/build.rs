//! A new migration file must be compiled in, which the macro alone does not notice.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
