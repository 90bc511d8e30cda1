//! The load: a closed loop of plain HTTP/1.1 connections on a thread of its own, written by hand so that it takes little
//! of the processor that it shares with what it measures.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The thread's name, for [`crate::cpu`].
pub(crate) const THREAD: &str = "load";

/// The bytes of the n-th request, headers and all.
pub(crate) type Requests = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// What a stretch of load came to.
pub(crate) struct Load {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) answers: u64,
}

/// Keeps `connections` busy for a while, each with its next request as soon as it has its answer. Numbers of requests go
/// on from `sent`, so that no two are the same.
///
/// # Errors
/// When any answer is not a 200 with a known length: a figure of failures is none.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    duration: Duration,
    requests: &Requests,
    sent: &Arc<AtomicU64>,
) -> anyhow::Result<Load> {
    let (requests, sent) = (Arc::clone(requests), Arc::clone(sent));
    std::thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(all(address, connections, duration, requests, sent))
        })?
        .join()
        .map_err(|_| anyhow::anyhow!("the load panicked"))?
}

async fn all(
    address: SocketAddr,
    connections: usize,
    duration: Duration,
    requests: Requests,
    sent: Arc<AtomicU64>,
) -> anyhow::Result<Load> {
    let started = Instant::now();
    let until = started + duration;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (requests, sent) = (Arc::clone(&requests), Arc::clone(&sent));
        tasks.spawn(async move { one(address, until, &requests, &sent).await });
    }
    let mut latencies: Vec<Duration> = vec![];
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    let p50 = *latencies.get(latencies.len() / 2).context("no answer came in time: measure longer with --seconds")?;
    let answers = latencies.len() as u64;
    Ok(Load { per_second: answers as f64 / elapsed.as_secs_f64(), p50, answers })
}

async fn one(
    address: SocketAddr,
    until: Instant,
    requests: &Requests,
    sent: &AtomicU64,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut latencies = vec![];
    let mut buffer = vec![0; 256 * 1024];
    while Instant::now() < until {
        let request = requests(sent.fetch_add(1, Ordering::Relaxed));
        let asked = Instant::now();
        stream.write_all(&request).await?;
        answer(&mut stream, &mut buffer).await?;
        latencies.push(asked.elapsed());
    }
    Ok(latencies)
}

/// Reads one answer to its end. Where its body stands in `buffer`.
pub(crate) async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<std::ops::Range<usize>> {
    let mut filled = 0;
    let mut whole = None;
    loop {
        if filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        match stream.read(&mut buffer[filled..]).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => filled += read,
        }
        if whole.is_none() {
            whole = body_of(&buffer[..filled])?;
        }
        match &whole {
            Some(body) if filled == body.end => return Ok(body.clone()),
            Some(body) if filled > body.end => bail!("more came than the answer's length"),
            _ => {}
        }
    }
}

/// Where the body stands, once the headers are whole.
fn body_of(bytes: &[u8]) -> anyhow::Result<Option<std::ops::Range<usize>>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let (status, fields) = head.split_once("\r\n").context("an answer without headers")?;
    if status.split(' ').nth(1) != Some("200") {
        bail!("the answer was {status}: {}", String::from_utf8_lossy(&bytes[end + 4..]));
    }
    let length = fields
        .split("\r\n")
        .filter_map(|field| field.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .context("an answer without Content-Length")?;
    Ok(Some(end + 4..end + 4 + length))
}
