use std::{cell::RefCell, rc::Rc};

use kernel::{
    Personal,
    personal::{Door, Exit, Wipe},
};
use serde_json::{Value, json};

/// A value whose memory can still be looked at after it is gone.
#[derive(Clone, Default)]
struct Witness(Rc<RefCell<Vec<u8>>>);

impl Wipe for Witness {
    fn wipe(&mut self) {
        self.0.borrow_mut().fill(0);
    }
}

fn witness() -> (Witness, Rc<RefCell<Vec<u8>>>) {
    let memory = Rc::new(RefCell::new(b"Ada".to_vec()));
    (Witness(memory.clone()), memory)
}

#[expect(clippy::disallowed_methods, reason = "the test looks at what a door lets out")]
fn exit() -> Exit {
    Exit::open(Door::Answer)
}

#[test]
fn a_personal_value_is_overwritten_when_it_is_dropped() {
    let (value, memory) = witness();
    let personal = Personal::new(value);
    assert_eq!(*memory.borrow(), b"Ada", "not before");
    drop(personal);
    assert_eq!(*memory.borrow(), [0; 3]);

    let (value, memory) = witness();
    drop(Personal::new(Some(value)));
    assert_eq!(*memory.borrow(), [0; 3], "also inside an option");

    let (value, memory) = witness();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _personal = Personal::new(value);
        panic!("on purpose");
    }));
    assert!(result.is_err());
    assert_eq!(*memory.borrow(), [0; 3], "also when a panic passes");
}

#[test]
fn a_changed_value_is_personal_too() {
    let (value, memory) = witness();
    let mapped = Personal::new("Grace".to_owned()).map(|_| value);
    assert!(mapped.satisfies(|value| *value.0.borrow() == b"Ada"));
    drop(mapped);
    assert_eq!(*memory.borrow(), [0; 3]);

    let name = Personal::new("ada".to_owned()).map(|name| name.to_uppercase());
    assert_eq!(name.reveal(&exit()), "ADA");
}

#[test]
fn questions_are_answered_without_letting_the_value_out() {
    let email = Personal::new("ada@example.com".to_owned());
    assert!(email.satisfies(|email| email.ends_with("@example.com")));
    assert!(!email.satisfies(String::is_empty));
}

#[test]
fn texts_bytes_and_json_are_emptied_wherever_they_are_nested() {
    let mut text = "Ada".to_owned();
    text.wipe();
    assert_eq!(text, "");
    let mut bytes = b"Ada".to_vec();
    bytes.wipe();
    assert!(bytes.is_empty());

    let mut value = json!({"name": "Ada", "emails": ["ada@example.com", {"work": "a@b.example"}], "age": 36, "vip": true, "fax": null});
    value.wipe();
    assert_eq!(value, json!({"name": "", "emails": ["", {"work": ""}], "age": 36, "vip": true, "fax": null}));
}

#[test]
fn personal_values_are_read_from_the_wire() {
    let name: Personal<String> = serde_json::from_str("\"Ada\"").unwrap();
    assert_eq!(name.reveal(&exit()), "Ada");
    assert!(name == Personal::from("Ada".to_owned()));
    let anything: Personal<Value> = serde_json::from_str(r#"{"tags":["vip"]}"#).unwrap();
    assert_eq!(anything.reveal(&exit()), &json!({"tags": ["vip"]}));
    assert!(serde_json::from_str::<Personal<String>>("17").is_err());
}
