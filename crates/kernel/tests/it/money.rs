use kernel::Money;

#[test]
fn an_amount_keeps_its_digits_and_is_written_as_text() {
    for amount in ["12.50", "0.1", "-3.999", "79228162514264337593543950335", "0.0000"] {
        let written = format!(r#"{{"amount":"{amount}","currency":"EUR"}}"#);
        let money: Money = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&money).unwrap(), written);
    }
    assert!(serde_json::from_str::<Money>(r#"{"amount":"12,50","currency":"EUR"}"#).is_err());
    assert!(
        serde_json::from_str::<Money>(r#"{"amount":"12.50"}"#).is_err(),
        "an amount without a currency is no money"
    );
}
