//! Making products.

use super::generate::{SPAN, moment};
use super::names::{ADJECTIVES, CATEGORIES, NOUNS, OPTIONS, TAGS, VENDORS};
use super::{Image, Product, ProductKind, ProductOption, ProductStatus, Term, Variant, World, epoch_end};
use chrono::TimeDelta;

impl World {
    pub(super) fn add_products(&mut self, count: usize) {
        let categories = self.terms(CATEGORIES);
        let tags = self.terms(TAGS);
        let attributes: Vec<u64> = OPTIONS.iter().map(|_| self.new_id()).collect();
        for index in 0..count {
            let product = self.product(index, count, &categories, &tags, &attributes);
            self.products.push(product);
        }
    }

    fn terms(&mut self, terms: &[(&str, &str)]) -> Vec<Term> {
        let term = |(name, slug): &(&str, &str)| Term {
            id: self.new_id(),
            name: (*name).to_owned(),
            slug: (*slug).to_owned(),
        };
        terms.iter().map(term).collect()
    }

    fn product(
        &mut self,
        index: usize,
        count: usize,
        categories: &[Term],
        tags: &[Term],
        attributes: &[u64],
    ) -> Product {
        let id = self.new_id();
        let created_at = moment(self.rng(), index, count, SPAN);
        let rng = self.rng();
        let noun = *rng.pick(NOUNS);
        let plain = format!("{} {noun} {}", rng.pick(ADJECTIVES), index + 1);
        let title = match index % 17 {
            5 => format!("{plain} &ndash; <em>limited</em>"),
            11 => format!("{plain} \u{201e}K\u{e1}v\u{e9} & Tea\u{201d} 1/2\""),
            _ => plain.clone(),
        };
        let variable = matches!(index % 5, 1 | 3);
        let options = if variable { pick_options(rng, index, attributes) } else { vec![] };
        let base = rng.between(199, 24_999);
        let modified_at = (created_at + TimeDelta::seconds(rng.below(300 * 86_400) as i64)).min(epoch_end());
        let sku = rng
            .chance(75)
            .then(|| format!("{}-{:04}", &noun.to_uppercase().chars().take(3).collect::<String>(), index + 1));
        let description = if rng.chance(85) {
            format!(
                "<p>{title}. Hand-made in small batches &mdash; <strong>nem</strong> nagyipari.</p>\n<ul>\n<li>1</li>\n<li>2</li>\n</ul>\n"
            )
        } else {
            String::new()
        };
        let mut product = Product {
            id,
            kind: if variable { ProductKind::Variable } else { ProductKind::Simple },
            slug: format!("{}-{}", super::generate::ascii(noun), index + 1),
            short_description: if rng.chance(50) { format!("<p>{title}</p>\n") } else { String::new() },
            description,
            title,
            status: ProductStatus::Published,
            featured: rng.chance(8),
            is_virtual: index % 23 == 7,
            vendor: (*rng.pick(VENDORS)).to_owned(),
            sku,
            categories: vec![rng.pick(categories).clone()],
            tags: if rng.chance(30) { vec![rng.pick(tags).clone()] } else { vec![] },
            options,
            variants: vec![],
            images: vec![],
            created_at,
            modified_at,
        };
        for number in 0..self.rng().below(4) {
            let id = self.new_id();
            let file = format!("{}-{number}.jpg", product.slug);
            let alt = if number == 0 { String::new() } else { plain.clone() };
            product.images.push(Image { id, file, alt, created_at });
        }
        self.add_variants(&mut product, base);
        self.make_peculiar_product(&mut product, index);
        product
    }

    fn add_variants(&mut self, product: &mut Product, base_cents: u64) {
        let mut combinations: Vec<Vec<String>> = vec![vec![]];
        for option in &product.options {
            let longer = |start: &Vec<String>| {
                option
                    .values
                    .iter()
                    .map(|value| [start.as_slice(), std::slice::from_ref(value)].concat())
                    .collect::<Vec<_>>()
            };
            combinations = combinations.iter().flat_map(longer).collect();
        }
        let currency = self.market.currency;
        for (number, option_values) in combinations.into_iter().enumerate() {
            let id = self.new_id();
            let rng = &mut self.rng;
            let regular = currency.from_euro_cents(base_cents + 50 * number as u64);
            let own_sku = product.sku.as_ref().filter(|_| rng.chance(70)).map(|sku| match option_values.is_empty() {
                true => sku.clone(),
                false => format!("{sku}-{}", number + 1),
            });
            product.variants.push(Variant {
                id,
                sku: own_sku,
                barcode: rng.chance(20).then(|| format!("599{:010}", rng.below(10_000_000_000))),
                regular_price: Some(regular),
                sale_price: rng.chance(15).then(|| currency.from_euro_cents(base_cents * 8 / 10)),
                stock: rng.chance(65).then(|| rng.below(120) as i64),
                backorders: rng.chance(10),
                option_values,
                weight_grams: rng.chance(60).then(|| rng.between(20, 9000) as u32),
                image: (!product.images.is_empty()).then_some(number % product.images.len().max(1)),
                created_at: product.created_at,
                modified_at: (product.modified_at + TimeDelta::seconds(rng.below(86_400) as i64)).min(epoch_end()),
            });
        }
        if product.options.is_empty()
            && let Some(only) = product.variants.first_mut()
        {
            only.sku.clone_from(&product.sku);
        }
    }

    /// Every world has each of these, from 40 products on.
    fn make_peculiar_product(&mut self, product: &mut Product, index: usize) {
        match index % 24 {
            2 => product
                .variants
                .iter_mut()
                .for_each(|variant| (variant.regular_price, variant.sale_price) = (None, None)),
            4 => product.status = ProductStatus::Draft,
            6 if product.options.is_empty() => {
                product.kind = ProductKind::External("https://maker.example/buy?id=1&ref=shop".to_owned());
            }
            8 => {
                // An oversold one.
                product.variants.iter_mut().for_each(|variant| (variant.stock, variant.backorders) = (Some(-3), true));
            }
            9 => product.status = ProductStatus::Private,
            10 if product.options.is_empty() => {
                product.kind = ProductKind::Grouped(self.products.iter().take(2).map(|product| product.id).collect());
                product
                    .variants
                    .iter_mut()
                    .for_each(|variant| (variant.regular_price, variant.sale_price) = (None, None));
            }
            12 => product.status = ProductStatus::Trashed,
            13 if !product.options.is_empty() => {
                // The parent has an SKU, none of its variants does.
                product.sku = Some(format!("PARENT-{}", index + 1));
                product.variants.iter_mut().for_each(|variant| variant.sku = None);
            }
            14 => {
                product.description =
                    format!("<p>{}</p>\n", "Nagyon hosszú leírás ékezetekkel: őűáéíóöüú. ".repeat(400))
            }
            15 => product.variants.iter_mut().for_each(|variant| variant.stock = Some(0)),
            18 => product.status = ProductStatus::Pending,
            20 => product.images.clear(),
            _ => {}
        }
        if product.images.is_empty() {
            product.variants.iter_mut().for_each(|variant| variant.image = None);
        }
    }
}

fn pick_options(rng: &mut super::Rng, index: usize, attributes: &[u64]) -> Vec<ProductOption> {
    let first = index % OPTIONS.len();
    let wanted = if index % 10 == 3 { vec![first, (first + 1) % OPTIONS.len()] } else { vec![first] };
    let option = |&at: &usize| {
        let (name, values) = OPTIONS[at];
        let count = rng.between(2, values.len() as u64) as usize;
        ProductOption {
            // Every third kind of option is the product's own, not the shop's.
            attribute_id: (at != 2).then(|| attributes[at]),
            name: name.to_owned(),
            values: values[..count].iter().map(|value| (*value).to_owned()).collect(),
        }
    };
    wanted.iter().map(option).collect()
}
