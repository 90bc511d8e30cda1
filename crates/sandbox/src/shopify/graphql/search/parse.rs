//! From text to [`Filter`]. Never fails: what makes no sense is searched for as text, as Shopify does.

use super::Filter;
use super::term::{Op, Term, Value};

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Term(Term),
}

pub(super) fn parse(text: &str) -> Filter {
    let tokens = tokens(text);
    let mut rest = tokens.as_slice();
    let mut filters = Vec::new();
    while !rest.is_empty() {
        let before = rest.len();
        filters.push(any_of(&mut rest));
        if rest.len() == before || rest.first() == Some(&Token::Close) {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    all(filters)
}

/// `a OR b OR c`, where each part is a run of terms.
fn any_of(rest: &mut &[Token]) -> Filter {
    let mut parts = vec![all_of(rest)];
    while rest.first() == Some(&Token::Or) {
        *rest = &rest[1..];
        parts.push(all_of(rest));
    }
    parts.retain(|part| *part != Filter::Any);
    match parts.len() {
        0 => Filter::Any,
        1 => parts.remove(0),
        _ => Filter::Or(parts),
    }
}

fn all_of(rest: &mut &[Token]) -> Filter {
    let mut parts = Vec::new();
    while let Some(token) = rest.first() {
        match token {
            Token::Or | Token::Close => break,
            Token::And => *rest = &rest[1..],
            _ => parts.push(one(rest)),
        }
    }
    all(parts)
}

fn one(rest: &mut &[Token]) -> Filter {
    let Some((token, tail)) = rest.split_first() else { return Filter::Any };
    *rest = tail;
    match token {
        Token::Not => match one(rest) {
            Filter::Any => Filter::Any,
            inner => Filter::Not(Box::new(inner)),
        },
        Token::Open => {
            let inner = any_of(rest);
            if rest.first() == Some(&Token::Close) {
                *rest = &rest[1..];
            }
            inner
        }
        Token::Term(term) => Filter::Term(term.clone()),
        Token::And | Token::Or | Token::Close => Filter::Any,
    }
}

fn all(mut parts: Vec<Filter>) -> Filter {
    parts.retain(|part| *part != Filter::Any);
    match parts.len() {
        0 => Filter::Any,
        1 => parts.remove(0),
        _ => Filter::And(parts),
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        match first {
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            '-' if rest.len() > 1 && !rest[1..].starts_with(char::is_whitespace) => tokens.push(Token::Not),
            _ => {
                let (token, tail) = word(rest);
                tokens.push(token);
                rest = tail.trim_start();
                continue;
            }
        }
        rest = rest[1..].trim_start();
    }
    tokens
}

/// A keyword or a term, and what follows it.
fn word(text: &str) -> (Token, &str) {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, ':' | '(' | ')' | '"' | '\'')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
    if let Some(rest) = rest.strip_prefix(':').filter(|_| named) {
        let (op, rest) = operator(rest);
        let (values, rest) = values(rest);
        return (Token::Term(Term { field: Some(name.to_ascii_lowercase()), op, values }), rest);
    }
    match name {
        "AND" => (Token::And, rest),
        "OR" => (Token::Or, rest),
        "NOT" => (Token::Not, rest),
        _ => {
            let (value, rest) = value(text, false);
            (Token::Term(Term { field: None, op: Op::Equal, values: vec![value] }), rest)
        }
    }
}

fn operator(text: &str) -> (Op, &str) {
    for (sign, op) in [(">=", Op::AtLeast), ("<=", Op::AtMost), (">", Op::More), ("<", Op::Less)] {
        if let Some(rest) = text.strip_prefix(sign) {
            return (op, rest);
        }
    }
    (Op::Equal, text)
}

/// One value, or several joined by commas.
fn values(mut text: &str) -> (Vec<Value>, &str) {
    let mut values = Vec::new();
    loop {
        let (value, rest) = value(text, true);
        values.push(value);
        match rest.strip_prefix(',') {
            Some(rest) => text = rest,
            None => return (values, rest),
        }
    }
}

fn value(text: &str, list: bool) -> (Value, &str) {
    for quote in ['"', '\''] {
        let Some(inner) = text.strip_prefix(quote) else { continue };
        let end = inner.find(quote).unwrap_or(inner.len());
        let rest = inner.get(end + 1..).unwrap_or_default();
        return (Value::new(&inner[..end], true), rest);
    }
    let stops = |c: char| c.is_whitespace() || c == ')' || (list && c == ',');
    let mut end = text.find(stops).unwrap_or(text.len());
    if end == 0 && !list {
        end = text.chars().next().map_or(0, char::len_utf8);
    }
    (Value::new(&text[..end], false), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// The filter in a form that is easy to compare.
    fn read(text: &str) -> String {
        use crate::shopify::graphql::search::Filter;
        fn write(filter: &Filter) -> String {
            let join = |parts: &[Filter], by: &str| parts.iter().map(write).collect::<Vec<_>>().join(by);
            match filter {
                Filter::Any => "*".into(),
                Filter::Term(term) => {
                    let values: Vec<_> = term.values.iter().map(|value| value.text.as_str()).collect();
                    format!("{}{}{}", term.field.as_deref().unwrap_or("text"), term.op.sign(), values.join("|"))
                }
                Filter::Not(inner) => format!("!{}", write(inner)),
                Filter::And(parts) => format!("({})", join(parts, " & ")),
                Filter::Or(parts) => format!("({})", join(parts, " / ")),
            }
        }
        write(&parse(text))
    }

    #[test]
    fn terms_comparators_lists_and_quotes_are_read() {
        for (text, meaning) in [
            ("", "*"),
            ("updated_at:>='2026-11-20T10:00:00Z'", "updated_at>=2026-11-20T10:00:00Z"),
            (
                "updated_at:>='2026-11-20T10:00:00Z' status:active,draft",
                "(updated_at>=2026-11-20T10:00:00Z & status=active|draft)",
            ),
            ("email:\"bo.wang@example.com\"", "email=bo.wang@example.com"),
            ("created_at:>2026-01-01 AND created_at:<=2026-02-01", "(created_at>2026-01-01 & created_at<=2026-02-01)"),
            ("status:open OR status:closed", "(status=open / status=closed)"),
            ("a:1 b:2 OR c:3", "((a=1 & b=2) / c=3)"),
            ("a:1 (b:2 OR c:3)", "(a=1 & (b=2 / c=3))"),
            ("-tag:vip NOT status:open", "(!tag=vip & !status=open)"),
            ("-(a:1 OR b:2)", "!(a=1 / b=2)"),
            ("red shirt", "(text=red & text=shirt)"),
            ("T-shirt", "text=T-shirt"),
            ("id:1..5", "id=1..5"),
        ] {
            assert_eq!(read(text), meaning, "{text}");
        }
    }

    #[test]
    fn nonsense_is_read_without_failing() {
        for text in
            ["(", ")", "OR", "a:", "a:>=", "\"", "a:\"x", "NOT", ")a:1", "((", "-", "AND OR NOT", "a:'x'y", ":x", "'"]
        {
            read(text);
        }
        assert_eq!(read(")a:1"), "a=1");
    }
}
