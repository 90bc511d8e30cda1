//! What an owner does with the organization: lets somebody look on, changes a key without an interruption, takes the log away.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::demo::{Demo, Shown};

/// A person who looks on.
const GUEST: &str = "guest@entrepot.example";
/// How long a mail may take to the mailbox of the sandbox.
const MAIL_WITHIN: Duration = Duration::from_secs(15);

/// Invites a viewer by mail, who takes the seat, reads, and is refused everything that an owner may write.
pub(super) async fn a_viewer_only_looks(demo: &Demo, owner: &str) -> anyhow::Result<String> {
    demo.confirm_address().await?;
    let visitor = &demo.visitor;
    let form = json!({ "email": GUEST, "role": "viewer" });
    visitor.call(Method::POST, "/api/invitations", Some(owner), Some(&form)).await?;
    let form = json!({
        "token": demo.link(GUEST, "invitation").await?,
        "name": "Guest",
        "password": kernel::random::base62(16),
    });
    let (_, joined) = visitor.call(Method::POST, "/api/invitations/accept-as-new", None, Some(&form)).await?;
    let viewer = joined["session_token"].as_str().context("the viewer has no session")?;
    let (_, stores) = visitor.call(Method::GET, "/api/stores", Some(viewer), None).await?;
    let seen = stores["data"].as_array().map_or(0, Vec::len);
    ensure!(seen >= 2, "a viewer sees {seen} stores of the organization");

    let (_, document) = visitor.call(Method::GET, "/openapi.json", None, None).await?;
    let (_, me) = visitor.call(Method::GET, "/api/me", Some(owner), None).await?;
    let organization = me["organizations"][0]["id"].as_str().context("the owner has no organization")?;
    let mut refused = 0;
    for (method, path) in writes(&document)? {
        // Of connections, members and keys alike: whose id it is comes after whether one may.
        let id = if path.starts_with("/api/organizations/") { organization } else { &demo.seeded.woocommerce_store };
        let path = path.replace("{id}", id).replace("{provider}", "shopify");
        let (status, _, text) = visitor.send(method.clone(), &path, Some(viewer), Some(&json!({}))).await?;
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        ensure!(
            status == StatusCode::FORBIDDEN && problem["code"] == "forbidden",
            "{method} {path} by a viewer answered {status}: {text}"
        );
        refused += 1;
    }
    ensure!(refused >= 10, "the document names {refused} writes only");
    Ok(format!("a viewer who took a seat by mail sees {seen} stores, and is refused each of {refused} writes"))
}

/// The operations that change something and ask for a permission.
fn writes(document: &Value) -> anyhow::Result<Vec<(Method, String)>> {
    let mut writes = vec![];
    for (path, item) in document["paths"].as_object().context("no paths in /openapi.json")? {
        for (method, operation) in item.as_object().context("a path without operations")? {
            let permission = operation["x-permission"].as_str().unwrap_or_default();
            // A search is a POST that reads.
            let writes_something = permission.contains(':') && !permission.ends_with(":read");
            if method != "get" && writes_something {
                writes.push((method.to_ascii_uppercase().parse()?, path.clone()));
            }
        }
    }
    Ok(writes)
}

/// Makes a key, rotates it with an overlap, and calls with both.
pub(super) async fn a_key_is_rotated(demo: &Demo, owner: &str) -> anyhow::Result<String> {
    let visitor = &demo.visitor;
    let text = |answer: &Value, field: &str| -> anyhow::Result<Shown> {
        Ok(answer[field].as_str().with_context(|| format!("no {field} in {answer:#}"))?.to_owned())
    };
    let form = json!({ "name": "Check" });
    let (_, old) = visitor.call(Method::POST, "/api-key-management/create", Some(owner), Some(&form)).await?;
    let form = json!({ "key_id": old["key_id"], "overlap_hours": 1 });
    let (_, new) = visitor.call(Method::POST, "/api-key-management/rotate", Some(owner), Some(&form)).await?;
    let keys = [text(&old, "api_key")?, text(&new, "api_key")?];
    ensure!(keys[0] != keys[1], "a rotated key is the same key");
    let path = format!("/webshop-data-api/products?store_id={}&limit=1", demo.seeded.woocommerce_store);
    for key in &keys {
        visitor.call(Method::GET, &path, Some(key), None).await?;
    }
    let form = json!({ "key_id": old["key_id"] });
    visitor.call(Method::POST, "/api-key-management/revoke", Some(owner), Some(&form)).await?;
    let (status, ..) = visitor.send(Method::GET, &path, Some(&keys[0]), None).await?;
    ensure!(status == StatusCode::UNAUTHORIZED, "a revoked key is answered {status}");
    visitor.call(Method::GET, &path, Some(&keys[1]), None).await?;
    Ok("a key is rotated: both work in the overlap, and only the new one once the old one is revoked".to_owned())
}

/// Takes the activity log away as CSV.
pub(super) async fn the_log_is_exported(demo: &Demo, owner: &str) -> anyhow::Result<String> {
    const COLUMNS: &str = "created_at,level,event_type,connection,actor,message,meta";
    let path = "/api/integrations/events/export.csv";
    let (status, headers, csv) = demo.visitor.send(Method::GET, path, Some(owner), None).await?;
    ensure!(status == StatusCode::OK, "{path} answered {status}: {csv}");
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    ensure!(kind.starts_with("text/csv"), "{path} is {kind:?}");
    let csv = csv.trim_start_matches('\u{feff}');
    let (columns, lines) = csv.split_once("\r\n").context("no line in the CSV")?;
    ensure!(columns == COLUMNS, "the columns of the CSV are {columns}");
    for event in ["connection.connected", "api_key.rotated", "member.joined"] {
        ensure!(lines.contains(event), "no {event} in the CSV");
    }
    Ok(format!("the activity log as CSV has {} lines", lines.matches("\r\n").count()))
}

impl Demo {
    /// What stands behind `#name=` in the newest mail to this address.
    async fn link(&self, to: &str, name: &str) -> anyhow::Result<Shown> {
        let start = format!("#{name}=");
        let asked = Instant::now();
        loop {
            let mails = self.sandbox.mailbox().to(to);
            let token = mails.iter().rev().find_map(|mail| mail.link()?.split_once(&start).map(|(_, token)| token));
            if let Some(token) = token {
                return Ok(token.to_owned());
            }
            ensure!(asked.elapsed() < MAIL_WITHIN, "no mail with a link for {name} came to {to}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Confirms the owner's address by the link that came by mail, as those must who invite.
    async fn confirm_address(&self) -> anyhow::Result<()> {
        let form = json!({ "token": self.link(&self.seeded.email, "verify").await? });
        self.visitor.call(Method::POST, "/api/email-verification/confirm", None, Some(&form)).await?;
        Ok(())
    }
}
