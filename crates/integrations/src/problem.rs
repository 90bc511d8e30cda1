//! Each way a shop can fail, for the caller: whose side it is on and what to do.

use connector::{ProviderError, provider::ConnectError};
use kit::{Code, Problem, problem::FieldError};

/// A failed call to a shop.
pub fn of_provider(error: &ProviderError) -> Problem {
    match error {
        ProviderError::Unauthorized { .. } => Problem::new(
            Code::StoreReauthorizationRequired,
            "The shop no longer accepts our access: it was revoked or has ended. The store's owner must connect it again.",
        ),
        ProviderError::AppRefused { detail } => Problem::new(
            Code::PlatformAppRefused,
            format!(
                "The shop's platform does not take this installation's app ({detail}). Its operator must mend that; the store's owner need do nothing."
            ),
        ),
        ProviderError::Forbidden { missing_scopes, detail } => {
            let problem = Problem::new(
                Code::StoreScopeMissing,
                format!("The shop does not let us read this ({detail}). The store's owner can allow it at the shop."),
            );
            if missing_scopes.is_empty() { problem } else { problem.with("missing_scopes", missing_scopes.clone()) }
        }
        ProviderError::Suspended { detail } => Problem::new(
            Code::StoreSuspended,
            format!("The shop's platform has switched the shop off ({detail}). Its owner must settle that there."),
        ),
        ProviderError::RateLimited { retry_after } => Problem::new(
            Code::StoreRateLimited,
            "The shop's platform limits how often it may be asked. Come back after the time in Retry-After.",
        )
        .with_retry_after(*retry_after),
        ProviderError::TimedOut { after } => Problem::new(
            Code::StoreSlow,
            format!(
                "The shop did not answer within {} s. It is the shop that is slow; try again later.",
                after.as_secs()
            ),
        ),
        ProviderError::Unavailable { detail } | ProviderError::Cut { detail } => {
            Problem::new(Code::StoreUnavailable, format!("The shop cannot be reached ({detail}). Try again later."))
        }
        ProviderError::FilterUnsupported { filter, detail } => Problem::new(
            Code::FilterUnsupported,
            format!("This shop cannot filter by this {filter}: {detail}. The shop was not asked."),
        )
        .with("unsupported", vec![*filter]),
        ProviderError::Rejected { detail } => {
            Problem::new(Code::StoreRejected, format!("The shop refused the request ({detail})."))
        }
        ProviderError::Malformed { path } => Problem::new(
            Code::StoreAnswerUnreadable,
            format!("The shop answered with something else than its platform documents (at {path})."),
        ),
    }
}

/// A failed connect.
pub fn of_connect(error: ConnectError) -> Problem {
    match error {
        ConnectError::Invalid { field, message } => {
            let pointer = format!("/{field}");
            Problem::new(Code::ConnectRefused, message.clone()).with_error(FieldError { pointer, detail: message })
        }
        ConnectError::Provider(error) => of_provider(&error),
    }
}
