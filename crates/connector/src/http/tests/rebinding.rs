use std::{
    io,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture, stream};
use reqwest::dns::Resolve;
use tokio::net::{TcpListener, TcpStream};

use super::super::{Guarded, Hosts, Http, HttpOptions, Lookup, Refusal, Request, System};
use super::{Told, client_told, url};
use crate::ProviderError;

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Public in form, given to nobody by IANA: packets to it arrive nowhere, so that tests bother no one.
const PUBLIC: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2d00, 0, 0, 0, 0, 0, 0, 1));

/// Counts who comes in.
async fn trap() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    tokio::spawn(async move {
        while let Ok((_stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, visits)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_turns_to_loopback_after_the_check_never_leads_there() {
    let (port, visits) = trap().await;
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lookups);
    let http = client_told(vec![port], move |_| {
        let is_first = counted.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        Ok(vec![if is_first { PUBLIC } else { LOOPBACK }])
    });
    let target = url(&format!("http://rebind.example.com:{port}/"));
    let mut sent = stream::iter(0..10_000)
        .map(|_| http.send_within(Request::get(target.clone()), Duration::from_millis(50)))
        .buffer_unordered(256);
    let mut refused = 0;
    while let Some(outcome) = sent.next().await {
        refused += usize::from(matches!(outcome.unwrap_err(), ProviderError::Rejected { .. }));
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    // Were there a second lookup for a connection, its answer could be the other one.
    let lookups = lookups.load(Ordering::SeqCst);
    assert!((5_000..=10_000).contains(&lookups), "{lookups}");
    assert!(refused > 1_000, "{refused}");

    // The trap does close.
    TcpStream::connect((LOOPBACK, port)).await.unwrap();
    while visits.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn one_internal_address_among_public_ones_refuses_the_name() {
    let (port, visits) = trap().await;
    for internal in
        ["127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1", "64:ff9b::7f00:1"]
    {
        let internal: IpAddr = internal.parse().unwrap();
        for answer in [vec![internal], vec![internal, PUBLIC], vec![PUBLIC, internal], vec![PUBLIC, PUBLIC, internal]] {
            let http = client_told(vec![port], move |_| Ok(answer.clone()));
            let error = http.send(Request::get(url(&format!("http://mixed.example.com:{port}/")))).await.unwrap_err();
            assert_eq!(error.to_string(), "the shop rejects the request (the address leads into an internal network)");
        }
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_connection_is_told_the_vetted_addresses_and_no_port() {
    let resolver = Guarded { lookup: Arc::new(Told(|_: &str| Ok(vec![PUBLIC]))), reaches_inside: false };
    let addresses: Vec<_> = resolver.resolve("shop.example.com".parse().unwrap()).await.ok().unwrap().collect();
    assert_eq!(addresses, [(PUBLIC, 0).into()]);
}

/// `localhost` is in every machine's table of hosts, so this needs no network.
#[tokio::test]
async fn the_systems_resolver_is_asked_and_believed_only_when_public() {
    let found = System::new(1).lookup("localhost".to_owned()).await.unwrap();
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    let resolver = Guarded { lookup: Arc::new(System::new(1)), reaches_inside: false };
    let refused = resolver.resolve("localhost".parse().unwrap()).await.err().unwrap();
    assert_eq!(refused.downcast_ref(), Some(&Refusal::Internal));
}

#[tokio::test]
async fn no_more_lookups_run_than_are_allowed() {
    let (busy, free) = (System::new(0), System::new(1));
    let lookup = |system: &System| tokio::time::timeout(Duration::from_secs(2), system.lookup("localhost".to_owned()));
    assert!(lookup(&busy).await.is_err());
    // The place is free again after each.
    for _ in 0..3 {
        lookup(&free).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_name_server_that_never_answers_costs_the_time_for_connecting() {
    struct Silent;
    impl Lookup for Silent {
        fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let connect_timeout = Duration::from_millis(100);
    let options = HttpOptions { connect_timeout, ..HttpOptions::default() };
    let http = Http::with_lookup(Hosts::production(), options, Arc::new(Silent)).unwrap();
    let error = http.send(Request::get(url("https://shop.example.com/"))).await.unwrap_err();
    assert!(matches!(error, ProviderError::TimedOut { after } if after == connect_timeout), "{error:?}");
}

#[tokio::test]
async fn a_name_that_is_not_found_says_so() {
    for answer in [Err(io::ErrorKind::NotFound), Ok(vec![])] {
        let http = client_told(vec![80, 443], move |_| Ok(answer.clone()?));
        for scheme in ["http", "https"] {
            let error = http.send(Request::get(url(&format!("{scheme}://nowhere.example.com/")))).await.unwrap_err();
            assert_eq!(error.to_string(), "the shop is not available (its host name was not found)");
        }
    }
}

#[tokio::test]
async fn what_the_operator_configured_may_be_inside_and_everything_else_may_not() {
    let (port, visits) = trap().await;
    let lookup = || Arc::new(Told(|_: &str| Ok(vec![LOOPBACK])));
    for place in [format!("http://127.0.0.1:{port}/"), format!("http://issuer.internal:{port}/")] {
        for reaches_inside in [false, true] {
            let options = HttpOptions { reaches_inside, ..HttpOptions::default() };
            let http = Http::with_lookup(Hosts::production(), options, lookup()).unwrap();
            let before = visits.load(Ordering::SeqCst);
            let sent = http.send_within(Request::get(url(&place)), Duration::from_millis(500)).await;
            assert_eq!(matches!(sent, Err(ProviderError::Rejected { .. })), !reaches_inside, "{place} {sent:?}");
            assert_eq!(visits.load(Ordering::SeqCst) > before, reaches_inside, "{place}");
        }
    }
}
