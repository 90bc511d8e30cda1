use axum::{Json as Body, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::{MemberId, Role};
use kit::{
    App, Authorized, Problem, Router, SteppedUp,
    input::{self, Json, Path, Query},
    page::{Page, PageQuery},
    route,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    SeatChange,
    store::{self, MemberRow},
};
use crate::words::{MemberRole, MemberStatus, SettableMemberStatus};

kernel::permissions! {
    ReadMembers = (Members, Read);
    UpdateMembers = (Members, Update);
    DeleteMembers = (Members, Delete);
    /// Taking a seat, or the offer of one, away: it can be done while the organization is read-only.
    RemoveMembers = (Members, Delete, WHILE_READ_ONLY);
}

pub fn routes() -> Router {
    Router::new().routes(route!(list)).routes(route!(change)).routes(route!(remove))
}

/// Somebody's seat in the organization.
#[derive(Serialize, ToSchema)]
struct MemberView {
    id: Uuid,
    user_id: Uuid,
    name: String,
    email: String,
    #[schema(value_type = MemberRole)]
    role: String,
    #[schema(value_type = MemberStatus)]
    status: String,
    /// Where they work: tags that projects are assigned by.
    stations: Vec<String>,
    created_at: DateTime<Utc>,
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeMember {
    /// One that may do nothing that you may not.
    #[schema(value_type = Option<MemberRole>)]
    role: Option<String>,
    #[schema(value_type = Option<SettableMemberStatus>)]
    status: Option<String>,
    /// All of them, each of 1 to 40 characters.
    #[schema(max_items = 20)]
    stations: Option<Vec<String>>,
}

const STATIONS_MAX: usize = 20;
const STATION_CHARACTERS_MAX: usize = 40;

/// Each once, in the order given.
fn stations(given: Vec<String>) -> Result<Vec<String>, Problem> {
    if given.len() > STATIONS_MAX {
        return Err(Problem::invalid("/stations", format!("must be {STATIONS_MAX} at most")));
    }
    let mut stations = Vec::with_capacity(given.len());
    for (index, station) in given.iter().enumerate() {
        let station = input::text(&format!("/stations/{index}"), station, STATION_CHARACTERS_MAX)?;
        if !stations.contains(&station) {
            stations.push(station);
        }
    }
    Ok(stations)
}

/// The organization's members, newest first
#[utoipa::path(get, path = "/api/members", tag = "members", params(PageQuery),
    responses((status = 200, description = "A page of members", body = Page<MemberView>)))]
async fn list(
    caller: Authorized<ReadMembers>,
    State(app): State<App>,
    Query(query): Query<PageQuery>,
) -> Result<Body<Page<MemberView>>, Problem> {
    let window = query.window(&app, &caller.scope, "members", ())?;
    let mut tx = app.db.tenant(&caller.scope).await?;
    let rows = store::newest(&mut tx, window).await?;
    tx.commit().await?;
    Ok(Body(window.page(&app, rows, |row| row.id.uuid(), view)))
}

/// Change a member's role or stations, suspend them, or let them back
#[utoipa::path(patch, path = "/api/members/{id}", tag = "members", params(("id" = Uuid, Path)), request_body = ChangeMember,
    responses(
    (status = 200, description = "The member; it holds on every node within a second", body = MemberView),
    (status = 409, description = "The organization would have no owner"),
))]
async fn change(
    caller: SteppedUp<Authorized<UpdateMembers>>,
    State(app): State<App>,
    Path(id): Path<MemberId>,
    Json(form): Json<ChangeMember>,
) -> Result<Body<MemberView>, Problem> {
    let role = form.role.map(|role| parse_role(&role)).transpose()?;
    let is_active = match form.status.as_deref() {
        None => None,
        Some("active") => Some(true),
        Some("suspended") => Some(false),
        Some(_) => return Err(Problem::invalid("/status", "must be active or suspended")),
    };
    let stations = form.stations.map(stations).transpose()?;
    let row = super::change(&app, &caller.scope, id, SeatChange { role, is_active, stations }).await?;
    Ok(Body(view(row)))
}

/// Remove a member
#[utoipa::path(delete, path = "/api/members/{id}", tag = "members", params(("id" = Uuid, Path)), responses(
    (status = 204, description = "Removed; their API keys of this organization have ended"),
    (status = 409, description = "The organization would have no owner"),
))]
async fn remove(
    caller: SteppedUp<Authorized<RemoveMembers>>,
    State(app): State<App>,
    Path(id): Path<MemberId>,
) -> Result<StatusCode, Problem> {
    super::remove(&app, &caller.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn parse_role(text: &str) -> Result<Role, Problem> {
    text.parse().map_err(|_| Problem::invalid("/role", "is not one of the roles"))
}

fn view(row: MemberRow) -> MemberView {
    MemberView {
        id: row.id.uuid(),
        user_id: row.user_id.uuid(),
        name: row.name,
        email: row.email,
        role: row.role,
        status: row.status,
        stations: row.stations,
        created_at: row.created_at,
    }
}
