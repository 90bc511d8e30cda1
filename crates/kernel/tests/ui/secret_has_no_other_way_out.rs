//! A secret cannot be printed, written or ordered; only `expose` reads it.

use kernel::Secret;

fn main() {
    let token = Secret::new("shpat_1");
    let _ = format!("{token:?}");
    let _ = format!("{token}");
    let _ = token.to_string();
    let _ = serde_json::to_string(&token);
    let _ = token < token;
    let _: &str = &token;
    let _ = token.0;
}
