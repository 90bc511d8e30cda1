//! The shop: WooCommerce's list of orders, always the same 25, about 20 KB, from a thread of its own that does nothing
//! else. It speaks plain HTTP/1.1 and counts what it is asked.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The thread's name, for [`crate::cpu`].
pub(crate) const THREAD: &str = "shop";
/// Orders of the answer.
pub(crate) const ORDERS: usize = 25;

/// A running shop; it ends with the process.
pub(crate) struct Shop {
    pub(crate) address: SocketAddr,
    pub(crate) body_bytes: usize,
    asked: Arc<AtomicU64>,
}

impl Shop {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let body = as_wordpress_writes(&serde_json::to_string(&orders())?);
        let body_bytes = body.len();
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nServer: shop\r\nContent-Type: application/json; charset=UTF-8\r\nX-WP-Total: 2500000\r\n\
             X-WP-TotalPages: 100000000\r\nContent-Length: {body_bytes}\r\n\r\n"
        )
        .into_bytes();
        answer.extend(body);
        let answer = Bytes::from(answer);
        let asked = Arc::new(AtomicU64::new(0));
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let counter = Arc::clone(&asked);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    let (answer, counter) = (answer.clone(), Arc::clone(&counter));
                    // A connection that breaks is the caller's to notice.
                    tokio::spawn(async move { serve(stream, answer, &counter).await.ok() });
                }
                #[expect(unreachable_code, reason = "names the type of the loop's errors")]
                std::io::Result::Ok(())
            })
        })?;
        Ok(Self { address, body_bytes, asked })
    }

    /// How many requests came so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, answer: Bytes, asked: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = vec![0; 8 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut request[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        // Requests here have no body and come one at a time, so that one ends where the bytes end.
        if request[..filled].ends_with(b"\r\n\r\n") {
            asked.fetch_add(1, Ordering::Relaxed);
            filled = 0;
            stream.write_all(&answer).await?;
        }
    }
}

/// PHP's `json_encode` escapes everything beyond ASCII, and slashes.
fn as_wordpress_writes(json: &str) -> Vec<u8> {
    let mut out = String::with_capacity(json.len() + 1024);
    for character in json.chars() {
        match character {
            '/' => out.push_str("\\/"),
            character if character.is_ascii() => out.push(character),
            character => {
                let mut units = [0; 2];
                out.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    out.into_bytes()
}

/// As WooCommerce documents orders, with the fields that a live read asks for with `_fields`.
fn orders() -> Value {
    (0..ORDERS).map(order).collect()
}

fn order(index: usize) -> Value {
    let id = 48_211 - index;
    let price = 1_990 + 15 * index;
    let cents = |cents: usize| format!("{}.{:02}", cents / 100, cents % 100);
    json!({
        "id": id,
        "number": id.to_string(),
        "status": if index.is_multiple_of(3) { "processing" } else { "completed" },
        "date_paid": "2026-11-18T12:04:11",
        "date_paid_gmt": "2026-11-18T11:04:11",
        "total": cents(price + price / 5),
        "refunds": [],
        "customer_id": 300 + index,
        "billing": person(index, true),
        "line_items": [{
            "id": 90_000 + index, "name": "Mug, 300 ml", "product_id": 1_200 + index, "variation_id": 0, "quantity": 1,
            "subtotal": cents(price), "total": cents(price), "total_tax": cents(price / 5), "sku": format!("MUG-{index:04}"),
        }],
        "discount_total": "0.00",
        "shipping_total": "0.00",
        "total_tax": cents(price / 5),
        "currency": "EUR",
        "shipping": person(index, false),
        "customer_note": "",
        "date_created": "2026-11-18T12:01:59",
        "date_created_gmt": "2026-11-18T11:01:59",
        "date_modified": "2026-11-19T08:30:00",
        "date_modified_gmt": "2026-11-19T07:30:00",
    })
}

/// Most buyers have their order sent to where they are billed; the shop then leaves the other block empty.
fn person(index: usize, is_billing: bool) -> Value {
    let is_empty = !is_billing && !index.is_multiple_of(3);
    let some = |text: &str| if is_empty { String::new() } else { text.to_owned() };
    let mut person = json!({
        "first_name": some("Anna"), "last_name": some(&format!("Muster{index}")), "company": "",
        "address_1": some(&format!("Weg {index}")), "address_2": "", "city": some("Köln"), "state": some("NW"),
        "postcode": some("50667"), "country": some("DE"),
    });
    if is_billing {
        person["email"] = format!("a{index}@shop.example").into();
        person["phone"] = "".into();
    }
    person
}
