//! Keys reach their expiry whether or not anybody uses them.
