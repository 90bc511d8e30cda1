//! One operation: what it does, who may, what it takes and gives, and a line to paste.

use accounts::api_keys::model::KeyPermissions;
use kernel::{
    Role,
    permission::{Action, Resource},
};
use serde_json::Value;

use super::{
    super::html::{escape, inline_markdown, slug},
    example, schema,
};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub(in crate::pages) struct Operation<'a> {
    pub(super) method: &'a str,
    path: &'a str,
    pub(super) tag: &'a str,
    pub(in crate::pages) anchor: String,
    pub(super) summary: String,
    value: &'a Value,
}

/// Every operation of the document, by path and method.
pub(in crate::pages) fn all(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .flat_map(|(path, item)| {
            METHODS.iter().filter_map(move |method| Some((path.as_str(), *method, item.get(method)?)))
        })
        .map(|(path, method, value)| Operation {
            method,
            path,
            tag: value["tags"][0].as_str().unwrap_or("other"),
            anchor: format!("{method}-{}", slug(path)),
            summary: summary(value),
            value,
        })
        .collect()
}

/// Without one, the operation's id in words.
fn summary(value: &Value) -> String {
    if let Some(summary) = value["summary"].as_str() {
        return summary.to_owned();
    }
    let words = value["operationId"].as_str().unwrap_or("operation").replace('_', " ");
    let mut chars = words.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

impl Operation<'_> {
    pub(super) fn render(&self, document: &Value, origin: &str) -> String {
        let caller = Caller::read(self.value["x-permission"].as_str().unwrap_or("public"));
        let description = self.value["description"]
            .as_str()
            .map_or(String::new(), |text| format!("<p>{}</p>", inline_markdown(text)));
        format!(
            "<article class=\"operation\" id=\"{anchor}\" data-search=\"{search}\"><div class=\"operation-text\">\
             <h3><a class=\"anchor\" href=\"#{anchor}\">{summary}</a></h3>\
             <p class=\"address\"><span class=\"method m-{method}\">{method}</span> <code>{path}</code></p>\
             {description}{callers}{step_up}{parameters}{body}{answers}</div><div class=\"operation-code\">{code}</div></article>",
            anchor = self.anchor,
            search = escape(&self.search_text()),
            summary = escape(&self.summary),
            method = self.method,
            path = marked_path(self.path),
            callers = caller.render(),
            step_up = step_up(self.value["responses"]["403"]["x-step-up"].as_str().unwrap_or_default()),
            parameters = self.parameters(document),
            body = self.body(document),
            answers = self.answers(document),
            code = self.code(document, origin, &caller),
        )
    }

    fn search_text(&self) -> String {
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        let names: Vec<&str> = parameters.filter_map(|parameter| parameter["name"].as_str()).collect();
        let permission = self.value["x-permission"].as_str().unwrap_or_default();
        format!("{} {} {} {} {permission} {}", self.method, self.path, self.summary, self.tag, names.join(" "))
            .to_lowercase()
    }

    fn parameters(&self, document: &Value) -> String {
        let rows: String = self.value["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|parameter| {
                let place = parameter["in"].as_str().unwrap_or_default();
                let is_required = parameter["required"].as_bool() == Some(true);
                let name = parameter["name"].as_str().unwrap_or_default();
                let description = parameter["description"].as_str().unwrap_or_default();
                let note = if place == "path" { " <span class=\"place\">in the path</span>" } else { "" };
                schema::row(document, name, &parameter["schema"], is_required, description, note)
            })
            .collect();
        if rows.is_empty() { rows } else { format!("<h4>Parameters</h4><dl class=\"fields\">{rows}</dl>") }
    }

    fn body(&self, document: &Value) -> String {
        let schema = &self.value["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            return String::new();
        }
        format!("<h4>Body</h4>{}", schema::described(document, schema, example::For::Request))
    }

    fn answers(&self, document: &Value) -> String {
        let answers: String = self.value["responses"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(status, answer)| {
                let schema = &answer["content"]["application/json"]["schema"];
                let fields = if schema.is_null() {
                    String::new()
                } else {
                    format!(
                        "<details><summary>Fields</summary>{}</details>",
                        schema::described(document, schema, example::For::Answer)
                    )
                };
                let class = if status.starts_with('2') || status.starts_with('3') { "good" } else { "bad" };
                format!(
                    "<li><span class=\"status {class}\">{}</span> <span>{}</span>{fields}</li>",
                    escape(status),
                    inline_markdown(answer["description"].as_str().unwrap_or_default()),
                )
            })
            .collect();
        format!("<h4>Answers</h4><ul class=\"answers\">{answers}</ul>")
    }

    fn code(&self, document: &Value, origin: &str, caller: &Caller) -> String {
        let body = &self.value["requestBody"]["content"]["application/json"]["schema"];
        let good =
            self.value["responses"].as_object().into_iter().flatten().find(|(status, _)| status.starts_with('2'));
        let answer = good.map(|(status, answer)| (status, &answer["content"]["application/json"]["schema"]));
        let mut out = block("Request", "sh", &self.curl(document, origin, caller, body));
        if let Some((status, schema)) = answer.filter(|(_, schema)| !schema.is_null()) {
            out.push_str(&block(
                &format!("Answer {status}"),
                "json",
                &example::pretty(document, schema, example::For::Answer),
            ));
        }
        out
    }

    /// A line that works as pasted once `$STORE_ID` and the like are set.
    fn curl(&self, document: &Value, origin: &str, caller: &Caller, body: &Value) -> String {
        let mut path = self.path.to_owned();
        let mut query = vec![];
        for parameter in self.value["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = example::variable(name, self.path);
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
                Some("query") if parameter["required"].as_bool() == Some(true) => query.push(format!("{name}={value}")),
                _ => {}
            }
        }
        let options = match (self.method, query.is_empty()) {
            ("get", true) => "-s".to_owned(),
            ("get", false) => "-sG".to_owned(),
            (method, _) => format!("-s -X {}", method.to_uppercase()),
        };
        let mut lines = vec![format!("curl {options} {origin}{path}")];
        lines.extend(query.iter().map(|pair| format!("-d {pair}")));
        if let Some(variable) = caller.credential() {
            lines.push(format!("-H \"Authorization: Bearer ${variable}\""));
        }
        if !body.is_null() {
            lines.push("-H 'Content-Type: application/json'".to_owned());
            let json = example::pretty(document, body, example::For::Request).replace('\'', "'\\''");
            lines.push(format!("-d '{json}'"));
        }
        lines.join(" \\\n  ")
    }
}

/// A block of code; the page's script gives it a copy button.
fn block(title: &str, language: &str, code: &str) -> String {
    format!(
        "<figure class=\"code\"><figcaption>{}</figcaption><pre tabindex=\"0\" data-language=\"{language}\"><code>{}</code></pre></figure>",
        escape(title),
        escape(code)
    )
}

/// The path with its parameters set apart, and with places where a narrow screen may break it.
fn marked_path(path: &str) -> String {
    let segment = |text: &str| match text.starts_with('{') {
        true => format!("<var>{}</var>", escape(text)),
        false => escape(text).into_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/<wbr>")
}

/// Of whom a proof is asked, as the operation's `x-step-up` says.
fn step_up(of: &str) -> &'static str {
    match of {
        "second_factor" => {
            "<p class=\"callers\">Whoever has a second factor <a href=\"/docs/errors/step_up_required\">proves themself</a> by it \
             within ten minutes before.</p>"
        }
        "always" => {
            "<p class=\"callers\">Everybody <a href=\"/docs/errors/step_up_required\">proves themself</a> within ten minutes \
             before: by a second factor, or without one by the password.</p>"
        }
        _ => "",
    }
}

/// Who may call, as the operation's `x-permission` says.
enum Caller {
    Anybody,
    Person,
    Holder { permission: String, roles: Vec<Role>, keys: bool },
}

impl Caller {
    fn read(permission: &str) -> Self {
        let pair = permission
            .split_once(':')
            .and_then(|(resource, action)| Some((resource.parse::<Resource>().ok()?, action.parse::<Action>().ok()?)));
        match (permission, pair) {
            (_, Some((resource, action))) => Self::Holder {
                permission: permission.to_owned(),
                roles: Role::ALL.iter().copied().filter(|role| role.permissions().contains(resource, action)).collect(),
                keys: KeyPermissions { webshop_data: true }.scopes().contains(resource, action),
            },
            ("person", None) => Self::Person,
            _ => Self::Anybody,
        }
    }

    fn credential(&self) -> Option<&'static str> {
        match self {
            Self::Anybody => None,
            Self::Holder { keys: true, .. } => Some("API_KEY"),
            Self::Person | Self::Holder { .. } => Some("SESSION_TOKEN"),
        }
    }

    fn render(&self) -> String {
        match self {
            Self::Anybody => "<p class=\"callers\"><strong>Anybody</strong> may call it.</p>".to_owned(),
            Self::Person => "<p class=\"callers\">For <strong>signed-in people</strong>.</p>".to_owned(),
            Self::Holder { permission, roles, keys } => {
                let roles: Vec<String> = roles.iter().map(|role| role.to_string().replace('_', " ")).collect();
                let who = if *keys { "<strong>API keys</strong> and people" } else { "<strong>People</strong>" };
                format!(
                    "<p class=\"callers\">{who} with <code class=\"permission\">{}</code>: {}.</p>",
                    escape(permission),
                    escape(&roles.join(", "))
                )
            }
        }
    }
}
