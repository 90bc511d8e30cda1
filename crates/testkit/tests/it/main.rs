//! What the product promises, proven on the whole program: a real PostgreSQL, simulated shops, two nodes where it matters.
//!
//! - [`api_keys`]: checking, limits, rotation
//! - [`audit`]: every change leaves a line, for those who may read it
//! - [`canary`]: nothing personal and no secret is left anywhere
//! - [`catalogue`]: tenancy as the database has it
//! - [`connections`]: what people do with them, and what happens meanwhile
//! - [`deletion`]: an organization that goes, with everything that could be opened
//! - [`backup`]: another installation out of a backup, and what it must not bring back
//! - [`errors`]: what broke, for those whom it concerns
//! - [`events`]: the activity log, narrowed and exported
//! - [`housekeeping`]: what is removed in the course of time
//! - [`idempotency`]: what is created once, however often it is sent
//! - [`input`]: whatever text people send
//! - [`isolation`]: who may call what, from the OpenAPI document
//! - [`issuers`]: tokens of OpenID Connect issuers, those that are taken and those that are not
//! - [`live`]: reading shops, from key to answer, and every way that a shop can fail
//! - [`people`]: invitations, seats, sessions, lost passwords and guessed ones
//! - [`plans`]: what they limit and pause, and what people are told
//! - [`retention`]: what is kept, to the second
//! - [`oauth`]: whatever comes back from a consent and should not have
//! - [`traces`]: what a collector sees of a request
//! - [`mail`]: from the outbox to the mailbox, and what becomes of what cannot be sent

mod api_keys;
mod audit;
mod backup;
mod canary;
mod catalogue;
mod connections;
mod deletion;
mod errors;
mod events;
mod housekeeping;
mod idempotency;
mod input;
mod isolation;
mod issuers;
mod key_abuse;
mod live;
mod mail;
mod oauth;
mod people;
mod plans;
mod retention;
mod traces;
