//! PII-5: a personal value cannot be printed, written, ordered or read without an exit.

use kernel::Personal;

fn main() {
    let name = Personal::new("Ada".to_owned());
    let _ = format!("{name:?}");
    let _ = format!("{name}");
    let _ = name.to_string();
    let _ = serde_json::to_string(&name);
    let _ = name < name;
    let _: &str = &name;
    let _ = name.reveal();
    let _ = name.0;
}
