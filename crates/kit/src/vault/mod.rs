#[derive(Clone)] pub struct Keyring;
