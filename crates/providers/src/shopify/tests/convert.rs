//! Answers become unified objects, and nothing of them is lost.

use connector::{
    Fields, Selection,
    model::{Address, FulfillmentStatus, OrderStatus, PaymentStatus, ProductStatus},
};
use rust_decimal::{Decimal, dec};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{fixtures::fixture, shown};
use crate::shopify::{
    api::{Orders, Resource},
    convert::{self, wire},
};

fn parsed<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap()
}

fn order() -> connector::Order {
    convert::order(parsed(&fixture!("order")["data"]["record"]), true)
}

fn listed_orders() -> Vec<connector::Order> {
    let nodes = fixture!("orders")["data"]["records"]["nodes"].clone();
    nodes.as_array().unwrap().iter().map(|node| convert::order(parsed(node), false)).collect()
}

#[test]
fn an_order_has_all_that_the_shop_says() {
    let order = order();
    assert_eq!(order.id, "9007199254740993", "2^53 + 1 is not rounded");
    assert_eq!(order.number.as_deref(), Some("#1042"));
    assert_eq!(order.status, OrderStatus::Processing);
    assert_eq!(order.payment_status, Some(PaymentStatus::PartiallyRefunded));
    assert_eq!(order.fulfillment_status, Some(FulfillmentStatus::Partial));
    assert_eq!(order.total, Some(dec!(41.47)));
    assert_eq!(order.subtotal, Some(dec!(36.48)));
    assert_eq!(order.discount_total, Some(dec!(3.50)));
    assert_eq!(order.shipping_total, Some(dec!(4.99)));
    assert_eq!(order.tax_total, Some(dec!(7.7562)));
    assert_eq!(order.refunded_total, Some(dec!(12.99)));
    assert_eq!(order.currency.as_deref(), Some("EUR"));
    assert_eq!(order.placed_at.unwrap().to_rfc3339(), "2026-11-18T09:15:00+00:00");
    assert_eq!(order.updated_at.unwrap().to_rfc3339(), "2026-11-19T08:00:00+00:00");
    assert_eq!(order.tags.iter().map(shown).collect::<Vec<_>>(), ["vip", "b2b"]);
    assert_eq!(shown(&order.note.unwrap()), "Kérem, csengessen kétszer.");
    let customer = order.customer.unwrap();
    assert_eq!(customer.id.as_deref(), Some("7012345678901234567"));
    assert_eq!(shown(&customer.email.unwrap()), "odon@example.hu");
    assert_eq!(shown(&customer.first_name.unwrap()), "Ödön");
    assert_eq!(shown(&customer.last_name.unwrap()), "Kovács");
    assert_eq!(shown(&customer.phone.unwrap()), "+36301234567");
    let text = |text: &str| Some(text.to_owned());
    let billing = Address {
        first_name: text("Ödön"),
        last_name: text("Kovács"),
        company: text("Kovács és Fia Bt."),
        address1: text("Fő utca 1."),
        address2: text("2. em. 3."),
        city: text("Győr"),
        postcode: text("9021"),
        province: text("Győr-Moson-Sopron"),
        country_code: text("HU"),
        phone: text("+36301234567"),
    };
    assert!(shown(&order.billing_address.unwrap()) == billing);
    assert_eq!(shown(&order.shipping_address.unwrap()).postcode.as_deref(), Some("9027"));
}

#[test]
fn a_line_item_has_its_discount_and_tax_for_the_whole_line() {
    let order = order();
    let [coffee, card] = order.line_items.as_slice() else { panic!("two lines") };
    assert_eq!(coffee.id, "14000000000000000001");
    assert_eq!(coffee.product_id.as_deref(), Some("8000000000000000001"));
    assert_eq!(coffee.variant_id.as_deref(), Some("4500000000000000001"));
    assert_eq!(coffee.sku.as_deref(), Some("KV-250"));
    assert_eq!(coffee.name, "Kávé - 250 g");
    assert_eq!(coffee.quantity, dec!(3));
    assert_eq!(coffee.unit_price, Some(dec!(12.99)));
    assert_eq!(coffee.discount, Some(dec!(3.50)));
    assert_eq!(coffee.total, Some(dec!(35.47)));
    assert_eq!(coffee.tax, Some(dec!(7.5403)));
    assert_eq!((&card.product_id, &card.variant_id, &card.sku), (&None, &None, &None));
    assert_eq!(card.tax, Some(dec!(0.2159)), "the taxes of a line add up");
    assert!(listed_orders()[0].line_items[0].tax.is_none(), "lists do not ask for it");
}

#[test]
fn what_has_no_field_of_its_own_is_kept_under_shopifys_names() {
    let kept = shown(&order().platform_specific.unwrap());
    assert_eq!(kept["id"], "gid://shopify/Order/9007199254740993");
    assert_eq!(kept["displayFinancialStatus"], "PARTIALLY_REFUNDED");
    assert_eq!(kept["displayFulfillmentStatus"], "PARTIALLY_FULFILLED");
    assert_eq!(kept["totalPriceSet"], json!({"presentmentMoney": {"amount": "16588.00", "currencyCode": "HUF"}}));
    assert_eq!(kept["customAttributes"][0]["value"], "Boldog születésnapot!");
    assert_eq!(kept["lineItems"][0]["customAttributes"][0]["key"], "őrlés");
    assert_eq!(kept["lineItems"][0]["id"], "gid://shopify/LineItem/14000000000000000001");
    let asked = fixture!("order")["data"]["record"].clone();
    let same = [
        "processedAt",
        "confirmationNumber",
        "sourceName",
        "paymentGatewayNames",
        "discountCodes",
        "taxLines",
        "shippingLines",
        "transactions",
        "refunds",
        "fulfillments",
        "currentTotalPriceSet",
        "totalOutstandingSet",
        "customerLocale",
        "cartToken",
        "checkoutToken",
        "presentmentCurrencyCode",
        "returnStatus",
    ];
    for field in same {
        assert_eq!(kept[field], asked[field], "{field}");
    }
}

/// Every value of an answer is either kept as it is or stands in a unified field.
#[test]
fn no_value_of_an_order_is_lost() {
    let asked = fixture!("order")["data"]["record"].clone();
    let kept = shown(&order().platform_specific.unwrap());
    let unified = [
        "legacyResourceId",
        "name",
        "currencyCode",
        "tags",
        "createdAt",
        "updatedAt",
        "email",
        "phone",
        "customer",
        "billingAddress",
        "shippingAddress",
        "note",
        "cancelledAt",
        "lineItems",
        "subtotalPriceSet",
        "totalDiscountsSet",
        "totalShippingPriceSet",
        "totalTaxSet",
        "totalRefundedSet",
        "totalPriceSet",
    ];
    for (name, value) in asked.as_object().unwrap() {
        assert!(unified.contains(&name.as_str()) || kept[name] == *value, "{name}");
    }
}

#[test]
fn without_being_asked_for_the_platforms_own_fields_stay_away() {
    assert!(listed_orders().iter().all(|order| order.platform_specific.is_none()));
    assert!(convert::customer(parsed(&fixture!("customer")["data"]["record"]), false).platform_specific.is_none());
}

#[test]
fn a_guest_has_no_id_and_the_name_of_the_billing_address() {
    let orders = listed_orders();
    let guest = orders[1].customer.as_ref().unwrap();
    assert_eq!(guest.id, None);
    assert_eq!(shown(guest.email.as_ref().unwrap()), "guest@example.com");
    assert_eq!(shown(guest.first_name.as_ref().unwrap()), "Gábor");
    assert_eq!(shown(guest.last_name.as_ref().unwrap()), "Vendég");
    let by_phone = orders[2].customer.as_ref().unwrap();
    assert!(by_phone.email.is_none());
    assert_eq!(shown(by_phone.phone.as_ref().unwrap()), "+43123456");
    assert!(orders[3].customer.is_none(), "nobody is known");
}

#[test]
fn empty_texts_and_addresses_are_none() {
    let orders = listed_orders();
    assert!(orders[0].billing_address.is_none());
    assert!(orders[3].note.is_none());
}

#[test]
fn the_unified_status_follows_the_table() {
    let statuses: Vec<OrderStatus> = listed_orders().iter().map(|order| order.status).collect();
    use OrderStatus::{Cancelled, Completed, Failed, OnHold, Pending, Processing, Refunded};
    assert_eq!(statuses, [Completed, Pending, Refunded, Cancelled, OnHold]);
    let status = |payment: &str, fulfillment: &str| {
        let order = json!({
            "id": "gid://shopify/Order/1", "legacyResourceId": "1",
            "displayFinancialStatus": payment, "displayFulfillmentStatus": fulfillment,
        });
        convert::order(parsed(&order), false).status
    };
    assert_eq!(status("EXPIRED", "UNFULFILLED"), Failed);
    assert_eq!(status("VOIDED", "UNFULFILLED"), Failed);
    assert_eq!(status("REFUNDED", "ON_HOLD"), Refunded);
    assert_eq!(status("PAID", "ON_HOLD"), OnHold);
    assert_eq!(status("PAID", "FULFILLED"), Completed);
    assert_eq!(status("PARTIALLY_REFUNDED", "FULFILLED"), Completed);
    assert_eq!(status("PAID", "UNFULFILLED"), Processing);
    assert_eq!(status("AUTHORIZED", "FULFILLED"), Processing);
    assert_eq!(status("PARTIALLY_PAID", "FULFILLED"), Pending);
    assert_eq!(status("SOMETHING_NEW", "FULFILLED"), Pending);
}

#[test]
fn every_status_of_shopify_has_a_unified_one() {
    let payments =
        ["AUTHORIZED", "EXPIRED", "PAID", "PARTIALLY_PAID", "PARTIALLY_REFUNDED", "PENDING", "REFUNDED", "VOIDED"];
    assert!(payments.into_iter().all(|word| convert::payment_status(word).is_some()));
    let fulfillments = [
        "FULFILLED",
        "FULFILLMENT_NOT_REQUIRED",
        "IN_PROGRESS",
        "ON_HOLD",
        "OPEN",
        "PARTIALLY_FULFILLED",
        "PENDING_FULFILLMENT",
        "REQUEST_DECLINED",
        "RESTOCKED",
        "SCHEDULED",
        "UNFULFILLED",
    ];
    assert!(fulfillments.into_iter().all(|word| convert::fulfillment_status(word).is_some()));
    assert_eq!(convert::fulfillment_status("FULFILLMENT_NOT_REQUIRED"), Some(FulfillmentStatus::NotRequired));
}

#[test]
fn unknown_words_extra_keys_and_missing_persons_do_not_break_an_order() {
    let order = json!({
        "id": "gid://shopify/Order/9223372036854775807", "legacyResourceId": 9_223_372_036_854_775_807_u64,
        "displayFinancialStatus": "PAID_WITH_SHELLS", "displayFulfillmentStatus": "TELEPORTED",
        "somethingNew": {"deep": [1, 2.5, 9_007_199_254_740_993_u64]},
    });
    let order = convert::order(parsed(&order), true);
    assert_eq!(order.id, "9223372036854775807");
    assert_eq!((order.payment_status, order.fulfillment_status), (None, None));
    let kept = shown(&order.platform_specific.unwrap());
    assert_eq!(kept["displayFinancialStatus"], "PAID_WITH_SHELLS");
    assert_eq!(kept["somethingNew"]["deep"][2].to_string(), "9007199254740993");
}

#[test]
fn an_amount_is_exact_or_refused() {
    let exact = |text: &str| serde_json::from_str::<wire::Exact>(text).map(|exact| exact.0);
    assert_eq!(exact("\"0.1\"").unwrap().to_string(), "0.1");
    assert_eq!(exact("\"12.50\"").unwrap().to_string(), "12.50");
    assert_eq!(exact("0.27").unwrap(), dec!(0.27));
    assert_eq!(exact("1e-7").unwrap(), dec!(0.0000001));
    assert!(exact("\"0.12345678901234567890123456789012\"").is_err());
    assert!(exact("\"twelve\"").is_err());
}

#[test]
fn a_global_id_may_carry_a_query() {
    let gid = wire::Gid::parse("gid://shopify/InventoryLevel/12?inventory_item_id=34").unwrap();
    assert_eq!(gid.number(), "12");
    for wrong in ["gid://shopify/Order/", "gid://shopify/Order/12a", "gid://shopify//12", "gid://other/Order/12", "12"]
    {
        assert!(wire::Gid::parse(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn a_customer_has_all_that_the_shop_says() {
    let customer = convert::customer(parsed(&fixture!("customer")["data"]["record"]), true);
    assert_eq!(customer.id, "7012345678901234567");
    assert_eq!(shown(&customer.email.unwrap()), "odon@example.hu");
    assert_eq!(shown(&customer.phone.unwrap()), "+36301234567");
    assert_eq!(shown(&customer.first_name.unwrap()), "Ödön");
    assert_eq!(shown(&customer.last_name.unwrap()), "Kovács");
    assert_eq!(shown(&customer.company.unwrap()), "Kovács és Fia Bt.");
    assert_eq!(customer.addresses.len(), 2, "an address without content is none");
    assert_eq!(shown(&customer.default_address.unwrap()).city.as_deref(), Some("Győr"));
    assert_eq!(customer.orders_count, Some(12));
    assert_eq!(customer.total_spent, Some(dec!(1204.50)));
    assert_eq!(customer.currency.as_deref(), Some("EUR"));
    assert_eq!(customer.locale.as_deref(), Some("hu"));
    assert_eq!((customer.marketing.email, customer.marketing.sms), (Some(true), Some(false)));
    assert_eq!(customer.marketing.at.unwrap().to_rfc3339(), "2025-03-01T00:00:00+00:00", "the later of both");
    let kept = shown(&customer.platform_specific.unwrap());
    assert_eq!(kept["note"], "Hűséges vevő.");
    assert_eq!(kept["defaultEmailAddress"]["marketingOptInLevel"], "CONFIRMED_OPT_IN");
    assert_eq!(kept["defaultPhoneNumber"]["smsMarketingConsent"]["collectedFrom"], "SHOPIFY");
    assert_eq!(kept["defaultPhoneNumber"]["whatsAppMarketingConsent"]["state"], "NOT_SUBSCRIBED");
}

#[test]
fn a_customer_without_anything_is_still_one() {
    let nodes = fixture!("customers")["data"]["records"]["nodes"].clone();
    let customer = convert::customer(parsed(&nodes[1]), false);
    assert!(customer.email.is_none() && customer.phone.is_none() && customer.default_address.is_none());
    assert_eq!(customer.marketing, connector::model::Marketing::default());
    let bare = json!({"id": "gid://shopify/Customer/1", "legacyResourceId": "1"});
    assert_eq!(convert::customer(parsed(&bare), false).orders_count, None);
}

#[test]
fn only_a_given_consent_counts() {
    let consent = |state: &str| {
        let customer = json!({
            "id": "gid://shopify/Customer/1", "legacyResourceId": "1",
            "defaultEmailAddress": {"marketingState": state}, "defaultPhoneNumber": {"smsMarketingConsent": {"state": state}},
        });
        let marketing = convert::customer(parsed(&customer), false).marketing;
        assert_eq!(marketing.email, marketing.sms);
        marketing.email
    };
    assert_eq!(consent("SUBSCRIBED"), Some(true));
    for not in ["PENDING", "NOT_SUBSCRIBED", "NEVER_SUBSCRIBED", "UNSUBSCRIBED", "INVALID"] {
        assert_eq!(consent(not), Some(false), "{not}");
    }
    assert_eq!(consent("REDACTED"), None);
}

#[test]
fn a_product_has_all_that_the_shop_says() {
    let product = convert::product(parsed(&fixture!("product")["data"]["record"]), Some("EUR"), true);
    assert_eq!(product.id, "8000000000000000001");
    assert_eq!((product.title.as_str(), product.handle.as_deref()), ("Kávé", Some("kávé")));
    assert_eq!(product.description_html.as_deref(), Some("<p>Friss.</p>"));
    assert_eq!(product.status, ProductStatus::Active);
    assert_eq!((product.vendor.as_deref(), product.product_type.as_deref()), (Some("Pörkölő"), Some("Kávé")));
    assert_eq!(product.currency.as_deref(), Some("EUR"));
    assert_eq!(product.url.as_deref(), Some("https://kave.example/products/8000000000000000001"));
    assert_eq!(product.options[0].values, ["250 g", "1 kg"]);
    let [image] = product.images.as_slice() else { panic!("a film and a picture without address are no images") };
    assert_eq!((image.id.as_deref(), image.alt.as_deref()), (Some("81"), Some("Zacskó")));
    let [small, large] = product.variants.as_slice() else { panic!("two variants") };
    assert_eq!((small.price, small.compare_at_price), (Some(dec!(12.99)), Some(dec!(14.99))));
    assert_eq!(small.inventory_quantity, Some(-2), "more is promised than there is");
    assert_eq!(large.inventory_quantity, None, "what is not counted has no number");
    let weight = small.weight.as_ref().unwrap();
    assert_eq!((weight.value, weight.unit.as_deref()), (dec!(0.27), Some("kg")));
    assert_eq!(large.weight.as_ref().unwrap().value, Decimal::from(1000));
    assert_eq!(small.options[0].value, "250 g");
    let kept = product.platform_specific.unwrap();
    assert_eq!(kept["seo"]["description"], "Frissen pörkölt");
    assert_eq!(kept["variants"][1]["inventoryItem"]["tracked"], false);
    assert_eq!(kept["media"][0]["mediaContentType"], "VIDEO");
}

#[test]
fn an_unknown_product_status_is_not_for_sale() {
    let product = json!({"id": "gid://shopify/Product/1", "legacyResourceId": "1", "title": "T", "status": "PARKED"});
    let product = convert::product(parsed(&product), None, true);
    assert_eq!(product.status, ProductStatus::Unlisted);
    assert_eq!(product.platform_specific.unwrap()["status"], "PARKED");
}

#[test]
fn what_is_switched_off_is_not_asked_for() {
    let off = Selection { persons: false, ..Selection::standard() };
    let switches = Orders::switches(&off, true);
    for person in ["persons", "customer", "billingAddress", "shippingAddress", "note"] {
        assert_eq!(switches[person], false, "{person}");
    }
    assert_eq!(switches["total"], true);
    let only = Selection { persons: true, fields: Fields::Named(["id", "total"].map(str::to_owned).into()) };
    let switches = Orders::switches(&only, true);
    assert_eq!(switches["total"], true);
    for other in ["customer", "lineItems", "breakdown", "platformSpecific"] {
        assert_eq!(switches[other], false, "{other}");
    }
}
