use std::{fs, time::Instant};

use anyhow::{Context, ensure};
use entrepot::verify::verify;
use kernel::{Action, Resource, TenantScope, scope::InternalTask};
use kit::trail::chain::{self, Log};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bench, percentile};
use crate::{
    cpu,
    figures::{rounded, say},
};

/// Kinds of lists: the first page and those after it take turns.
const LISTS: &[(&str, &str)] = &[
    ("all", ""),
    ("connection", "connection_id=00000000-0000-7000-8000-000000000001"),
    ("level error", "level=error"),
    ("level info", "level=info"),
    ("type", "event_type=sync.started"),
    ("types", "event_type=sync.*"),
    ("actor", "actor=system:task_2"),
    ("search, common", "search=of%20many"),
    ("search, none", "search=nothing%20has%20this"),
    (
        "connection, type and actor",
        "connection_id=00000000-0000-7000-8000-000000000001&event_type=order.imported&actor=system:task_2",
    ),
    ("level, type and search", "level=warning&event_type=sync.*&search=00"),
];

/// Seals, as the job does.
enum Seal {}
impl InternalTask for Seal {
    const NAME: &'static str = "bench_seal";
    const PERMISSIONS: &'static [(Resource, Action)] =
        &[(Resource::Audit, Action::Create), (Resource::Audit, Action::Read)];
}

impl Bench<'_> {
    /// What 95 of 100 lists of each kind took at most, in milliseconds.
    pub(super) async fn lists(&self) -> anyhow::Result<Vec<(String, f64)>> {
        let mut found = vec![];
        let now = self.product.served.program.app.clock.now();
        let (month, week) = (now - chrono::TimeDelta::days(60), now - chrono::TimeDelta::days(53));
        let times = format!("created_after={}&created_before={}", stamp(month), stamp(week));
        let all = LISTS.iter().map(|(name, query)| ((*name).to_owned(), (*query).to_owned()));
        for (name, query) in all.chain([("times".to_owned(), times)]) {
            let (mut took, mut cursor) = (vec![], String::new());
            for _ in 0..self.options.lists {
                let request = self.http.get(self.url(&format!("?{query}{cursor}"))).bearer_auth(&self.token);
                let began = Instant::now();
                let response = request.send().await?;
                let status = response.status();
                let body = response.bytes().await?;
                took.push(began.elapsed());
                ensure!(status.is_success(), "{name}: {status}: {}", String::from_utf8_lossy(&body));
                let page: Value = serde_json::from_slice(&body)?;
                cursor = page["next_cursor"].as_str().map(|next| format!("&cursor={next}")).unwrap_or_default();
            }
            let p95 = percentile(took, 95);
            say(&format!("list: {name:<28} {p95:>8.2} ms"));
            ensure!(p95 <= self.options.list_ms, "{name}: 95 of 100 lists take up to {p95:.1} ms");
            found.push((name, p95));
        }
        Ok(found)
    }

    /// The whole log as CSV, read as fast as it comes.
    pub(super) async fn csv(&self) -> anyhow::Result<Value> {
        let own = std::process::id();
        // The peak from now on (proc(5), clear_refs).
        fs::write("/proc/self/clear_refs", "5").context("the peak of memory cannot be reset")?;
        let before = cpu::memory_bytes(own, "status", "VmRSS").context("no memory is told")?;
        let began = Instant::now();
        let mut response = self.http.get(self.url("export.csv")).bearer_auth(&self.token).send().await?;
        ensure!(response.status().is_success(), "the export answered {}", response.status());
        let (mut lines, mut bytes) = (0_i64, 0_usize);
        while let Some(chunk) = response.chunk().await? {
            lines += i64::try_from(chunk.iter().filter(|byte| **byte == b'\n').count())?;
            bytes += chunk.len();
        }
        let seconds = began.elapsed().as_secs_f64();
        let peak = cpu::memory_bytes(own, "status", "VmHWM").context("no memory is told")?;
        let grown = peak.saturating_sub(before);
        // A head, and the line about the sign-up.
        ensure!(lines == self.options.rows + 2, "the CSV has {lines} lines");
        let (mib, megabytes) = (grown as f64 / 1_048_576.0, bytes as f64 / 1e6);
        say(&format!(
            "CSV: {lines} lines, {megabytes:.0} MB in {seconds:.1} s; the process grew by {mib:.1} MiB at most"
        ));
        ensure!(grown <= self.options.csv_mib * 1_048_576, "the CSV takes {mib:.1} MiB of memory");
        Ok(json!({ "seconds": rounded(seconds), "megabytes": rounded(megabytes), "grown_mib": rounded(mib) }))
    }

    /// Seals the log, verifies it, and alters lines that are then named.
    pub(super) async fn chain(&self) -> anyhow::Result<Value> {
        let app = &self.product.served.program.app;
        let scope = TenantScope::internal::<Seal>(self.organization);
        let began = Instant::now();
        loop {
            let mut tx = app.db.tenant(&scope).await?;
            let is_sealed = chain::seal(&mut tx, &app.clock, Log::Events).await?;
            tx.commit().await?;
            if !is_sealed {
                break;
            }
        }
        let sealed = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let findings = verify(&app.db, Some(self.organization), say).await?;
        let verified = began.elapsed().as_secs_f64();
        ensure!(findings.is_empty(), "nothing was altered yet");
        say(&format!("chain: sealed in {sealed:.1} s, verified in {verified:.1} s"));
        let mut admin = self.admin().await?;
        for number in 0..self.options.altered {
            // Anywhere in the log, and each time another column.
            let place = (self.options.rows - 1) * i64::try_from(number)? / i64::try_from(self.options.altered)?.max(1);
            let line: Uuid = sqlx::query_scalar(
                "
                -- bench_line
                select id from events where organization_id = $1 order by id offset $2 limit 1
                ",
            )
            .bind(self.organization.uuid())
            .bind(place)
            .fetch_one(&mut admin)
            .await?;
            let (change, back) = [
                ("message = message || ' '", "message = rtrim(message)"),
                (
                    "created_at = created_at + interval '1 microsecond'",
                    "created_at = created_at - interval '1 microsecond'",
                ),
                ("meta = meta || '{\"x\": 1}'", "meta = meta - 'x'"),
                (
                    "level = case level when 'info' then 'error' else 'info' end",
                    "level = case level when 'info' then 'error' else 'info' end",
                ),
            ][number % 4];
            let of_line = format!("where organization_id = '{}' and id = '{line}'", self.organization);
            ensure!(
                self.execute(&mut admin, format!("update events set {change} {of_line}")).await? == 1,
                "no line was altered"
            );
            let findings = verify(&app.db, Some(self.organization), say).await?;
            let [finding] = &findings[..] else { anyhow::bail!("a line was altered ({change}), and not found") };
            ensure!(finding.fault.line == Some(line), "another line is named than the altered one");
            self.execute(&mut admin, format!("update events set {back} {of_line}")).await?;
        }
        ensure!(
            verify(&app.db, Some(self.organization), say).await?.is_empty(),
            "what was put back is what was sealed"
        );
        Ok(
            json!({ "seal_seconds": rounded(sealed), "verify_seconds": rounded(verified), "altered_and_named": self.options.altered }),
        )
    }
}

fn stamp(time: kernel::Time) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
