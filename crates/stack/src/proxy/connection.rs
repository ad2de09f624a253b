//! One connection: two sockets, and in each direction a reader and a writer with a bounded queue between them, which is what
//! is under way.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::wire::Exchange;
use super::{Line, Shared};

const CHUNK: usize = 16 * 1024;
const QUEUE: usize = 64;
/// A throttled direction sends this often.
const PER_SECOND: u32 = 20;

/// What is under way.
enum Item {
    Bytes {
        read_at: Instant,
        bytes: Vec<u8>,
    },
    /// Here the connection is to break.
    Cut,
}

/// Carries a connection that was accepted after so many cuts, until it ends or is cut.
pub(super) async fn carry(mut client: TcpStream, shared: Arc<Shared>, cuts: u64) {
    let mut line = shared.line.subscribe();
    let mut server = None;
    let in_order = tokio::select! {
        _ = line.wait_for(|line| line.cuts != cuts) => false,
        ended = pass_on(&mut client, &mut server, &shared) => ended.is_ok(),
    };
    if !in_order {
        for stream in [Some(client), server].into_iter().flatten() {
            // Closing it sends RST then. It can only fail on a socket that is gone.
            stream.set_zero_linger().ok();
        }
    }
}

/// An error of one side, or a cut, is an error.
async fn pass_on(client: &mut TcpStream, server: &mut Option<TcpStream>, shared: &Shared) -> io::Result<()> {
    let mut line = shared.line.subscribe();
    until_it_flows(&mut line).await?;
    let server = server.insert(TcpStream::connect(&shared.target).await?);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let exchange = Mutex::new(Exchange::new(shared.wire));
    let exchange = || exchange.lock().unwrap_or_else(PoisonError::into_inner);
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let request = |bytes: &[u8]| {
        exchange().request(bytes, &shared.cuts);
        None
    };
    let answer = |bytes: &[u8]| exchange().answer(bytes, &shared.cuts);
    let asking = pump(from_client, to_server, line.clone(), |line| line.to_target, request);
    let answering = pump(from_server, to_client, line, |line| line.from_target, answer);
    tokio::try_join!(asking, answering).map(drop)
}

/// One direction. `look` sees all that is read, and may say at which byte the connection is to be cut.
async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    line: watch::Receiver<Line>,
    delay: fn(&Line) -> Duration,
    look: impl FnMut(&[u8]) -> Option<usize>,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let reading = read(from, line.clone(), sender, look);
    let writing = write(to, line, delay, receiver);
    tokio::try_join!(reading, writing).map(drop)
}

/// Reads nothing while the line is stalled, and tells nobody then what became of this side.
async fn read(
    mut from: ReadHalf<'_>,
    mut line: watch::Receiver<Line>,
    queue: mpsc::Sender<Item>,
    mut look: impl FnMut(&[u8]) -> Option<usize>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        until_it_flows(&mut line).await?;
        let read = from.read(&mut buffer).await;
        until_it_flows(&mut line).await?;
        let bytes = &buffer[..read?];
        if bytes.is_empty() {
            return Ok(());
        }
        let cut = look(bytes);
        let bytes = bytes[..cut.unwrap_or(bytes.len())].to_owned();
        send(&queue, Item::Bytes { read_at: Instant::now(), bytes }).await?;
        if cut.is_some() {
            return send(&queue, Item::Cut).await;
        }
    }
}

async fn send(queue: &mpsc::Sender<Item>, item: Item) -> io::Result<()> {
    queue.send(item).await.map_err(io::Error::other)
}

async fn write(
    mut to: WriteHalf<'_>,
    mut line: watch::Receiver<Line>,
    delay: fn(&Line) -> Duration,
    mut queue: mpsc::Receiver<Item>,
) -> io::Result<()> {
    while let Some(item) = queue.recv().await {
        let Item::Bytes { read_at, bytes } = item else { return Err(io::ErrorKind::ConnectionReset.into()) };
        until(&mut line, |line| read_at + delay(line)).await?;
        write_all(&to, &mut line, &bytes).await?;
    }
    until_it_flows(&mut line).await?;
    to.shutdown().await
}

/// Piece by piece, because the line may be stalled while this side takes nothing.
async fn write_all(to: &WriteHalf<'_>, line: &mut watch::Receiver<Line>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        until_it_flows(line).await?;
        to.writable().await?;
        let Line { stalled, bytes_per_second, .. } = *line.borrow_and_update();
        if stalled {
            continue;
        }
        let most = bytes_per_second.map_or(u32::MAX, |rate| (rate.get() / PER_SECOND).max(1));
        let piece = &bytes[..bytes.len().min(most as usize)];
        let began = Instant::now();
        match to.try_write(piece) {
            Ok(written) => {
                bytes = &bytes[written..];
                let share = |rate: f64| Duration::from_secs_f64(written as f64 / rate);
                let takes = |line: &Line| line.bytes_per_second.map(|rate| share(rate.get().into()));
                until(line, |line| began + takes(line).unwrap_or_default()).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sleeps until a moment that depends on the line, which may change meanwhile.
async fn until(line: &mut watch::Receiver<Line>, moment: impl Fn(&Line) -> Instant) -> io::Result<()> {
    loop {
        let due = moment(&line.borrow_and_update());
        if due <= Instant::now() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep_until(due) => return Ok(()),
            changed = line.changed() => changed.map_err(io::Error::other)?,
        }
    }
}

async fn until_it_flows(line: &mut watch::Receiver<Line>) -> io::Result<()> {
    line.wait_for(|line| !line.stalled).await.map(drop).map_err(io::Error::other)
}
