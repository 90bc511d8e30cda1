use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

pub(super) fn endpoint(router: axum::Router) -> Endpoint {
    Endpoint { inner: router, paths: Arc::new(Paths { with_slash: vec![] }), end_streams: Arc::new(|| ()) }
}

/// Sends requests for more than the sockets between hold, and takes what comes at this pace. How much came.
async fn taken(pause: Duration) -> usize {
    const ANSWER: usize = 32 * 1024 * 1024;
    let endpoint = endpoint(axum::Router::new().route("/", get(|| async { vec![b'a'; ANSWER] })));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(serve_within(Duration::from_millis(400), listener, None, endpoint, stopped));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 4 * 1024 * 1024];
    let mut taken = 0;
    loop {
        tokio::time::sleep(pause).await;
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(more) => taken += more,
        }
    }
    stop.send_replace(true);
    server.await.unwrap();
    taken / ANSWER
}

#[tokio::test]
async fn a_caller_who_takes_nothing_is_let_go_and_a_slow_one_is_served() {
    assert_eq!(taken(Duration::from_millis(20)).await, 1, "slow");
    assert_eq!(taken(Duration::from_millis(1_500)).await, 0, "stalled");
}

/// Says when it is let go of.
struct Held(Option<tokio::sync::oneshot::Sender<()>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.take().map(|gone| gone.send(()));
    }
}

#[tokio::test]
async fn a_stream_that_nobody_takes_is_let_go_of_and_nothing_is_piled_up_for_it() {
    const PIECE: usize = 16 * 1024;
    let (gone, let_go) = tokio::sync::oneshot::channel();
    let (held, made) = (Arc::new(std::sync::Mutex::new(Some(Held(Some(gone))))), Arc::new(AtomicUsize::new(0)));
    let counted = made.clone();
    let endless = move || async move {
        let held = held.lock().unwrap().take();
        Body::from_stream(stream::unfold((held, counted), |(held, counted)| async move {
            counted.fetch_add(1, Ordering::SeqCst);
            Some((Ok::<_, std::convert::Infallible>(vec![b'a'; PIECE]), (held, counted)))
        }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let endpoint = endpoint(axum::Router::new().route("/", get(endless)));
    let server = tokio::spawn(serve_within(Duration::from_millis(400), listener, None, endpoint, stopped));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), let_go).await.expect("it is let go of").unwrap();
    // What the sockets between hold is the kernel's, and bounded.
    let bytes = made.load(Ordering::SeqCst) * PIECE;
    assert!((1..64 * 1024 * 1024).contains(&bytes), "{bytes} bytes were made");
    stop.send_replace(true);
    server.await.unwrap();
}

#[tokio::test]
async fn a_caller_whose_network_is_gone_is_let_go_as_soon_as_one_who_takes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let_go_of_the_dead(&stream).unwrap();
    assert_eq!(socket2::SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(STALLED));
}
