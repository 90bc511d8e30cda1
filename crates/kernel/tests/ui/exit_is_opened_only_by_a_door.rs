//! The proof that a personal value may leave cannot be made up.

use kernel::{Exit, Personal};

fn main() {
    let name = Personal::new("Ada".to_owned());
    let _ = name.reveal(&Exit(()));
}
