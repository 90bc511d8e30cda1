//! What is kept, and for how long, for whoever asks. The list and its rules are `kit::retention`.

pub mod api;
