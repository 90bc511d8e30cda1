//! SQL as the statements and words that it is made of. No grammar: what a rule does not know it refuses.

/// One statement: its words in lower case and signs, without comments. Strings and bodies of functions are `'…'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) words: Vec<String>,
    /// What a comment `-- expand: …` right before it says about why the version before goes on.
    pub(super) reason: Option<String>,
}

pub(super) const STRING: &str = "'…'";

pub(super) fn statements(sql: &str) -> Vec<Statement> {
    let mut found = vec![];
    let mut words = vec![];
    let mut reason = None;
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("--") {
            let (line, after) = comment.split_once('\n').unwrap_or((comment, ""));
            if let Some(said) = line.trim().strip_prefix("expand:") {
                reason = Some(said.trim().to_owned());
            }
            rest = after;
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").expect("a comment ends").1;
        } else if first == '\'' {
            rest = after_string(rest);
            words.push(STRING.to_owned());
        } else if let Some(tag) = dollar_tag(rest) {
            rest = rest[tag.len()..].split_once(tag).expect("a body ends").1;
            words.push(STRING.to_owned());
        } else if first == '"' {
            let end = rest[1..].find('"').expect("a name ends") + 2;
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else if is_word(first) {
            let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
            words.push(rest[..end].to_lowercase());
            rest = &rest[end..];
        } else {
            if first == ';' {
                found.push(Statement { words: std::mem::take(&mut words), reason: reason.take() });
            } else if !first.is_whitespace() {
                words.push(first.to_string());
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    assert!(words.is_empty(), "the last statement has no semicolon: {words:?}");
    found
}

/// A dot belongs to a name (`app.can`) and to a number.
fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_' || char == '.'
}

fn after_string(text: &str) -> &str {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        if char == '\'' && chars.next_if(|(_, next)| *next == '\'').is_none() {
            return &text[at + 1..];
        }
    }
    panic!("a string does not end");
}

/// `$$` or `$body$`, but not the `$1` of a parameter.
fn dollar_tag(text: &str) -> Option<&str> {
    let end = text.strip_prefix('$')?.find('$')? + 2;
    let name = &text[1..end - 1];
    let is_name = name.chars().all(|char| char.is_alphanumeric() || char == '_');
    (is_name && !name.starts_with(|char: char| char.is_ascii_digit())).then_some(&text[..end])
}

impl Statement {
    pub(super) fn starts(&self, beginning: &str) -> bool {
        beginning
            .split(' ')
            .zip(self.words.iter().map(Some).chain(std::iter::repeat(None)))
            .all(|(expected, word)| word.is_some_and(|word| word == expected))
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|found| found == word)
    }

    /// The word after the first of these, past `if not exists`, `only` and the like.
    pub(super) fn name_after(&self, word: &str) -> Option<&str> {
        name_after(&self.words, word)
    }

    /// The beginning, for a person to find it by.
    pub(super) fn shown(&self) -> String {
        self.words.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The parts of `alter table x part, part`: commas within parentheses part nothing.
    pub(super) fn actions(&self) -> Vec<&[String]> {
        let table = self.name_after("table").unwrap_or_default();
        let start = self.words.iter().position(|word| word == table).map_or(self.words.len(), |at| at + 1);
        let (mut actions, mut depth, mut from) = (vec![], 0, start);
        for (at, word) in self.words.iter().enumerate().skip(start) {
            match word.as_str() {
                "(" | "[" => depth += 1,
                ")" | "]" => depth -= 1,
                "," if depth == 0 => {
                    actions.push(&self.words[from..at]);
                    from = at + 1;
                }
                _ => {}
            }
        }
        actions.push(&self.words[from..]);
        actions
    }
}

pub(super) fn name_after<'a>(words: &'a [String], word: &str) -> Option<&'a str> {
    let mut after = words.iter().skip_while(|found| *found != word).skip(1);
    after.find(|word| !["if", "not", "exists", "only", "concurrently"].contains(&word.as_str())).map(String::as_str)
}

#[test]
fn statements_end_at_semicolons_outside_of_strings_bodies_and_comments() {
    let sql = "-- a; comment\ncreate table a (b text default 'x;''y'); /* ; */\n\
               create function f() returns trigger language plpgsql as $body$ begin; end; $body$;\n\
               -- expand: nobody reads it; yet\ndrop table \"Old;One\";";
    let found = statements(sql);
    let shown: Vec<String> = found.iter().map(|statement| statement.words.join(" ")).collect();
    assert_eq!(
        shown,
        [
            "create table a ( b text default '…' )",
            "create function f ( ) returns trigger language plpgsql as '…'",
            "drop table \"Old;One\"",
        ]
    );
    assert_eq!(found[2].reason.as_deref(), Some("nobody reads it; yet"));
    assert_eq!((&found[0].reason, &found[1].reason), (&None, &None));
}

#[test]
fn the_actions_of_an_alteration_are_parted_by_commas_outside_of_parentheses() {
    let sql = "alter table only t add column a text check (a in ('x', 'y')), drop constraint c;";
    let found = statements(sql);
    let actions: Vec<String> = found[0].actions().iter().map(|words| words.join(" ")).collect();
    assert_eq!(actions, ["add column a text check ( a in ( '…' , '…' ) )", "drop constraint c"]);
}
