//! Signatures that providers put on what they send and want on what we send.
