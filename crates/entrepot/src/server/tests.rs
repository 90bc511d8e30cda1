use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// Sends requests for more than the sockets between hold, and takes what comes at this pace. How much came.
async fn taken(pause: Duration) -> usize {
    const ANSWER: usize = 32 * 1024 * 1024;
    let endpoint = Endpoint {
        inner: axum::Router::new().route("/", get(|| async { vec![b'a'; ANSWER] })),
        paths: Arc::new(Paths { with_slash: vec![] }),
        end_streams: Arc::new(|| ()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(serve_within(Duration::from_millis(400), listener, endpoint, stopped));
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
