//! The naive proxy (`bin/naive.rs`), as a process.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use anyhow::Context;

/// A running naive proxy; it ends when this is dropped.
pub(crate) struct Naive {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Naive {
    pub(crate) fn start<'k>(keys: impl Iterator<Item = &'k str>, shop: SocketAddr) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("naive");
        let mut process = Command::new(program)
            .arg(shop.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the naive proxy does not start: it is built with the bench")?;
        let mut stdin = process.stdin.take().context("no standard input")?;
        for key in keys {
            writeln!(stdin, "{key}")?;
        }
        drop(stdin);
        let mut address = String::new();
        BufReader::new(process.stdout.take().context("no standard output")?).read_line(&mut address)?;
        Ok(Self { address: address.trim().parse().context("the naive proxy does not listen")?, process })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            let _status = self.process.wait();
        }
    }
}
