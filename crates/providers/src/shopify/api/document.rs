//! The documents, and what is left of them when switches are off.

use serde_json::{Map, Value, json};

/// A document of `graphql/`.
pub(crate) struct Operation {
    /// As in the document.
    pub(crate) name: &'static str,
    pub(crate) document: &'static str,
    /// Shopify's fields and the unified ones that are filled from them, to say what is withheld.
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

impl Operation {
    /// The body of a request.
    pub(crate) fn request(&self, variables: &Map<String, Value>) -> Value {
        let query = self.resolved(variables);
        let is_declared = |name: &String| query.contains(&format!("${name}:"));
        let variables: Map<String, Value> =
            variables.clone().into_iter().filter(|(name, _)| is_declared(name)).collect();
        json!({ "query": query, "operationName": self.name, "variables": variables })
    }

    /// The document with its `@include(if: $switch)` decided: what is off is not sent, so that it can neither be answered nor
    /// counted. (Whether a query's requested cost counts what `@include` leaves out is documented nowhere.)
    ///
    /// The documents keep to one form, which a test holds them to: one field, brace or variable with its switch per line.
    pub(crate) fn resolved(&self, switches: &Map<String, Value>) -> String {
        let mut lines = Vec::new();
        // How many braces are open below a field that is off.
        let mut off = 0_usize;
        for line in self.document.lines() {
            let text = line.trim();
            if off > 0 {
                off += usize::from(text.ends_with('{'));
                off -= usize::from(text == "}");
                continue;
            }
            match switch(text) {
                Some((directive, name)) if switches.get(name) == Some(&Value::Bool(true)) => {
                    lines.push(line.replace(directive, ""));
                }
                Some(_) => off = usize::from(text.ends_with('{')),
                None if text.is_empty() || text.starts_with('#') => {}
                None => lines.push(line.to_owned()),
            }
        }
        without_unused_variables(without_unused_fragments(lines)).join("\n")
    }
}

/// ` @include(if: $name)` and the name, if a line has one.
fn switch(text: &str) -> Option<(&str, &str)> {
    let start = text.find(" @include(if: $")?;
    let end = start + text[start..].find(')')? + 1;
    let directive = &text[start..end];
    let name = directive.trim_start_matches(" @include(if: $").trim_end_matches(')');
    Some((directive, name))
}

fn without_unused_fragments(mut lines: Vec<String>) -> Vec<String> {
    loop {
        let unused = lines.iter().position(|line| {
            let name = line.strip_prefix("fragment ").and_then(|rest| rest.split(' ').next());
            name.is_some_and(|name| !lines.iter().any(|line| line.trim() == format!("...{name}")))
        });
        let Some(start) = unused else { return lines };
        let end = lines[start..].iter().position(|line| line == "}").map_or(lines.len(), |length| start + length + 1);
        lines.drain(start..end);
    }
}

fn without_unused_variables(lines: Vec<String>) -> Vec<String> {
    let is_used = |declared: &str| {
        let name = declared.split(':').next().unwrap_or_default();
        let uses = |line: &String| {
            let mut after = line.split(name).skip(1);
            !line.trim().starts_with('$') && after.any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        lines.iter().any(uses)
    };
    let keep: Vec<bool> = lines.iter().map(|line| !line.trim().starts_with('$') || is_used(line.trim())).collect();
    lines.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(line, _)| line).collect()
}
