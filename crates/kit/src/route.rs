//! A handler with its place in the OpenAPI document.
//!
//! The permission of an operation is written once, in the handler's first argument; [`route!`](crate::route!) reads it
//! from the type and puts it into the document, with the answers that every such operation can give.

use axum::handler::Handler;
use kernel::{Action, Permission, Resource, permission::is_exception};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
    extensions::ExtensionsBuilder,
    path::{Operation, Paths},
    schema::{Schema, Type},
    security::SecurityRequirement,
};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::{
    App, Authorized, Problem, Public, SignedIn,
    app::StepUp,
    caller::{AcrossConnections, AnyKey, AtConnection, Attempted, Lasting, Reproved, SteppedUp},
};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Anybody,
    /// A person with a session.
    Person,
    /// A program with an API key.
    Key,
    /// A person or a key with this permission.
    Holder(Resource, Action, Exception),
}

/// Whether it writes, and can be called while the organization is read-only all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception(pub bool);

const fn holder<P: Permission>() -> Caller {
    Caller::Holder(P::RESOURCE, P::ACTION, Exception(is_exception::<P>()))
}

/// The first argument of a handler.
pub trait FirstArgument {
    const CALLER: Caller;
    const STEP_UP: Option<StepUp> = None;
}

impl<C: FirstArgument> FirstArgument for SteppedUp<C> {
    const CALLER: Caller = C::CALLER;
    const STEP_UP: Option<StepUp> = Some(Self::STEP_UP);
}
impl<C: FirstArgument> FirstArgument for Reproved<C> {
    const CALLER: Caller = C::CALLER;
    const STEP_UP: Option<StepUp> = Some(Self::STEP_UP);
}

impl<P: Permission> FirstArgument for Authorized<P> {
    const CALLER: Caller = holder::<P>();
}
impl<P: Permission> FirstArgument for AtConnection<P> {
    const CALLER: Caller = holder::<P>();
}
impl<P: Permission> FirstArgument for AcrossConnections<P> {
    const CALLER: Caller = holder::<P>();
}
impl<P: Permission> FirstArgument for Lasting<P> {
    const CALLER: Caller = holder::<P>();
}
impl<P: Permission> FirstArgument for Attempted<P> {
    const CALLER: Caller = holder::<P>();
}
impl FirstArgument for SignedIn {
    const CALLER: Caller = Caller::Person;
}
impl FirstArgument for AnyKey {
    const CALLER: Caller = Caller::Key;
}
/// For pages: who is not signed in is told so by the handler itself.
impl FirstArgument for Result<SignedIn, Problem> {
    const CALLER: Caller = Caller::Person;
}
impl FirstArgument for Public {
    const CALLER: Caller = Caller::Anybody;
}

/// The arguments of a handler, as axum names them in [`Handler`]'s first parameter.
pub trait Arguments {
    const CALLER: Caller;
    const STEP_UP: Option<StepUp>;
}

macro_rules! arguments {
    ($($rest:ident)*) => {
        impl<M, First: FirstArgument, $($rest),*> Arguments for (M, First, $($rest,)*) {
            const CALLER: Caller = First::CALLER;
            const STEP_UP: Option<StepUp> = First::STEP_UP;
        }
    };
}
arguments!();
arguments!(A);
arguments!(A B);
arguments!(A B C);
arguments!(A B C D);
arguments!(A B C D E);

/// Who may call a handler, and what is asked of them besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    pub caller: Caller,
    pub step_up: Option<StepUp>,
}

/// The door of this handler.
pub fn door<H, T>(_handler: &H) -> Door
where
    H: Handler<T, App>,
    T: Arguments,
{
    Door { caller: T::CALLER, step_up: T::STEP_UP }
}

/// Registers a handler: `route!(api::list)`.
#[macro_export]
macro_rules! route {
    ($($handler:tt)+) => {
        $crate::route::document($crate::route::door(&$($handler)+), $crate::utoipa_axum::routes!($($handler)+))
    };
}

/// Adds to an operation what follows from who may call it.
pub fn document(
    Door { caller, step_up }: Door,
    (schemas, mut paths, router): UtoipaMethodRouter<App>,
) -> UtoipaMethodRouter<App> {
    for (path, operation) in operations(&mut paths) {
        // Handlers of different slices share plain names (`list`); a generated client needs one name each.
        if let (Some(tag), Some(name)) = (operation.tags.iter().flatten().next(), &operation.operation_id) {
            operation.operation_id = Some(format!("{}_{name}", tag.replace(' ', "_")));
        }
        let extension = match caller {
            Caller::Anybody => "public".to_owned(),
            Caller::Person => "person".to_owned(),
            Caller::Key => "key".to_owned(),
            Caller::Holder(resource, action, _) => format!("{resource}:{action}"),
        };
        operation.extensions = Some(ExtensionsBuilder::new().add("x-permission", extension).build());
        let mut answers =
            vec![("400", "The request breaks a rule that its detail names"), ("500", "Our fault"), ("503", "Busy")];
        if caller == Caller::Anybody {
            operation.security = Some(vec![SecurityRequirement::default()]);
        } else {
            let mut schemes = vec![SecurityRequirement::new::<_, [&str; 0], &str>("bearer", [])];
            if caller != Caller::Key {
                schemes.push(SecurityRequirement::new::<_, [&str; 0], &str>("session", []));
            }
            operation.security = Some(schemes);
            answers.push(("401", "Nobody is known by these credentials"));
            answers.push(match step_up {
                Some(_) => {
                    ("403", "The caller lacks the permission or the CSRF header, or is to prove who they are first")
                }
                None => ("403", "The caller lacks the permission, or the CSRF header"),
            });
            answers.push(("404", "Not there, or not yours"));
            answers.push(("429", "The key's minute is used up"));
        }
        if matches!(caller, Caller::Holder(_, action, Exception(false)) if action != Action::Read) {
            answers.push(("402", "The plan allows no more, or the organization is read-only"));
        }
        if path.contains('{') {
            answers.push(("404", "Nothing has this name"));
        }
        if operation.request_body.is_some() {
            answers.push(("413", "The body is larger than 1 MiB"));
            answers.push(("415", "The body is not sent as JSON"));
        }
        let mut parameters = operation.parameters.iter().flatten();
        if parameters.any(|parameter| matches!(parameter, RefOr::T(named) if named.name == "Idempotency-Key")) {
            answers.push(("409", "The same request, by its Idempotency-Key, has not been answered yet"));
            answers.push(("422", "The Idempotency-Key was sent with another request"));
        }
        for (status, description) in answers {
            let answer = || ResponseBuilder::new().description(description).build().into();
            operation.responses.responses.entry(status.to_owned()).or_insert_with(answer);
        }
        for (status, answer) in &mut operation.responses.responses {
            if let RefOr::T(answer) = answer
                && status.as_str() >= "400"
            {
                describe_failure(status, answer);
                if let Some(step_up) = step_up.filter(|_| status == "403") {
                    answer.extensions = Some(ExtensionsBuilder::new().add("x-step-up", step_up.as_str()).build());
                }
            }
        }
    }
    (schemas, paths, router)
}

fn operations(paths: &mut Paths) -> impl Iterator<Item = (&str, &mut Operation)> {
    paths.paths.iter_mut().flat_map(|(path, item)| {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        operations.into_iter().flatten().map(|operation| (path.as_str(), operation))
    })
}

/// A failed answer is a problem, and says when to come back where that helps.
fn describe_failure(status: &str, answer: &mut Response) {
    if answer.content.is_empty() {
        let problem = RefOr::<Schema>::Ref(Ref::from_schema_name("Problem"));
        let content = ContentBuilder::new().schema(Some(problem)).build();
        answer.content.insert("application/problem+json".to_owned(), content.into());
    }
    if matches!(status, "429" | "503") {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        let header =
            HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds until it is worth coming back"));
        answer.headers.insert("Retry-After".to_owned(), header.build().into());
    }
}
