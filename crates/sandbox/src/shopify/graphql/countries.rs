//! English names of the countries that simulated people live in.

/// The country's name; its code where none is known here.
pub(in crate::shopify) fn name(code: &str) -> &str {
    match code {
        "AT" => "Austria",
        "DE" => "Germany",
        "FR" => "France",
        "GB" => "United Kingdom",
        "HU" => "Hungary",
        "IL" => "Israel",
        "IT" => "Italy",
        "JP" => "Japan",
        "KW" => "Kuwait",
        "PL" => "Poland",
        "RO" => "Romania",
        "SK" => "Slovakia",
        "US" => "United States",
        "VN" => "Vietnam",
        other => other,
    }
}
