//! The whole program in a test: a real database, simulated shops, a clock that the test moves. Dev-dependency only.
//!
//! ```no_run
//! # use http::StatusCode;
//! # use testkit::TestApp;
//! # async fn example() {
//! let app = TestApp::start().await;
//! let kata = app.sign_up("Kata").await;
//! let store = kata.connect_woocommerce("kavebolt.example").await;
//! let key = kata.create_key("bot").await;
//! key.get(&format!("/webshop-data-api/orders?store_id={store}")).await.expect(StatusCode::OK);
//! # }
//! ```
//!
//! - [`TestApp`]: a node of the program; [`TestApp::second_node`] is another on the same database and key store
//! - [`Process`]: the same as a process of its own, which can be killed
//! - [`Client`]: somebody who calls it: a person with a session, a program with a key, nobody. Every answer is held to the
//!   OpenAPI document (`contract.rs`)
//! - [`cluster`]: one PostgreSQL per test process, one database per test, copied from a migrated template
//! - [`Follower`]: somebody who follows the activity log, part by part
//! - [`many_keys`]: data keys of an installation that has served for years
//! - [`scan`]: finds values in whatever form they were written down; [`logs`]: everything that was logged; [`collector`]: what left
//!   for the collectors of the operator

pub mod app;
pub mod client;
pub mod cluster;
pub mod collector;
mod contract;
pub mod follower;
pub mod logs;
pub mod many_keys;
pub mod process;
pub mod scan;
pub mod shops;

pub use app::{Options, TestApp};
pub use client::{Answer, Client, Key, Member};
pub use follower::{Follower, Listening};
pub use process::Process;
