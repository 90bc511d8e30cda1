//! People who do not exist, in the scripts of those who do.

use sandbox::world::CanaryPerson;
use testkit::scan::Needle;

const NAMES: &[(&str, &str, &str)] = &[
    ("Latin, Hungarian", "Ödönke-Éva", "Űrhajósné Kőszegi"),
    ("Latin, German", "Großkreutz-Jürgen", "Weiß von Düren"),
    ("Latin, Vietnamese", "Nguyễn Thị Ánh", "Trương Đặng Quỳnh"),
    ("Latin, with quotes", "D'Arcy \"Tweety\"", "O'Brien\\Smith"),
    ("Cyrillic", "Владислава", "Щербаковская"),
    ("Greek", "Αλεξάνδρα", "Παπαδοπούλου"),
    ("Hebrew", "אביגיל־רבקה", "בן־שושן"),
    ("Arabic", "عبد الرحمن", "الخطيب المصري"),
    ("Devanagari", "लक्ष्मीनारायण", "भट्टाचार्य"),
    ("Thai", "ศิริลักษณ์", "วงศ์สุวรรณ"),
    ("Japanese", "さくらこ花子", "髙橋小鳥遊"),
    ("Korean, with emoji", "김하늘별이🐤", "남궁선우재"),
];

/// Somebody of each script, and the words by which they would be recognized.
pub(super) fn people(shop: &str) -> (Vec<CanaryPerson>, Vec<Needle>) {
    let mut needles = vec![];
    let people = NAMES.iter().map(|(script, first, last)| {
        let tag = kernel::random::base62(10);
        let digits: String = (0..3).map(|_| format!("{:03}", kernel::random::bytes::<1>()[0])).collect();
        let person = CanaryPerson {
            first_name: format!("{first} {tag}f"),
            last_name: format!("{last} {tag}l"),
            email: format!("Canary.{tag}+x@mail-{}.example", tag.to_lowercase()),
            phone: format!("+3630{digits}"),
            address_1: format!("{last} {tag}a u. 7/b"),
            city: format!("{first}{tag}c"),
            postcode: format!("P{tag}"),
            country: "HU".to_owned(),
            note: format!("{first}: <b>{tag}n</b> & \"so\""),
        };
        let words = [
            ("first name", &person.first_name),
            ("last name", &person.last_name),
            ("e-mail", &person.email),
            ("phone", &person.phone),
            ("street", &person.address_1),
            ("city", &person.city),
            ("postcode", &person.postcode),
            ("note", &person.note),
        ];
        needles.extend(
            words.map(|(what, value)| Needle { name: format!("{what} ({script}, {shop})"), value: value.clone() }),
        );
        person
    });
    (people.collect(), needles)
}
