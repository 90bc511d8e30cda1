use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, Utc};
use kernel::{Exit, Personal, TeamMemberId, TenantScope};
use kit::{
    App, Authorized, Problem, Router, answer,
    idempotency::{Created, IdempotencyKey, Once},
    input::{Json, Patch, Path, Query},
    page::{Page, PageQuery},
    route,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    Edit, NewTeamMember,
    model::{self, Commission, Person, Work},
    store::TeamMemberRow,
};
use crate::{
    invitations::api::CreateMembers,
    members::api::{DeleteMembers, ReadMembers, UpdateMembers},
    words::{CommissionType, TeamMemberType},
};

pub fn routes() -> Router {
    Router::new()
        .routes(route!(list))
        .routes(route!(create))
        .routes(route!(find))
        .routes(route!(edit))
        .routes(route!(delete))
        .routes(route!(restore))
}

/// A person of the organization, with or without a login.
#[derive(Serialize, ToSchema)]
struct TeamMemberView<'a> {
    id: Uuid,
    /// For people to read, and for what another system calls them.
    external_id: &'a str,
    full_name: &'a str,
    email: Option<&'a str>,
    /// Their login, if they have a seat here.
    user_id: Option<Uuid>,
    #[schema(value_type = TeamMemberType)]
    member_type: &'a str,
    /// In percent, or an amount, as a decimal.
    #[schema(value_type = Option<String>)]
    commission_rate: Option<Decimal>,
    #[schema(value_type = Option<CommissionType>)]
    commission_type: Option<&'a str>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// When it was deleted: it can be restored for as long as GET /api/retention says.
    deleted_at: Option<DateTime<Utc>>,
}

fn view<'a>(row: &'a TeamMemberRow, person: &'a Person, exit: &'a Exit) -> TeamMemberView<'a> {
    TeamMemberView {
        id: row.id.uuid(),
        external_id: &row.external_id,
        full_name: person.full_name.reveal(exit),
        email: person.email.as_ref().map(|email| email.reveal(exit).as_str()),
        user_id: row.user_id,
        member_type: &row.member_type,
        commission_rate: row.commission_rate.map(|rate| rate.normalize()),
        commission_type: row.commission_type.as_deref(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        deleted_at: row.deleted_at,
    }
}

fn one((row, person): &(TeamMemberRow, Person)) -> Result<Response, Problem> {
    answer::reveal(|exit, out| serde_json::to_writer(out, &view(row, person, exit)))
        .map_err(|error| Problem::internal(&error))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TeamMemberQuery {
    /// Those that were deleted and can be restored, in place of those that are there.
    deleted: Option<bool>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    cursor: Option<String>,
}

/// The people of the organization, newest first
#[utoipa::path(get, path = "/api/team-members", tag = "team members", params(TeamMemberQuery),
    responses((status = 200, description = "A page of team members", body = Page<TeamMemberView<'static>>)))]
async fn list(
    caller: Authorized<ReadMembers>,
    State(app): State<App>,
    Query(query): Query<TeamMemberQuery>,
) -> Result<Response, Problem> {
    let deleted = query.deleted.unwrap_or_default();
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let window = page.window(&app, &caller.scope, "team members", deleted)?;
    let opened = super::newest(&app, &caller.scope, window, deleted).await?;
    let Page { data, next_cursor } = window.page(&app, opened, |(row, _)| row.id.uuid(), |opened| opened);
    answer::reveal(|exit, out| {
        let data: Vec<_> = data.iter().map(|(row, person)| view(row, person, exit)).collect();
        serde_json::to_writer(out, &Page { data, next_cursor })
    })
    .map_err(|error| Problem::internal(&error))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateTeamMember {
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    full_name: Personal<String>,
    #[schema(value_type = Option<String>, format = "email", max_length = 254)]
    email: Option<Personal<String>>,
    /// What another system calls them, or you do; when absent, the next number of ours, such as `TM-0007`.
    #[schema(min_length = 1, max_length = 64)]
    external_id: Option<String>,
    /// A member of the organization.
    user_id: Option<Uuid>,
    #[schema(value_type = TeamMemberType)]
    member_type: String,
    /// In percent, or an amount, as a decimal with up to four places.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    commission_rate: Option<Decimal>,
    #[schema(value_type = Option<CommissionType>)]
    commission_type: Option<String>,
}

/// A team member that was added. What was sent of the person is not repeated.
#[derive(Serialize, ToSchema)]
struct AddedTeamMember {
    id: Uuid,
    external_id: String,
}

impl Created for AddedTeamMember {
    fn again(self) -> Self {
        self
    }
}

/// Add a person of the organization
#[utoipa::path(post, path = "/api/team-members", tag = "team members", params(IdempotencyKey), request_body = CreateTeamMember,
    responses(
    (status = 201, description = "Added", body = AddedTeamMember),
    (status = 409, description = "Another has this external_id, or this login"),
))]
async fn create(
    caller: Authorized<CreateMembers>,
    State(app): State<App>,
    body: Once<CreateTeamMember>,
) -> Result<Response, Problem> {
    body.answer(app, caller.scope, create_once).await
}

async fn create_once(app: App, scope: TenantScope, form: CreateTeamMember) -> Result<AddedTeamMember, Problem> {
    if let Some(external_id) = &form.external_id {
        model::external_id(external_id)?;
    }
    let new = NewTeamMember {
        external_id: form.external_id,
        person: Person {
            full_name: model::full_name(form.full_name)?,
            email: form.email.map(model::email).transpose()?,
        },
        work: Work {
            user_id: form.user_id.map(Into::into),
            member_type: model::member_type(form.member_type)?,
            commission: Commission::new(form.commission_type, form.commission_rate)?,
        },
    };
    let (id, external_id) = super::create(&app, &scope, new).await?;
    Ok(AddedTeamMember { id: id.uuid(), external_id })
}

/// One of the people of the organization
#[utoipa::path(get, path = "/api/team-members/{id}", tag = "team members", params(("id" = Uuid, Path)),
    responses((status = 200, description = "The team member", body = TeamMemberView<'static>)))]
async fn find(
    caller: Authorized<ReadMembers>,
    State(app): State<App>,
    Path(id): Path<TeamMemberId>,
) -> Result<Response, Problem> {
    one(&super::find(&app, &caller.scope, id).await?)
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EditTeamMember {
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    full_name: Option<Personal<String>>,
    /// Null removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "email", max_length = 254)]
    email: Patch<Personal<String>>,
    #[schema(min_length = 1, max_length = 64)]
    external_id: Option<String>,
    /// Null takes their login off the team member, not away from them.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    user_id: Patch<Uuid>,
    #[schema(value_type = Option<TeamMemberType>)]
    member_type: Option<String>,
    /// Null with the type's null: no commission.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    commission_rate: Patch<Decimal>,
    #[serde(default)]
    #[schema(value_type = Option<CommissionType>)]
    commission_type: Patch<String>,
}

fn patched<T>(patch: Patch<T>, before: Option<T>) -> Option<T> {
    match patch {
        Patch::Absent => before,
        Patch::Null => None,
        Patch::Value(value) => Some(value),
    }
}

impl EditTeamMember {
    fn of(self, before: &TeamMemberRow) -> Result<Edit, Problem> {
        if let Some(external_id) = &self.external_id {
            model::external_id(external_id)?;
        }
        let email = match self.email {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(email) => Patch::Value(model::email(email)?),
        };
        let commission_type = patched(self.commission_type, before.commission_type.clone());
        Ok(Edit {
            external_id: self.external_id,
            full_name: self.full_name.map(model::full_name).transpose()?,
            email,
            work: Work {
                user_id: patched(self.user_id, before.user_id).map(Into::into),
                member_type: self.member_type.map_or_else(|| Ok(before.member_type.clone()), model::member_type)?,
                commission: Commission::new(commission_type, patched(self.commission_rate, before.commission_rate))?,
            },
        })
    }
}

/// Change a person of the organization
#[utoipa::path(patch, path = "/api/team-members/{id}", tag = "team members", params(("id" = Uuid, Path)),
    request_body = EditTeamMember, responses(
    (status = 200, description = "The team member", body = TeamMemberView<'static>),
    (status = 409, description = "Another has this external_id, or this login"),
))]
async fn edit(
    caller: Authorized<UpdateMembers>,
    State(app): State<App>,
    Path(id): Path<TeamMemberId>,
    Json(form): Json<EditTeamMember>,
) -> Result<Response, Problem> {
    one(&super::edit(&app, &caller.scope, id, |before| form.of(before)).await?)
}

/// Delete a person of the organization; they can be restored for as long as GET /api/retention says
#[utoipa::path(delete, path = "/api/team-members/{id}", tag = "team members", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Deleted; their login, if they have one, goes on")))]
async fn delete(
    caller: Authorized<DeleteMembers>,
    State(app): State<App>,
    Path(id): Path<TeamMemberId>,
) -> Result<StatusCode, Problem> {
    super::delete(&app, &caller.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bring back a person of the organization who was deleted
#[utoipa::path(post, path = "/api/team-members/{id}/restore", tag = "team members", params(("id" = Uuid, Path)), responses(
    (status = 200, description = "The team member", body = TeamMemberView<'static>),
    (status = 409, description = "Their login has become another's"),
))]
async fn restore(
    caller: Authorized<DeleteMembers>,
    State(app): State<App>,
    Path(id): Path<TeamMemberId>,
) -> Result<Response, Problem> {
    one(&super::restore(&app, &caller.scope, id).await?)
}
