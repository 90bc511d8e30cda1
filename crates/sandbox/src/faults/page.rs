//! `/sandbox/faults` for people: what is on, and a form to switch something on.

use super::board::{Active, Asked, Board, KINDS};
use crate::pages::{escape, page};
use axum::response::Response;
use std::fmt::Write;

/// The page; with what was wrong with the form that was sent.
pub(super) fn list(board: &Board, error: Option<&str>) -> Response {
    let error =
        error.map(|error| format!("<p role=\"alert\"><strong>{}</strong></p>", escape(error))).unwrap_or_default();
    let on = board.look(|active| match active {
        [] => "<p>Nothing goes wrong at the moment.</p>".to_owned(),
        active => format!(
            "<table class=\"rows\"><thead><tr><th>Fault</th><th>Where</th><th>Struck</th><th>Left</th><th></th></tr></thead><tbody>{}\
             </tbody></table><form method=\"post\" action=\"/sandbox/faults/clear\"><button>Take all away</button></form>",
            active.iter().map(row).collect::<String>()
        ),
    });
    let mut kinds = String::new();
    for (name, says) in KINDS {
        let _infallible = write!(kinds, "<option value=\"{name}\">{name}: {}</option>", escape(says));
    }
    let mut hosts = String::from("<option value=\"\">all shops</option>");
    for host in board.services.iter().filter_map(|(hosts, _)| hosts.first()) {
        let _infallible = write!(hosts, "<option>{}</option>", escape(host));
    }
    let content = format!(
        "<p><a href=\"/sandbox\">The sandbox</a></p>{error}{on}<h2>Let something go wrong</h2>\
         <form method=\"post\" action=\"/sandbox/faults\">\
         <label class=\"wide\">Fault<select name=\"fault\">{kinds}</select></label>\
         <label>Shop<select name=\"host\">{hosts}</select></label>\
         <label>Path contains<input name=\"path\" placeholder=\"/orders\"></label>\
         <label>Requests<input name=\"times\" type=\"number\" min=\"1\" placeholder=\"until taken away\"></label>\
         <label>Share, 0 to 1<input name=\"probability\" type=\"number\" min=\"0\" max=\"1\" step=\"any\" placeholder=\"1\"></label>\
         <label>Seed<input name=\"seed\" type=\"number\" min=\"0\" placeholder=\"0\"></label>\
         <label>Milliseconds<input name=\"milliseconds\" type=\"number\" min=\"0\"></label>\
         <label>Jitter, milliseconds<input name=\"jitter_milliseconds\" type=\"number\" min=\"0\"></label>\
         <label>Status<input name=\"status\" type=\"number\" min=\"200\" max=\"599\"></label>\
         <label>Retry-After, seconds<input name=\"retry_after_seconds\" type=\"number\" min=\"0\"></label>\
         <label>Clock off by, seconds<input name=\"skew_seconds\" type=\"number\"></label>\
         <label>Location<input name=\"location\" placeholder=\"https://…\"></label>\
         <button>Switch on</button></form>\
         <p>Programs use the same address: <code>curl -X POST …/sandbox/faults -d '{{\"fault\":\"status\",\"status\":503,\"times\":3}}'</code></p>"
    );
    page("Faults of the sandbox", &content)
}

fn row(active: &Active) -> String {
    let Asked { fault, host, path, probability, .. } = &active.asked;
    let place = format!("{} {}", host.as_deref().unwrap_or("all shops"), path.as_deref().unwrap_or_default());
    let share = probability.map(|share| format!(" ({share})")).unwrap_or_default();
    let left = active.left().map_or_else(|| "until taken away".to_owned(), |left| left.to_string());
    format!(
        "<tr><td>{}{share}</td><td>{}</td><td data-label=\"Struck\">{}</td><td data-label=\"Left\">{left}</td><td><form method=\"post\" \
         action=\"/sandbox/faults/{}/remove\"><button>Take away</button></form></td></tr>",
        escape(fault),
        escape(place.trim()),
        active.struck(),
        active.id
    )
}
