//! The standard variables (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/> and
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>), as far as they are about traces by OTLP over HTTP.

use std::{str::FromStr, time::Duration};

use anyhow::{Context, bail};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

use super::sampler::Sampler;

/// What the variables say. They are read where the documentation says, and nowhere else.
#[derive(Debug)]
pub struct Settings {
    pub(super) endpoint: Url,
    pub(super) headers: HeaderMap,
    /// Of one export.
    pub(super) timeout: Duration,
    pub(super) sampler: Sampler,
    /// Spans that wait to be sent.
    pub(super) queue: usize,
    /// Spans that are sent together.
    pub(super) batch: usize,
    /// How long a span waits for others.
    pub(super) delay: Duration,
    /// `service.name` and what the operator added.
    pub(super) resource: Vec<(String, String)>,
}

/// The variables, for the reference of all settings.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "A collector of OpenTelemetry, such as `http://localhost:4318`: `serve` sends traces to `/v1/traces` there, as OTLP/HTTP in JSON. \
         Off without it",
    ),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "The same, as a whole address"),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "What goes along, `name=value` with commas between, percent-encoded; also `…_TRACES_HEADERS`",
    ),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "Milliseconds of one export, 10000; also `…_TRACES_TIMEOUT`"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "`http/json`, or not set; also `…_TRACES_PROTOCOL`. Nothing else is spoken"),
    (
        "OTEL_TRACES_SAMPLER",
        "`parentbased_always_on`, or `always_on`, `always_off`, `traceidratio`, or one of these with `parentbased_`",
    ),
    ("OTEL_TRACES_SAMPLER_ARG", "The part of the traces for `traceidratio`, 0 to 1"),
    ("OTEL_SERVICE_NAME", "`entrepot`"),
    ("OTEL_RESOURCE_ATTRIBUTES", "What is said of this node, `name=value` with commas between, percent-encoded"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "Spans that may wait, 2048; more are counted in `entrepot_spans_total` and forgotten"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "Spans that are sent together, 512"),
    ("OTEL_BSP_SCHEDULE_DELAY", "Milliseconds that a span waits for others, 5000"),
    ("OTEL_SDK_DISABLED", "`true` sends nothing"),
];

impl Settings {
    /// From the environment; None where no collector is named.
    ///
    /// # Errors
    /// With the variable that is wrong. Values, which may hold keys, are not repeated.
    pub fn from_env() -> anyhow::Result<Option<Self>> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// The same from anywhere.
    ///
    /// # Errors
    /// As [`Self::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> anyhow::Result<Option<Self>> {
        // "An empty value is treated as unset", says the specification.
        let get = |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let of_traces = |name: &str| {
            get(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}")).or_else(|| get(&format!("OTEL_EXPORTER_OTLP_{name}")))
        };
        let is_disabled = get("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        match get("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(_) => bail!("OTEL_TRACES_EXPORTER can be otlp or none"),
        }
        let endpoint = match (get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), get("OTEL_EXPORTER_OTLP_ENDPOINT")) {
            (Some(whole), _) => whole,
            (None, Some(base)) => format!("{}/v1/traces", base.trim_end_matches('/')),
            (None, None) => return Ok(None),
        };
        if is_disabled {
            return Ok(None);
        }
        let endpoint = Url::parse(&endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let endpoint = endpoint.context("OTEL_EXPORTER_OTLP_ENDPOINT is not a URL such as http://localhost:4318")?;
        match of_traces("PROTOCOL").as_deref() {
            None | Some("http/json") => {}
            Some(_) => bail!(
                "OTEL_EXPORTER_OTLP_PROTOCOL can only be http/json, which collectors take at the same port and path as http/protobuf"
            ),
        }
        let number = |name: &str, usual: u64| match get(name) {
            None => Ok(usual),
            Some(text) => {
                text.parse::<u64>().ok().filter(|number| *number > 0).with_context(|| format!("{name} is no number"))
            }
        };
        let timeout =
            of_traces("TIMEOUT").map(|text| text.parse::<u64>().context("OTEL_EXPORTER_OTLP_TIMEOUT is no number"));
        let mut resource =
            vec![("service.name".to_owned(), get("OTEL_SERVICE_NAME").unwrap_or_else(|| "entrepot".to_owned()))];
        for (name, value) in pairs("OTEL_RESOURCE_ATTRIBUTES", get("OTEL_RESOURCE_ATTRIBUTES"))? {
            if name != "service.name" {
                resource.push((name, value));
            } else if get("OTEL_SERVICE_NAME").is_none() {
                resource[0].1 = value;
            }
        }
        let queue = usize::try_from(number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048)?)?.min(65_536);
        Ok(Some(Self {
            endpoint,
            headers: headers(of_traces("HEADERS"))?,
            timeout: Duration::from_millis(timeout.transpose()?.unwrap_or(10_000)),
            sampler: Sampler::parse(get("OTEL_TRACES_SAMPLER").as_deref(), get("OTEL_TRACES_SAMPLER_ARG").as_deref())?,
            queue,
            batch: usize::try_from(number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?)?.min(queue),
            delay: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5_000)?),
            resource,
        }))
    }
}

fn headers(text: Option<String>) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs("OTEL_EXPORTER_OTLP_HEADERS", text)? {
        let name =
            HeaderName::from_str(&name).context("OTEL_EXPORTER_OTLP_HEADERS has a name that is none of a header")?;
        let mut value = HeaderValue::from_str(&value)
            .ok()
            .context("OTEL_EXPORTER_OTLP_HEADERS has a value that cannot stand in a header")?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// `name=value,name=value`, as in W3C Baggage.
fn pairs(variable: &str, text: Option<String>) -> anyhow::Result<Vec<(String, String)>> {
    let text = text.unwrap_or_default();
    let pair = |pair: &str| {
        let (name, value) =
            pair.split_once('=').with_context(|| format!("{variable} is not of the form name=value,…"))?;
        let value =
            percent_decode_str(value.trim()).decode_utf8().with_context(|| format!("{variable} is not UTF-8"))?;
        anyhow::Ok((name.trim().to_owned(), value.into_owned()))
    };
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> anyhow::Result<Option<Settings>> {
        Settings::from_lookup(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const HERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/");

    #[test]
    fn nothing_is_sent_unless_a_collector_is_named() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap().is_none());
        assert!(read(&[HERE, ("OTEL_SDK_DISABLED", "TRUE")]).unwrap().is_none());
        assert!(read(&[HERE, ("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_none());
    }

    #[test]
    fn the_standard_variables_are_read() {
        let usual = read(&[HERE]).unwrap().unwrap();
        assert_eq!(usual.endpoint.as_str(), "http://localhost:4318/v1/traces");
        assert_eq!((usual.queue, usual.batch, usual.delay), (2_048, 512, Duration::from_secs(5)));
        assert_eq!(usual.resource, [("service.name".to_owned(), "entrepot".to_owned())]);
        let all = read(&[
            HERE,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector.example/in?x=1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%2Cb, other = x"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "700"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "900"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ours,deployment.environment.name=test"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ]);
        let all = all.unwrap().unwrap();
        assert_eq!(all.endpoint.as_str(), "https://collector.example/in?x=1");
        assert_eq!((&all.headers["api-key"], &all.headers["other"]), (&"a,b".parse().unwrap(), &"x".parse().unwrap()));
        assert!(!format!("{all:?}").contains("a,b"), "a header may be a key");
        assert_eq!((all.timeout, all.queue, all.batch), (Duration::from_millis(700), 8, 8));
        assert_eq!(all.resource[0].1, "ours");
        assert_eq!(all.resource[1], ("deployment.environment.name".to_owned(), "test".to_owned()));
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_variable_and_without_its_value() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "geheim"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "geheim"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=geheim"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=%0Ageheim"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "geheim"),
            ("OTEL_TRACES_SAMPLER", "geheim"),
            ("OTEL_TRACES_EXPORTER", "geheim"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ] {
            let refused = format!("{:#}", read(&[HERE, (name, value)]).unwrap_err());
            assert!(refused.contains("OTEL_") && !refused.contains("geheim"), "{name}: {refused}");
        }
    }
}
