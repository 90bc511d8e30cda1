//! What a shop says about itself: the index, currency, settings, system status.

use super::error::RestError;
use super::json::{List, Object, Raw, object};
use super::serve::{Answer, Ask};
use chrono::{Offset, TimeZone};
use http::StatusCode;

/// Text with everything special as HTML entities, as WordPress stores names of terms and symbols of currencies.
pub(super) fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '$' => out.push_str("&#36;"),
            '€' => out.push_str("&euro;"),
            '¥' => out.push_str("&yen;"),
            '₫' => out.push_str("&#8363;"),
            'د' | 'ك' => out.push_str(&format!("&#x{:x};", u32::from(letter))),
            other => out.push(other),
        }
    }
    out
}

fn single(ask: &Ask<'_>, fill: impl FnOnce(&mut Object<'_>)) -> Answer {
    let mut body = vec![];
    object(&mut body, ask.fields.as_ref(), fill);
    Answer::single(body)
}

/// The index of the REST API, open to all.
pub(super) fn index(ask: &Ask<'_>) -> Answer {
    let spec = ask.shop.spec();
    let home = spec.home();
    let now = ask.shop.clock().now();
    let seconds = spec.market.time_zone.offset_from_utc_datetime(&now.naive_utc()).fix().local_minus_utc();
    let hours = f64::from(seconds) / 3600.0;
    let mut namespaces = vec!["oembed/1.0", "wp/v2", "wp-site-health/v1", "wp-block-editor/v1"];
    if spec.active {
        namespaces.extend(["wc/v1", "wc/v2", "wc/v3", "wc-telemetry", "wc/store", "wc/store/v1", "wc-analytics"]);
    }
    single(ask, |out| {
        out.put_with("name", || entities(&spec.name));
        out.put("description", "");
        out.put("url", &home);
        out.put("home", &home);
        // A named zone gives a computed number, a plain offset is the text that was typed.
        match spec.named_zone {
            true => out.put("gmt_offset", hours),
            false => out.put("gmt_offset", hours.to_string()),
        }
        out.put("timezone_string", if spec.named_zone { spec.market.time_zone.name() } else { "" });
        out.put("page_for_posts", 0u32);
        out.put("page_on_front", 0u32);
        out.put("show_on_front", "posts");
        out.put("namespaces", List(namespaces.iter()));
        match ask.ssl {
            true => out.object("authentication", |out| {
                out.object("application-passwords", |out| {
                    out.object("endpoints", |out| {
                        out.put("authorization", format!("{home}/wp-admin/authorize-application.php"));
                    });
                });
            }),
            false => out.put("authentication", Raw("[]")),
        }
        out.object("routes", |out| {
            for route in ["/", "/wc/v3", "/wc/v3/orders", "/wc/v3/customers", "/wc/v3/products"] {
                if spec.active || route == "/" {
                    out.object(route, |out| {
                        out.put("namespace", route.trim_start_matches('/').split("/orders").next().unwrap_or_default());
                        out.put("methods", List(["GET"].iter()));
                    });
                }
            }
        });
        out.put("site_logo", 0u32);
        out.put("site_icon", 0u32);
        out.put("site_icon_url", "");
        out.links(true, &[("help", "https://developer.wordpress.org/rest-api/".to_owned())], false);
    })
}

/// `/data/currencies/current`
pub(super) fn currency(ask: &Ask<'_>) -> Result<Answer, RestError> {
    ask.caller.may_read(false)?;
    let currency = ask.shop.spec().market.currency;
    Ok(single(ask, |out| {
        out.put("code", currency.code);
        out.put("name", currency.name);
        out.put_with("symbol", || entities(currency.symbol));
        let links = [
            ("self", ask.rest_url(&format!("data/currencies/{}", currency.code))),
            ("collection", ask.rest_url("data/currencies")),
        ];
        out.links(true, &links, false);
    }))
}

/// Id, label, kind, default, value.
fn general(ask: &Ask<'_>) -> Vec<(&'static str, &'static str, &'static str, &'static str, String)> {
    let market = ask.shop.spec().market;
    let text = |text: &str| text.to_owned();
    vec![
        ("woocommerce_store_address", "Address line 1", "text", "", text("Fő utca 1.")),
        ("woocommerce_store_city", "City", "text", "", text("Budapest")),
        ("woocommerce_default_country", "Country / State", "select", "US:CA", text(market.country)),
        ("woocommerce_store_postcode", "Postcode / ZIP", "text", "", text("1117")),
        (
            "woocommerce_calc_taxes",
            "Enable taxes",
            "checkbox",
            "no",
            text(if market.tax_percent.is_zero() { "no" } else { "yes" }),
        ),
        ("woocommerce_currency", "Currency", "select", "USD", text(market.currency.code)),
        ("woocommerce_currency_pos", "Currency position", "select", "left", text("right_space")),
        ("woocommerce_price_thousand_sep", "Thousand separator", "text", ",", text(" ")),
        ("woocommerce_price_decimal_sep", "Decimal separator", "text", ".", text(",")),
        ("woocommerce_price_num_decimals", "Number of decimals", "number", "2", market.currency.decimals.to_string()),
    ]
}

fn setting_view(
    ask: &Ask<'_>,
    (id, label, kind, default, value): &(&str, &str, &str, &str, String),
    single: bool,
    out: &mut Object<'_>,
) {
    out.put("id", *id);
    out.put("label", *label);
    out.put("description", "");
    out.put("type", *kind);
    out.put("default", *default);
    if *kind == "select" {
        out.object("options", |out| out.put(value, value));
    }
    out.put("tip", "");
    out.put("value", value);
    out.put("group_id", "general");
    let links =
        [("self", ask.rest_url(&format!("settings/general/{id}"))), ("collection", ask.rest_url("settings/general"))];
    out.links(single, &links, false);
}

/// `/settings/general`
pub(super) fn settings(ask: &Ask<'_>) -> Result<Answer, RestError> {
    ask.caller.may_read(true)?;
    let mut body = vec![b'['];
    for (number, setting) in general(ask).iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        object(&mut body, ask.fields.as_ref(), |out| setting_view(ask, setting, false, out));
    }
    body.push(b']');
    Ok(Answer::single(body))
}

/// `/settings/general/{id}`
pub(super) fn setting(ask: &Ask<'_>, id: &str) -> Result<Answer, RestError> {
    ask.caller.may_read(false)?;
    let all = general(ask);
    let found = all.iter().find(|setting| setting.0 == id);
    let unknown = || RestError::new(StatusCode::NOT_FOUND, "rest_setting_setting_invalid", "Invalid setting.");
    let setting = found.ok_or_else(unknown)?;
    Ok(single(ask, |out| setting_view(ask, setting, true, out)))
}

/// `/system_status`
pub(super) fn system_status(ask: &Ask<'_>) -> Result<Answer, RestError> {
    ask.caller.may_read(true)?;
    let spec = ask.shop.spec();
    let market = spec.market;
    Ok(single(ask, |out| {
        out.object("environment", |out| environment(ask, out));
        out.object("database", |out| {
            out.put("wc_database_version", spec.version.to_string());
            out.put("database_prefix", "wp_");
            out.put("maxmind_geoip_database", "");
            out.object("database_tables", |out| {
                for table in TABLES {
                    out.put(table, table != "wc_orders" || spec.hpos());
                }
            });
        });
        out.list("active_plugins", [()], |(), out| {
            out.put("plugin", "woocommerce/woocommerce.php");
            out.put("name", "WooCommerce");
            out.put("version", spec.version.to_string());
            out.put("version_latest", spec.version.to_string());
            out.put("url", "https://woocommerce.com/");
            out.put("author_name", "Automattic");
            out.put("author_url", "https://woocommerce.com");
            out.put("network_activated", false);
        });
        out.object("theme", |out| {
            out.put("name", "Storefront");
            for (name, value) in
                [("version", "4.6.0"), ("version_latest", "4.6.0"), ("author_url", "https://woocommerce.com/")]
            {
                out.put(name, value);
            }
            for (name, value) in [
                ("is_child_theme", false),
                ("has_woocommerce_support", true),
                ("has_woocommerce_file", false),
                ("has_outdated_templates", false),
            ] {
                out.put(name, value);
            }
            out.put("overrides", Raw("[]"));
            ["parent_name", "parent_version", "parent_version_latest", "parent_author_url"]
                .iter()
                .for_each(|name| out.put(name, ""));
        });
        out.object("settings", |out| {
            out.put("api_enabled", false);
            out.put("force_ssl", false);
            out.put("currency", market.currency.code);
            out.put("currency_symbol", entities(market.currency.symbol));
            out.put("currency_position", "right_space");
            out.put("thousand_separator", " ");
            out.put("decimal_separator", ",");
            out.put("number_of_decimals", market.currency.decimals);
            out.put("geolocation_enabled", false);
            out.object("taxonomies", |out| {
                ["external", "grouped", "simple", "variable"].iter().for_each(|kind| out.put(kind, *kind));
            });
            if spec.hpos() {
                out.put("HPOS_enabled", true);
            }
        });
        out.object("security", |out| {
            out.put("secure_connection", ask.ssl);
            out.put("hide_errors", true);
        });
        let pages =
            [("Shop base", "", 4), ("Cart", "[woocommerce_cart]", 5), ("Checkout", "[woocommerce_checkout]", 6)];
        out.list("pages", pages, |(name, shortcode, id), out| {
            out.put("page_name", name);
            out.put("page_id", id.to_string());
            ["page_set", "page_exists", "page_visible"].iter().for_each(|name| out.put(name, true));
            out.put("shortcode", shortcode);
            out.put("shortcode_required", !shortcode.is_empty());
            out.put("shortcode_present", !shortcode.is_empty());
        });
        out.links(true, &[("self", ask.rest_url("system_status"))], false);
    }))
}

/// The last one came with order tables.
const TABLES: [&str; 14] = [
    "woocommerce_sessions",
    "woocommerce_api_keys",
    "woocommerce_attribute_taxonomies",
    "woocommerce_downloadable_product_permissions",
    "woocommerce_order_items",
    "woocommerce_order_itemmeta",
    "woocommerce_tax_rates",
    "woocommerce_tax_rate_locations",
    "woocommerce_shipping_zones",
    "woocommerce_shipping_zone_locations",
    "woocommerce_shipping_zone_methods",
    "woocommerce_payment_tokens",
    "woocommerce_payment_tokenmeta",
    "wc_orders",
];

fn environment(ask: &Ask<'_>, out: &mut Object<'_>) {
    let spec = ask.shop.spec();
    out.put("home_url", spec.home());
    out.put("site_url", spec.home());
    out.put("version", spec.version.to_string());
    out.put("log_directory", "/var/www/html/wp-content/uploads/wc-logs/");
    out.put("log_directory_writable", true);
    out.put("wp_version", spec.wordpress);
    out.put("wp_multisite", false);
    out.put("wp_memory_limit", 268_435_456u32);
    out.put("wp_debug_mode", false);
    out.put("wp_cron", true);
    out.put("language", "en_US");
    out.put("server_info", "Apache/2.4.62 (Debian)");
    out.put("php_version", "8.3.14");
    out.put("php_post_max_size", 8_388_608u32);
    out.put("php_max_execution_time", 30u32);
    out.put("php_max_input_vars", 1000u32);
    out.put("curl_version", "8.5.0, OpenSSL/3.0.15");
    out.put("suhosin_installed", false);
    out.put("max_upload_size", 2_097_152u32);
    out.put("mysql_version", "10.11.6-MariaDB");
    // WordPress sets PHP to UTC, whatever the zone of the shop is.
    out.put("default_timezone", "UTC");
    for name in
        ["fsockopen_or_curl_enabled", "soapclient_enabled", "domdocument_enabled", "gzip_enabled", "mbstring_enabled"]
    {
        out.put(name, true);
    }
    out.put("remote_post_successful", true);
    out.put("remote_post_response", "200");
    out.put("remote_get_successful", true);
    out.put("remote_get_response", "200");
}
