//! Testing a connection: whether its shop answers, and for which kinds of data. Live reads note the same in passing
//! (`connections/open_stores.rs`); this asks on purpose.

pub mod api;

use kernel::{ConnectionId, TenantScope};
use kit::{
    App, Problem,
    trail::{self, Event},
};
use serde_json::{Map, Value, json};

use crate::{
    connections::{
        Stores,
        store::{self, ConnectionRow},
    },
    live::probe::{self, Outcome, Probe},
};

/// Asks the shop for one record of each kind that may be read of it, and notes how it is. What was found, and the
/// connection as it stands then.
///
/// # Errors
/// [`kit::Code::NotFound`] for an unknown connection. A shop that fails is no error of the test.
pub(crate) async fn test(
    app: &App,
    scope: &TenantScope,
    id: ConnectionId,
) -> Result<(Vec<Probe>, ConnectionRow), Problem> {
    let mut tx = app.db.tenant(scope).await?;
    store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    let probes = Box::pin(probe::all(app, scope, id)).await?;
    note(app, scope, id, &probes).await?;

    let mut tx = app.db.tenant(scope).await?;
    let row = store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let failed = probes.iter().any(|probe| matches!(probe.outcome, Outcome::Failed { .. }));
    let event = if failed {
        Event::warning("connection.tested", format!("{} was tested, and something failed.", row.display_name))
    } else {
        Event::info("connection.tested", format!("{} was tested.", row.display_name))
    };
    let results: Map<String, Value> =
        probes.iter().map(|probe| (probe.resource.to_owned(), json!(word(&probe.outcome)))).collect();
    trail::event(&mut tx, &app.clock, event.of(id).with(json!({ "results": results, "health": row.health }))).await?;
    tx.commit().await?;
    Ok((probes.into(), row))
}

/// Each read has noted what it found, in no order; what counts is all of them together.
async fn note(app: &App, scope: &TenantScope, id: ConnectionId, probes: &[Probe]) -> Result<(), Problem> {
    let passing = probes.iter().find_map(|probe| match probe.outcome {
        Outcome::Failed { passing, .. } => passing,
        Outcome::Answered | Outcome::Off => None,
    });
    let has_answered = probes.iter().any(|probe| matches!(probe.outcome, Outcome::Answered));
    if passing.is_none() && !has_answered {
        return Ok(());
    }
    let stores = app.slice::<Stores>();
    match stores.get(app, scope, id).await {
        Ok(Some(store)) if store.credential.is_some() => stores.report_test(app, &store, passing).await,
        // Taken away while it was tested.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// `ok`, `disabled`, or the code of the problem that a live read would answer with.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "ok",
        Outcome::Off => "disabled",
        Outcome::Failed { code, .. } => code.as_str(),
    }
}
