//! Orders and refunds as JSON.

use super::super::dates::{gmt, local};
use super::super::json::{List, Money, Object, Raw};
use super::super::products::image_url;
use super::super::serve::Ask;
use super::{customer_id, status};
use crate::world::{Address, ChargeLine, Order, OrderLine, OrderStatus, Refund};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// The id of the tax rate in every shop that has one.
const RATE_ID: u32 = 1;

/// One order.
pub(in super::super) fn order(ask: &Ask<'_>, order: &Order, decimals: u32, single: bool, out: &mut Object<'_>) {
    let spec = ask.shop.spec();
    let (zone, newer) = (spec.market.time_zone, spec.version.has_newer_fields());
    let money = |amount: Decimal| Money(amount, decimals);
    let customer = customer_id(ask, order);
    let status = status(order);
    out.put("id", order.id);
    out.put("parent_id", 0u32);
    out.put("status", status);
    out.put("currency", order.currency.code);
    out.put_with("version", || spec.version.to_string());
    out.put("prices_include_tax", order.prices_include_tax);
    out.put_with("date_created", || local(order.created_at, zone));
    out.put_with("date_modified", || local(order.modified_at, zone));
    out.put_with("discount_total", || money(order.discount()));
    out.put_with("discount_tax", || money(order.discount_tax()));
    out.put_with("shipping_total", || money(order.shipping_total()));
    out.put_with("shipping_tax", || money(order.shipping_tax()));
    out.put_with("cart_tax", || money(order.cart_tax()));
    out.put_with("total", || money(order.total()));
    out.put_with("total_tax", || money(order.cart_tax() + order.shipping_tax()));
    out.put("customer_id", customer);
    out.put("order_key", &order.key);
    out.object("billing", |out| {
        address(&order.billing, out);
        out.put("email", order.email.as_deref().unwrap_or_default());
        out.put("phone", &order.billing.phone);
    });
    out.object("shipping", |out| {
        let none = Address::default();
        let shipping = order.shipping.as_ref().unwrap_or(&none);
        address(shipping, out);
        if newer {
            out.put("phone", &shipping.phone);
        }
    });
    out.put("payment_method", &order.payment_method);
    out.put("payment_method_title", &order.payment_title);
    out.put("transaction_id", &order.transaction_id);
    out.put("customer_ip_address", &order.ip);
    out.put("customer_user_agent", &order.user_agent);
    out.put("created_via", &order.created_via);
    out.put("customer_note", &order.note);
    out.put_with("date_completed", || order.completed_at.map(|time| local(time, zone)));
    out.put_with("date_paid", || order.paid_at.map(|time| local(time, zone)));
    out.put_with("cart_hash", || {
        format!("{:032x}", u128::from(order.id).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    });
    out.put("number", &order.number);
    meta_data(order, out);
    out.list("line_items", &order.lines, |line, out| line_item(ask, order, line, decimals, out));
    let taxed = !order.tax_percent.is_zero();
    out.list("tax_lines", taxed.then_some(order), |order, out| {
        out.put("id", order.tax_line_id);
        out.put_with("rate_code", || format!("{}-VAT-1", spec.market.country));
        out.put("rate_id", RATE_ID);
        out.put("label", "VAT");
        out.put("compound", false);
        out.put("tax_total", money(order.cart_tax()));
        out.put("shipping_tax_total", money(order.shipping_tax()));
        if newer {
            out.put("rate_percent", order.tax_percent.to_f64().unwrap_or_default());
        }
        out.put("meta_data", Raw("[]"));
    });
    out.list("shipping_lines", &order.shipping_lines, |line, out| {
        out.put("id", line.id);
        out.put("method_title", &line.title);
        out.put("method_id", &line.method);
        out.put("instance_id", "1");
        charge(order, line, decimals, out);
        if newer {
            out.put("tax_status", "taxable");
        }
    });
    out.list("fee_lines", &order.fee_lines, |line, out| {
        out.put("id", line.id);
        out.put("name", &line.title);
        out.put("tax_class", "");
        out.put("tax_status", "taxable");
        out.put("amount", Money(line.total, decimals));
        charge(order, line, decimals, out);
    });
    out.list("coupon_lines", &order.coupons, |coupon, out| {
        out.put("id", coupon.id);
        out.put("code", &coupon.code);
        out.put("discount", money(coupon.discount));
        out.put("discount_tax", money(coupon.discount_tax));
        out.put("meta_data", Raw("[]"));
        if newer {
            out.put("discount_type", "percent");
            out.put("nominal_amount", coupon.percent);
            out.put("free_shipping", false);
        }
    });
    out.list("refunds", order.refunds.iter().rev(), |refund, out| {
        out.put("id", refund.id);
        out.put("reason", &refund.reason);
        out.put("total", money(-refund.amount));
    });
    if newer {
        let payable = matches!(order.status, OrderStatus::Pending | OrderStatus::Failed) && !order.trashed;
        out.put_with("payment_url", || {
            format!("{}/checkout/order-pay/{}/?pay_for_order=true&key={}", spec.home(), order.id, order.key)
        });
        out.put("is_editable", matches!(status, "pending" | "on-hold" | "auto-draft"));
        out.put("needs_payment", payable && !order.total().is_zero());
        out.put("needs_processing", order.shipping.is_some());
    }
    out.put_with("date_created_gmt", || gmt(order.created_at));
    out.put_with("date_modified_gmt", || gmt(order.modified_at));
    out.put_with("date_completed_gmt", || order.completed_at.map(gmt));
    out.put_with("date_paid_gmt", || order.paid_at.map(gmt));
    if newer {
        out.put("currency_symbol", order.currency.symbol);
    }
    let mut links =
        vec![("self", ask.rest_url(&format!("orders/{}", order.id))), ("collection", ask.rest_url("orders"))];
    if newer {
        links.push(("email_templates", ask.rest_url(&format!("orders/{}/actions/email_templates", order.id))));
    }
    if customer != 0 {
        links.push(("customer", ask.rest_url(&format!("customers/{customer}"))));
    }
    out.links(single, &links, newer);
}

pub(in super::super) fn address(address: &Address, out: &mut Object<'_>) {
    out.put("first_name", &address.first_name);
    out.put("last_name", &address.last_name);
    out.put("company", &address.company);
    out.put("address_1", &address.address_1);
    out.put("address_2", &address.address_2);
    out.put("city", &address.city);
    out.put("state", &address.state);
    out.put("postcode", &address.postcode);
    out.put("country", &address.country);
}

/// Plug-ins put any JSON there.
fn meta_data(order: &Order, out: &mut Object<'_>) {
    let values = [
        ("_wc_order_attribution_source_type", "\"typein\""),
        ("is_vat_exempt", "\"no\""),
        ("_invoice", r#"{"number":"2026\/17","lines":[1,2.5,null]}"#),
        ("_flags", "[]"),
        ("_points", "12"),
    ];
    let wanted = if order.created_via == "checkout" { &values[..2 + (order.id % 4) as usize] } else { &values[..0] };
    out.list("meta_data", wanted.iter().zip(0..), |((key, value), number), out| {
        out.put("id", order.id * 10 + number);
        out.put("key", *key);
        out.put("value", Raw(value));
    });
}

fn line_item(ask: &Ask<'_>, order: &Order, line: &OrderLine, decimals: u32, out: &mut Object<'_>) {
    let newer = ask.shop.spec().version.has_newer_fields();
    let at = line.product_id.and_then(|id| ask.data.product_by_id.get(&id));
    let product = at.map(|at| &ask.data.world.products[*at as usize]);
    let variant =
        product.and_then(|product| product.variants.iter().find(|variant| Some(variant.id) == line.variant_id));
    let values: Vec<&str> = line.options.iter().map(|(_, value)| value.as_str()).collect();
    out.put("id", line.id);
    match values.is_empty() {
        true => out.put("name", &line.title),
        false => out.put("name", format!("{} - {}", line.title, values.join(", "))),
    }
    out.put("product_id", product.map_or(0, |product| product.id));
    out.put("variation_id", line.variant_id.filter(|_| product.is_some()).unwrap_or(0));
    out.put("quantity", line.quantity);
    out.put("tax_class", "");
    out.put("subtotal", Money(line.subtotal, decimals));
    out.put("subtotal_tax", Money(line.subtotal_tax, decimals));
    out.put("total", Money(line.total, decimals));
    out.put("total_tax", Money(line.total_tax, decimals));
    taxes(order, line.total_tax, Some(line.subtotal_tax), out);
    out.list("meta_data", line.options.iter().zip(0..), |((name, value), number), out| {
        out.put("id", line.id * 10 + number);
        out.put("key", format!("pa_{}", slug(name)));
        out.put("value", slug(value));
        if newer {
            out.put("display_key", name);
            out.put("display_value", value);
        }
    });
    out.put("sku", product.map(|_| line.sku.as_deref().unwrap_or_default()));
    if newer {
        let barcode = product.and_then(|product| variant.or(product.variants.first())?.barcode.as_deref());
        out.put("global_unique_id", product.map(|_| barcode.unwrap_or_default()));
    }
    let quantity = f64::from(line.quantity);
    out.put("price", if line.quantity == 0 { 0.0 } else { line.total.to_f64().unwrap_or_default() / quantity });
    out.object("image", |out| {
        let picture = product.and_then(|product| product.images.get(variant.and_then(|v| v.image).unwrap_or(0)));
        match picture {
            // Plug-ins make it a string at times.
            Some(image) if !newer => out.put("id", image.id.to_string()),
            Some(image) => out.put("id", image.id),
            None if line.id.is_multiple_of(2) => out.put("id", 0u32),
            None => out.put("id", ""),
        }
        match picture {
            Some(image) => out.put_with("src", || image_url(ask, image)),
            None => out.put("src", ""),
        }
    });
    out.put("parent_name", variant.and(product).map(|product| product.title.as_str()));
}

/// Taxes are not rounded here.
fn taxes(order: &Order, total: Decimal, subtotal: Option<Decimal>, out: &mut Object<'_>) {
    let taxed = (!order.tax_percent.is_zero()).then_some(());
    out.list("taxes", taxed, |(), out| {
        out.put("id", RATE_ID);
        out.put("total", total.normalize().to_string());
        out.put("subtotal", subtotal.map(|subtotal| subtotal.normalize().to_string()).unwrap_or_default());
    });
}

fn charge(order: &Order, line: &ChargeLine, decimals: u32, out: &mut Object<'_>) {
    out.put("total", Money(line.total, decimals));
    out.put("total_tax", Money(line.total_tax, decimals));
    taxes(order, line.total_tax, None, out);
    out.put("meta_data", Raw("[]"));
}

/// One refund: the amount is positive here, its lines are negative.
pub(super) fn refund(ask: &Ask<'_>, order: &Order, refund: &Refund, decimals: u32, single: bool, out: &mut Object<'_>) {
    let spec = ask.shop.spec();
    out.put("id", refund.id);
    if spec.version.has_newer_fields() {
        out.put("parent_id", order.id);
    }
    out.put("date_created", local(refund.created_at, spec.market.time_zone));
    out.put("date_created_gmt", gmt(refund.created_at));
    out.put("amount", Money(refund.amount, decimals));
    out.put("reason", &refund.reason);
    out.put("refunded_by", 1u32);
    out.put("refunded_payment", false);
    out.put("meta_data", Raw("[]"));
    let lines = refund.lines.iter().filter_map(|part| {
        let line = order.lines.iter().find(|line| line.id == part.line_id)?;
        Some((part, line))
    });
    out.list("line_items", lines, |(part, line), out| {
        out.put("id", part.id);
        out.put("name", &line.title);
        out.put("product_id", line.product_id.unwrap_or(0));
        out.put("variation_id", line.variant_id.unwrap_or(0));
        out.put("quantity", -i64::from(part.quantity));
        out.put("tax_class", "");
        for name in ["subtotal", "total"] {
            out.put(name, Money(-part.total, decimals));
            out.put(&format!("{name}_tax"), Money(-part.total_tax, decimals));
        }
        taxes(order, -part.total_tax, Some(-part.total_tax), out);
        out.list("meta_data", [line.id], |original, out| {
            out.put("id", part.id * 10);
            out.put("key", "_refunded_item_id");
            out.put("value", original.to_string());
        });
        out.put("sku", line.product_id.map(|_| line.sku.as_deref().unwrap_or_default()));
        let quantity = f64::from(part.quantity.max(1));
        out.put("price", part.total.to_f64().unwrap_or_default() / quantity);
    });
    if spec.version.has_newer_fields() {
        for name in ["shipping_lines", "tax_lines", "fee_lines"] {
            out.put(name, Raw("[]"));
        }
    }
    let base = format!("orders/{}/refunds", order.id);
    let links = [
        ("self", ask.rest_url(&format!("{base}/{}", refund.id))),
        ("collection", ask.rest_url(&base)),
        ("up", ask.rest_url(&format!("orders/{}", order.id))),
    ];
    out.links(single, &links, spec.version.has_newer_fields());
}

/// WordPress' short name of a term: lower case, spaces become hyphens, accents are lost.
pub(in super::super) fn slug(name: &str) -> String {
    let plain = |letter: char| match letter {
        'á' | 'ä' => 'a',
        'é' => 'e',
        'ó' | 'ö' | 'ő' => 'o',
        'ú' | 'ü' | 'ű' => 'u',
        'ß' => 's',
        ' ' => '-',
        other => other,
    };
    name.to_lowercase().chars().map(plain).filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// A list of scalars, for fields that are always empty in these shops.
pub(in super::super) fn ids(ids: &[u64]) -> List<std::slice::Iter<'_, u64>> {
    List(ids.iter())
}
