use connector::{Filter, Filters, Position, Query, Selection};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    connection, customer_fixture, customer_params, nothing_lost, order_fixture, order_params, product_fixtures,
    product_params, variation_fixtures,
    view::{self, everything, without_persons},
};
use crate::woocommerce::{Connection, convert};

fn order_view(sent: Value) -> Value {
    view::order(&convert::order(sent.into(), &connection(), &Selection::standard(), format_args!("order")).unwrap())
}

fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, change) in changes {
        *value.pointer_mut(pointer).unwrap() = change.clone();
    }
    value
}

#[test]
fn an_order_becomes_the_unified_order() {
    assert_eq!(
        order_view(order_fixture()),
        json!({
            "id": "4711", "number": "2026-0042", "status": "on_hold", "payment_status": "partially_refunded",
            "fulfillment_status": null,
            "customer": {
                "id": "31", "email": "canary.anna@shop.example", "first_name": "Canary-Anna",
                "last_name": "Canary-Müller", "phone": "+49 221 canary",
            },
            "line_items": [
                {
                    "id": "51", "product_id": "12", "variant_id": "15", "sku": "MUG-RB",
                    "name": "Mug – Color: Red & Blue", "quantity": "3", "unit_price": "10.00", "discount": "3.00",
                    "tax": "5.13", "total": "27.00",
                },
                {
                    "id": "52", "product_id": null, "variant_id": null, "sku": null, "name": "A product that is gone",
                    "quantity": "3", "unit_price": "5.666667", "discount": "0.00", "tax": "3.23", "total": "17.00",
                },
            ],
            "subtotal": "44.00", "discount_total": "3.00", "shipping_total": "4.20", "tax_total": "9.16",
            "total": "57.36", "refunded_total": "10.75", "currency": "EUR",
            "billing_address": {
                "first_name": "Canary-Anna", "last_name": "Canary-Müller", "company": "Canary-Firma",
                "address1": "Canary-Weg 3", "address2": null, "city": "Canary-Köln", "postcode": "50667",
                "province": "NW", "country_code": "DE", "phone": "+49 221 canary",
            },
            "shipping_address": null, "note": "canary-note: ring twice", "tags": [],
            "placed_at": "2026-07-03T08:15:30Z", "updated_at": "2026-07-04T07:00:00Z", "platform_specific": null,
        })
    );
}

#[test]
fn the_parts_of_an_order_add_up_to_its_total() {
    let order = nothing_lost::order(order_fixture());
    let parts = [order.subtotal, order.shipping_total, order.tax_total];
    let sum: Decimal = parts.into_iter().map(Option::unwrap).sum();
    assert_eq!(sum, order.total.unwrap());
}

#[test]
fn a_guest_has_no_id() {
    let guest = order_view(with(order_fixture(), &[("/customer_id", json!(0))]));
    assert_eq!(guest["customer"]["id"], Value::Null);
    assert_eq!(guest["customer"]["email"], "canary.anna@shop.example");
}

#[test]
fn an_order_without_any_buyer_has_no_customer() {
    let nobody =
        with(order_fixture(), &[("/customer_id", json!(0)), ("/billing", json!({ "email": "", "phone": "" }))]);
    assert_eq!(order_view(nobody)["customer"], Value::Null);
}

#[test]
fn each_status_is_told_and_unknown_ones_stay_readable() {
    let unpaid = [("/date_paid_gmt", Value::Null), ("/date_paid", Value::Null), ("/refunds", json!([]))];
    for (word, unpaid_status, unpaid_payment, paid_status) in [
        ("pending", "pending", "pending", "pending"),
        ("processing", "processing", "pending", "processing"),
        ("on-hold", "on_hold", "pending", "on_hold"),
        ("completed", "completed", "pending", "completed"),
        ("cancelled", "cancelled", "voided", "cancelled"),
        ("refunded", "refunded", "refunded", "refunded"),
        ("failed", "failed", "voided", "failed"),
        ("trash", "cancelled", "voided", "cancelled"),
        ("checkout-draft", "pending", "pending", "pending"),
        ("shipped", "pending", "pending", "processing"),
    ] {
        let sent = with(with(order_fixture(), &unpaid), &[("/status", json!(word))]);
        let order = order_view(sent.clone());
        assert_eq!(
            (&order["status"], &order["payment_status"]),
            (&json!(unpaid_status), &json!(unpaid_payment)),
            "{word}"
        );

        let paid = order_view(with(sent.clone(), &[("/date_paid_gmt", json!("2026-07-03T09:00:00"))]));
        let payment = if word == "refunded" { "refunded" } else { "paid" };
        assert_eq!((&paid["status"], &paid["payment_status"]), (&json!(paid_status), &json!(payment)), "{word}, paid");

        let rest = &view::order(&nothing_lost::order(sent))["platform_specific"]["status"];
        let is_known = !["trash", "checkout-draft", "shipped"].contains(&word);
        assert_eq!(*rest, if is_known { Value::Null } else { json!(word) }, "{word}");
    }
}

#[test]
fn a_refund_of_everything_is_a_refund_whatever_the_status_says() {
    let all = json!([{ "id": 60, "reason": "", "total": "-57.36" }]);
    assert_eq!(order_view(with(order_fixture(), &[("/refunds", all)]))["payment_status"], "refunded");
}

#[test]
fn payment_is_unknown_when_the_shop_does_not_say() {
    let mut sent = order_fixture();
    for field in ["date_paid", "date_paid_gmt", "refunds"] {
        sent.as_object_mut().unwrap().remove(field);
    }
    let order = order_view(sent);
    assert_eq!((&order["payment_status"], &order["refunded_total"]), (&Value::Null, &Value::Null));
}

#[test]
fn local_time_is_believed_only_where_the_shop_has_one_offset_all_year() {
    let mut sent = order_fixture();
    sent.as_object_mut().unwrap().remove("date_created_gmt");
    assert_eq!(order_view(sent.clone())["placed_at"], Value::Null, "Berlin has summer time");
    let fixed = Connection { timezone: String::new(), gmt_offset_minutes: Some(330), ..connection() };
    let order = convert::order(sent.into(), &fixed, &Selection::standard(), format_args!("order")).unwrap();
    assert_eq!(view::order(&order)["placed_at"], "2026-07-03T04:45:30Z");
}

#[test]
fn a_customer_becomes_the_unified_customer() {
    let customer =
        convert::customer(customer_fixture().into(), &connection(), &Selection::standard(), format_args!("customer"))
            .unwrap();
    let view = view::customer(&customer);
    assert_eq!(view["id"], "31");
    assert_eq!(view["email"], "canary.anna@shop.example");
    assert_eq!(view["phone"], "+49 221 canary");
    assert_eq!(view["company"], "Canary-Firma");
    assert_eq!(view["addresses"].as_array().unwrap().len(), 2);
    assert_eq!(view["addresses"][1]["first_name"], "Canary-Ben");
    assert_eq!(view["default_address"], view["addresses"][0]);
    assert_eq!(view["orders_count"], Value::Null);
    assert_eq!(view["created_at"], "2024-02-29T22:30:00Z");
    assert_eq!(view["updated_at"], Value::Null);
    let rest = &view::customer(&nothing_lost::customer(customer_fixture()))["platform_specific"];
    assert_eq!(rest["billing"], json!({ "email": "canary.invoices@shop.example" }));
}

#[test]
fn a_variable_product_has_its_variations_as_variants() {
    let variable = product_fixtures().remove(0);
    let product = convert::product(
        variable.into(),
        variation_fixtures().into_iter().map(Into::into).collect(),
        &connection(),
        &Selection::standard(),
        format_args!("product"),
    );
    let view = view::product(&product.unwrap());
    assert_eq!(
        view,
        json!({
            "id": "12", "title": "Mug & Saucer", "handle": "mug", "description_html": "<p>Holds tea.</p>\n",
            "status": "active", "vendor": "Potter & Sons", "type": "variable", "tags": ["Cup – small"],
            "images": [{ "id": "71", "url": "https://shop.example/mug.jpg", "alt": null }],
            "options": [{ "name": "Color", "values": ["Red", "Blue"] }],
            "variants": [
                {
                    "id": "15", "sku": "MUG-RED", "barcode": null, "price": "9.00", "compare_at_price": "12.00",
                    "inventory_quantity": 28, "weight": { "value": "0.4", "unit": "kg" },
                    "options": [{ "name": "Color", "value": "Red" }],
                },
                {
                    "id": "16", "sku": "MUG", "barcode": null, "price": null, "compare_at_price": null,
                    "inventory_quantity": null, "weight": null, "options": [],
                },
            ],
            "currency": "EUR", "url": "https://shop.example/product/mug/", "created_at": "2026-01-02T11:00:00Z",
            "updated_at": "2026-06-01T10:00:00Z", "platform_specific": null,
        })
    );
}

#[test]
fn a_simple_product_is_its_own_variant() {
    let simple = product_fixtures().remove(1);
    let view = view::product(&nothing_lost::product(simple, vec![]));
    assert_eq!(
        view["variants"],
        json!([{
            "id": "20", "sku": "POSTER-A2", "barcode": "4006381333931", "price": "15.00", "compare_at_price": "20.00",
            "inventory_quantity": -2, "weight": { "value": "0.25", "unit": "kg" }, "options": [],
        }])
    );
    assert_eq!(view["status"], "unlisted", "it is hidden from the catalogue");
    assert_eq!(view["options"], json!([]));
}

#[test]
fn groups_and_empty_variable_products_have_no_variants() {
    let simple = product_fixtures().remove(1);
    for kind in ["grouped", "variable", "variable-subscription"] {
        let view = view::product(&nothing_lost::product(with(simple.clone(), &[("/type", json!(kind))]), vec![]));
        assert_eq!(view["variants"], json!([]), "{kind}");
    }
}

#[test]
fn each_product_status_is_told() {
    let simple = product_fixtures().remove(1);
    for (word, visibility, unified) in [
        ("publish", "visible", "active"),
        ("publish", "hidden", "unlisted"),
        ("private", "visible", "unlisted"),
        ("draft", "visible", "draft"),
        ("pending", "visible", "draft"),
        ("future", "visible", "draft"),
        ("trash", "visible", "archived"),
        ("of-a-plugin", "visible", "draft"),
    ] {
        let sent = with(simple.clone(), &[("/status", json!(word)), ("/catalog_visibility", json!(visibility))]);
        assert_eq!(view::product(&nothing_lost::product(sent, vec![]))["status"], unified, "{word}, {visibility}");
    }
}

/// The tables of what is asked for are complete: an answer cut down to them makes the same unified object.
#[test]
fn slim_answers_make_the_same_objects() {
    let cut = |value: &Value, params: &[(&'static str, String)]| {
        let fields = &params.iter().find(|(name, _)| *name == "_fields").unwrap().1;
        let fields: Vec<&str> = fields.split(',').collect();
        let kept = value.as_object().unwrap().iter().filter(|(name, _)| fields.contains(&name.as_str()));
        Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    let query =
        Query { filters: Filters::default(), selection: Selection::standard(), limit: 25, position: Position::Page(1) };
    let slim = cut(&order_fixture(), &order_params(&query).unwrap().unwrap());
    assert!(slim.as_object().unwrap().len() < order_fixture().as_object().unwrap().len() / 2);
    assert_eq!(order_view(slim), order_view(order_fixture()));

    let customer = |sent: Value| {
        view::customer(
            &convert::customer(sent.into(), &connection(), &query.selection, format_args!("customer")).unwrap(),
        )
    };
    let slim = cut(&customer_fixture(), &customer_params(&query).unwrap().unwrap());
    assert_eq!(customer(slim), customer(customer_fixture()));

    for sent in product_fixtures() {
        let product = |sent: Value| {
            view::product(
                &convert::product(sent.into(), vec![], &connection(), &query.selection, format_args!("product"))
                    .unwrap(),
            )
        };
        assert_eq!(product(cut(&sent, &product_params(&query).unwrap().unwrap())), product(sent));
    }
}

/// The canaries of the fixtures are every personal value in them.
#[test]
fn without_persons_nothing_personal_is_asked_for_or_kept() {
    let query =
        |selection: Selection| Query { filters: Filters::default(), selection, limit: 25, position: Position::Page(1) };
    for selection in [without_persons(), Selection { persons: false, ..Selection::standard() }] {
        let params = order_params(&query(selection.clone())).unwrap().unwrap();
        let fields = &params.iter().find(|(name, _)| *name == "_fields").unwrap().1;
        for personal in ["billing", "shipping", "customer_id", "customer_note", "meta_data", "customer_ip_address"] {
            assert!(!fields.split(',').any(|field| field == personal), "{personal} is asked for");
        }
        // Shops older than WordPress 4.9.8 send everything all the same.
        let order = convert::order(order_fixture().into(), &connection(), &selection, format_args!("order")).unwrap();
        let text = view::order(&order).to_string().to_lowercase();
        assert!(!text.contains("canary"), "{text}");
        assert!(order.line_items.len() == 2 && order.total.is_some(), "what is about nobody stays");

        let params = customer_params(&query(selection.clone())).unwrap().unwrap();
        assert!(!params.iter().any(|(name, fields)| *name == "_fields" && fields.contains("mail")));
        let customer =
            convert::customer(customer_fixture().into(), &connection(), &selection, format_args!("customer")).unwrap();
        let text = view::customer(&customer).to_string().to_lowercase();
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(view::order(&nothing_lost::order(order_fixture())).to_string().contains("canary-deep"));
}

#[test]
fn an_object_without_an_id_is_malformed_and_its_place_is_named() {
    for sent in [json!({ "number": "1" }), json!(5), json!({ "id": { "a": 1 } })] {
        let error = convert::order(sent.into(), &connection(), &everything(), format_args!("orders[3]")).err().unwrap();
        assert_eq!(error.kind(), "malformed");
        assert!(error.to_string().contains("orders[3]"), "{error}");
    }
}

#[test]
fn names_are_freed_of_entities_once() {
    for (markup, text) in [
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("&amp;lt;", "&lt;"),
        ("5 &#8211; 6 &#x2013; 7", "5 – 6 – 7"),
        ("Fish & Chips; fresh", "Fish & Chips; fresh"),
        ("&unknown; &#; &#x110000; &#0;", "&unknown; &#; &#x110000; &#0;"),
        ("ends with &", "ends with &"),
        ("&ő;", "&ő;"),
    ] {
        assert_eq!(convert::decode_entities(markup), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn amounts_are_as_exact_as_the_shop_wrote_them(mantissa in any::<i64>(), scale in 0..12u32) {
        let written = Decimal::new(mantissa, scale).to_string();
        let order = order_view(with(order_fixture(), &[("/total", json!(written))]));
        prop_assert_eq!(&order["total"], &json!(written));
    }

    #[test]
    fn a_line_is_price_times_quantity_less_discount(cents in 0..100_000_000i64, off in 0..100_000i64, quantity in 1..1000i64) {
        let (before, after) = (Decimal::new(cents, 2), Decimal::new(cents - off, 2));
        let sent = with(order_fixture(), &[
            ("/line_items/0/subtotal", json!(before.to_string())),
            ("/line_items/0/total", json!(after.to_string())),
            ("/line_items/0/quantity", json!(quantity)),
        ]);
        let line = nothing_lost::order(sent).line_items.remove(0);
        let rebuilt = line.unit_price.unwrap() * line.quantity - line.discount.unwrap();
        let rounding = Decimal::new(5, 7) * line.quantity;
        prop_assert!((rebuilt - line.total.unwrap()).abs() <= rounding, "{rebuilt} is not {after}");
    }

    #[test]
    fn entities_never_make_a_text_longer(text in ".{0,40}") {
        prop_assert!(convert::decode_entities(&text).len() <= text.len());
    }

    #[test]
    fn dates_are_asked_for_in_whole_seconds_with_a_zone(seconds in -1_000_000..253_402_300_790i64, nanos in 0..1_000_000_000u32) {
        let time = chrono::DateTime::from_timestamp(seconds, nanos).unwrap();
        let asked = [(Filter::UpdatedAfter, convert::after(time, chrono::Duration::zero())), (Filter::UpdatedBefore, convert::before(time, chrono::Duration::zero()))];
        for (filter, text) in asked {
            prop_assert_eq!(text.len(), "2026-01-02T03:04:05Z".len());
            let bound = chrono::NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%SZ").unwrap().and_utc().timestamp();
            // The shop leaves the bound itself out: the second in question must be inside.
            let second = seconds.max(1);
            match filter {
                Filter::UpdatedAfter => prop_assert!(bound < second),
                _ => prop_assert!(bound > second),
            }
        }
    }
}
