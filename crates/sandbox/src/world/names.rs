//! Invented people and goods, in many scripts. Combined at random; none is a real person.

/// A group of first and last names that go together, with cities of the place.
pub(super) struct Locale {
    pub(super) country: &'static str,
    pub(super) first: &'static [&'static str],
    pub(super) last: &'static [&'static str],
    pub(super) cities: &'static [(&'static str, &'static str)],
    pub(super) streets: &'static [&'static str],
    pub(super) phone: &'static str,
}

pub(super) const LOCALES: &[Locale] = &[
    Locale {
        country: "HU",
        first: &[
            "Zsófia", "Gergő", "Jenő", "Ödön", "Ágnes", "Ernő", "Csenge", "László", "Tünde", "Győző", "Réka", "Bálint",
        ],
        last: &[
            "Szőke", "Kővári", "Tűzkő", "Győri", "Fűrész", "Őri", "Kiss", "Nagy", "Tóth", "Szűcs", "Hegedűs", "Erdős",
        ],
        cities: &[
            ("Budapest", "1117"),
            ("Győr", "9021"),
            ("Hódmezővásárhely", "6800"),
            ("Szeged", "6720"),
            ("Pécs", "7621"),
        ],
        streets: &["Fő utca", "Petőfi Sándor utca", "Üllői út", "Kőris köz", "Tűzoltó utca"],
        phone: "+36 30 555 ",
    },
    Locale {
        country: "DE",
        first: &["Jürgen", "Björn", "Käthe", "Sören", "Anneliese", "Götz", "Mareike", "Jörg"],
        last: &["Müller", "Jäger", "Groß", "Schröder", "Weiß", "Köhler", "von der Höhe", "Kühn"],
        cities: &[("Köln", "50667"), ("Düsseldorf", "40213"), ("München", "80331"), ("Lübeck", "23552")],
        streets: &["Hauptstraße", "Königsallee", "Am Mühlbach", "Schloßgäßchen"],
        phone: "+49 1555 010",
    },
    Locale {
        country: "AT",
        first: &["Franz", "Leni", "Korbinian", "Vroni"],
        last: &["Österreicher", "Höller", "Brünner", "Übelhör"],
        cities: &[("Wien", "1010"), ("Sankt Pölten", "3100"), ("Graz", "8010")],
        streets: &["Ringstraße", "Mariahilfer Straße", "Schönbrunner Gürtel"],
        phone: "+43 660 555 0",
    },
    Locale {
        country: "US",
        first: &["Avery", "Jordan", "Casey", "Riley", "Dakota", "Morgan"],
        last: &["Brown", "Smith-Jones", "O'Neill", "McAllister", "de la Cruz", "D'Angelo"],
        cities: &[("New York", "10001"), ("San Francisco", "94103"), ("St. Louis", "63101")],
        streets: &["Main St", "969 Market St Apt", "Martin Luther King Jr Blvd"],
        phone: "(555) 555-",
    },
    Locale {
        country: "KW",
        first: &["محمد", "فاطمة", "يوسف", "نور", "عبد الله"],
        last: &["العتيبي", "حداد", "منصور", "القحطاني"],
        cities: &[("مدينة الكويت", "13001"), ("حولي", "32001")],
        streets: &["شارع الخليج العربي", "شارع سالم المبارك"],
        phone: "+965 555 0",
    },
    Locale {
        country: "IL",
        first: &["יוסי", "רבקה", "דוד", "נועה"],
        last: &["כהן", "לוי", "מזרחי", "בן־דוד"],
        cities: &[("תל אביב", "6100000"), ("חיפה", "3100000")],
        streets: &["רחוב הרצל", "שדרות רוטשילד"],
        phone: "+972 55 555 ",
    },
    Locale {
        country: "JP",
        first: &["太郎", "花子", "健", "さくら"],
        last: &["山田", "佐藤", "髙橋", "渡邉"],
        cities: &[("千代田区", "100-0001"), ("大阪市北区", "530-0001")],
        streets: &["丸の内", "梅田"],
        phone: "+81 90 5550 ",
    },
    Locale {
        country: "CN",
        first: &["伟", "芳", "秀英", "敏"],
        last: &["王", "李", "张", "欧阳"],
        cities: &[("北京市", "100000"), ("上海市", "200000")],
        streets: &["长安街", "南京东路"],
        phone: "+86 155 5550 ",
    },
    Locale {
        country: "KR",
        first: &["민준", "서연", "지우"],
        last: &["김", "이", "박"],
        cities: &[("서울특별시", "04524")],
        streets: &["세종대로"],
        phone: "+82 10 5550 ",
    },
    Locale {
        country: "VN",
        first: &["Thị Hồng", "Văn Đức", "Ngọc Ánh", "Minh Quân"],
        last: &["Nguyễn", "Trần", "Phạm", "Đặng"],
        cities: &[("Hồ Chí Minh", "700000"), ("Hà Nội", "100000")],
        streets: &["Đường Lê Lợi", "Phố Huế"],
        phone: "+84 90 555 0",
    },
];

/// Adjective, noun and what the noun is for in German and Hungarian shops.
pub(super) const ADJECTIVES: &[&str] =
    &["Silent", "Amber", "Everyday", "Kézműves", "Große", "Featherlight", "Őszi", "Midnight", "Sűrű", "Nordic"];
pub(super) const NOUNS: &[&str] = &[
    "Lamp",
    "Teacup",
    "Hoodie",
    "Bearing",
    "Csapágy",
    "Türklinke",
    "Notebook",
    "Fűszertartó",
    "Backpack",
    "Raincoat",
    "Kerékpár",
    "Blanket",
];
pub(super) const VENDORS: &[&str] = &["Kavebolt Műhely", "Nordlicht GmbH", "", "Acme & Sons", "ハンドメイド工房"];
pub(super) const CATEGORIES: &[(&str, &str)] = &[
    ("Clothing", "clothing"),
    ("Home & Kitchen", "home-kitchen"),
    ("Csapágyak", "csapagyak"),
    ("Kávé és tea", "kave-es-tea"),
    ("Büro & Papier", "buero-papier"),
    ("Outlet \"last pieces\"", "outlet-last-pieces"),
];
pub(super) const TAGS: &[(&str, &str)] = &[("new", "new"), ("gift", "gift"), ("akció", "akcio"), ("B&B", "b-b")];
pub(super) const OPTIONS: &[(&str, &[&str])] = &[
    ("Color", &["Black", "Forest Green", "Fehér", "Weiß"]),
    ("Size", &["S", "M", "L", "XL"]),
    ("Kiszerelés", &["250 g", "500 g", "1 kg"]),
];
