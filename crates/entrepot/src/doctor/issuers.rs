//! The issuers whose tokens are taken.

use accounts::oidc::{IssuerSettings, reach};
use connector::http::{Hosts, Http, HttpOptions};

use super::Report;

/// Asks each issuer for its keys, as the program does.
///
/// # Errors
/// When this machine has no certificate authorities to ask anybody with.
pub(super) async fn look(settings: anyhow::Result<Vec<IssuerSettings>>, report: &mut Report) -> anyhow::Result<()> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            report.error("issuers", format!("{error:#}"), "the program does not start with this file: mend it");
            return Ok(());
        }
    };
    for issuer in &settings {
        let options = HttpOptions { reaches_inside: issuer.private_network, ..HttpOptions::default() };
        let http = tokio::task::spawn_blocking(|| Http::new(Hosts::production(), options)).await??;
        match reach(issuer, &http).await {
            Ok(keys) => report.ok("issuers", format!("{}: {keys} of its keys can be used", issuer.label)),
            Err(error) => report.error(
                "issuers",
                format!(
                    "{} ({}): {error}. Its tokens are refused, or will be within a day",
                    issuer.label, issuer.issuer
                ),
                "open its discovery document from this machine, and compare the settings with it",
            ),
        }
    }
    Ok(())
}
