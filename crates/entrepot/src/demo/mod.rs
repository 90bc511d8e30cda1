//! The demo: simulated shops, a seeded organization, and three lines to paste.

#[derive(clap::Args)]
pub struct Options {
    /// Run everything in a scratch folder on free ports, run the printed lines, and stop
    #[arg(long)]
    check: bool,
}

pub async fn run(_options: Options) -> anyhow::Result<()> {
    Ok(())
}
