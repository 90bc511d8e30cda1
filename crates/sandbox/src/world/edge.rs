//! People as they really are in shops: the first ones of every world.

use super::{Account, Person, Role};

/// Makes the `index`-th person of a world one of the peculiar ones, if it is among them.
pub(super) fn make_peculiar(person: &mut Person, index: usize) {
    match index {
        0 => {
            name(person, "Ada", "Admin");
            account(person, "admin", Role::Administrator, "admin@shop.example");
        }
        1 => {
            name(person, "Manó", "Manager");
            account(person, "manager", Role::ShopManager, "manager@shop.example");
        }
        2 => account(person, "reader", Role::Subscriber, "reader@example.org"),
        3 => {
            name(person, "Siobhán", "O'Brien");
            account(person, "siobhan", Role::Customer, "siobhan.o'brien@example.com");
        }
        4 => {
            name(person, "<b>Bold</b>", "\"Müller\" & <script>alert('x')</script> Söhne");
            account(person, "bold", Role::Customer, "bold@example.com");
        }
        5 => {
            let long = "Hosszúnevű-Megszentségteleníthetetlenségeskedéseitekért-Űrhajós ".repeat(4);
            name(person, "Maximiliana Theodora Anastasia Wilhelmine ".repeat(3).trim(), long.trim());
            account(
                person,
                "long",
                Role::Customer,
                "long.name.that.goes.on.and.on.and.on.until.sixty.four.characters@example.com",
            );
        }
        6 => {
            name(person, "Zsófia", "Szőke");
            account(person, "zsofia", Role::Customer, "Zsofia.SZOKE@Example.COM");
        }
        7 => {
            name(person, "A\u{301}gnes 🎈", "Fu\u{308}zes\u{200d}i");
            account(person, "agnes", Role::Customer, "agnes+shop@example.com");
        }
        8 => {
            name(person, "", "");
            account(person, "nameless", Role::Customer, "nameless@example.com");
        }
        9 => {
            name(person, "محمد", "العتيبي");
            account(person, "mohammed", Role::Customer, "mohammed@example.com");
        }
        10 => {
            name(person, "רבקה", "בן־דוד");
            account(person, "rivka", Role::Customer, "rivka@example.com");
        }
        11 => {
            name(person, "太郎", "髙橋");
            account(person, "taro", Role::Customer, "taro@example.com");
        }
        12 => {
            name(person, "=HYPERLINK(\"https://evil.example\")", "+1-1");
            account(person, "formula", Role::Customer, "formula@example.com");
        }
        13 => {
            name(person, "Gergő", "Tűzkő");
            person.account = None;
            person.email = Some("Gergo.TUZKO@Posta.Example".to_owned());
        }
        14 => {
            // A guest who gave no e-mail address: sold at the counter.
            person.account = None;
            person.email = None;
        }
        15 => {
            name(person, "Jürgen", "Größl");
            account(person, "juergen", Role::Customer, "juergen@example.com");
        }
        _ => {}
    }
}

fn name(person: &mut Person, first: &str, last: &str) {
    (person.first_name, person.last_name) = (first.to_owned(), last.to_owned());
    for address in std::iter::once(&mut person.billing).chain(person.shipping.as_mut()) {
        (address.first_name, address.last_name) = (first.to_owned(), last.to_owned());
    }
}

fn account(person: &mut Person, username: &str, role: Role, email: &str) {
    person.account = Some(Account { username: username.to_owned(), role });
    person.email = Some(email.to_owned());
}
