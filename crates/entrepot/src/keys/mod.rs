//! The keys of an installation, as its operator handles them: another master key while the program serves (`rotate.rs`), which every
//! node goes on with by itself (`keep.rs`), and where the shards are (`place.rs`). `docs/keys.md` tells operators.

pub mod keep;
pub mod place;
pub mod rotate;
pub mod status;
