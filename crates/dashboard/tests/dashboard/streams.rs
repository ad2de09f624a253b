use anyhow::{Context as _, Result, bail, ensure};
use blackfriday_event::Category;
use blackfriday_stack::eventually;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{Dashboard, LIMIT, ensure_unavailable};

/// The events of a stream, as (name, data).
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn open(dashboard: &Dashboard, query: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(dashboard.address).await?;
        let request = format!("GET /events{query} HTTP/1.1\r\nhost: dashboard\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut lines = BufReader::new(stream).lines();
        let status = timeout(LIMIT, lines.next_line()).await.context("an answer")??;
        ensure!(status.as_deref() == Some("HTTP/1.1 200 OK"), "{status:?}");
        let head = async {
            let mut head = Vec::new();
            while let Some(line) = lines.next_line().await? {
                if line.is_empty() {
                    break;
                }
                head.push(line);
            }
            Ok::<_, std::io::Error>(head)
        };
        let head = timeout(LIMIT, head).await.context("a head")??;
        for field in ["x-accel-buffering: no", "cache-control: no-store"] {
            ensure!(head.iter().any(|line| line == field), "{field} in {head:?}");
        }
        Ok(Self(lines))
    }

    /// `None` at the stream's end.
    async fn next(&mut self) -> Result<Option<(String, Value)>> {
        let mut name = String::new();
        let next = async {
            while let Some(line) = self.0.next_line().await? {
                if let Some(found) = line.strip_prefix("event: ") {
                    found.clone_into(&mut name);
                } else if let Some(data) = line.strip_prefix("data: ") {
                    return Ok(Some((name, serde_json::from_str(data)?)));
                }
            }
            Ok(None)
        };
        timeout(LIMIT, next).await.context("an event, if only a heartbeat")?
    }

    /// The data of the next event that is no heartbeat.
    async fn news(&mut self, expected: &str) -> Result<Value> {
        loop {
            match self.next().await? {
                Some((name, _)) if name == "latido" => {}
                Some((name, data)) if name == expected => return Ok(data),
                other => bail!("{other:?} instead of {expected}"),
            }
        }
    }
}

#[tokio::test]
async fn a_stream_tells_changes_only_and_a_pulse() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let mut events = Events::open(&dashboard, "").await?;
    ensure!(events.next().await?.is_some_and(|(name, data)| name == "latido" && data["ahora_ms"].is_u64()));
    ensure!(events.news("resumen").await?["ventas"].is_null(), "the empty store is shown at once");
    for _ in 0..2 {
        let (name, _) = events.next().await?.context("goes on")?;
        ensure!(name == "latido", "{name}, though nothing changed");
    }
    dashboard.count(&[(Category::Ropa, "R-1", 100, 1)]).await?;
    let all = events.news("resumen").await?;
    ensure!(all["ventas"] == 1 && all["categorias"][Category::Ropa.index()]["precios"].is_null(), "{all}");

    let mut ropa = Events::open(&dashboard, "?categoria=ropa").await?;
    let all = ropa.news("resumen").await?;
    ensure!(all["categorias"][Category::Ropa.index()]["precios"][0]["precio_promedio"] == "1.00", "{all}");
    ensure!(all["categorias"][Category::Hogar.index()]["precios"].is_null(), "{all}");
    ensure!(
        all["categorias"][Category::Ropa.index()]["historial"].is_null(),
        "it is in the API alone: {all}"
    );
    Ok(())
}

#[tokio::test]
async fn a_stream_tells_trouble_and_its_end() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&[(Category::Ropa, "R-1", 100, 1)]).await?;
    let mut events = Events::open(&dashboard, "").await?;
    events.news("resumen").await?;
    dashboard.valkey.stop().await?;
    ensure!(events.news("estado").await?["motivo"] == "ausente");
    dashboard.valkey.restart().await?;
    ensure!(events.news("resumen").await?["ventas"] == 1);
    dashboard.valkey.pause()?;
    ensure!(events.news("estado").await?["motivo"] == "ausente", "one that hangs is away, too");
    dashboard.valkey.resume()?;
    ensure!(events.news("resumen").await?["ventas"] == 1);
    dashboard.valkey.command(&["SET", "reportes:total", "x"]).await?;
    ensure!(events.news("estado").await?["motivo"] == "ilegible");

    dashboard.context.shutdown.begin();
    while events.next().await?.is_some() {}
    timeout(LIMIT, dashboard.running).await.context("the service ends")??;
    Ok(())
}

#[tokio::test]
async fn streams_are_bounded_and_a_place_is_given_back() -> Result<()> {
    let dashboard = Dashboard::start_with(&["--max-streams", "1"]).await?;
    let mut only = Events::open(&dashboard, "").await?;
    only.news("resumen").await?;
    ensure_unavailable(&dashboard.ask("/events").await?)?;
    drop(only);
    let free = async || Events::open(&dashboard, "").await.is_ok();
    eventually(LIMIT, free).await.context("the place is free again")?;
    Ok(())
}

#[tokio::test]
async fn one_client_does_not_take_all_streams() -> Result<()> {
    let dashboard = Dashboard::start_with(&["--max-streams", "3", "--max-streams-per-address", "2"]).await?;
    let mine = [Events::open(&dashboard, "").await?, Events::open(&dashboard, "").await?];
    let more = dashboard.ask("/events").await?;
    ensure!(more.status() == 429 && more.headers().contains_key("retry-after"), "{more:?}");
    // The whole of 127.0.0.0/8 is this machine.
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse()?)?;
    let mut other = socket.connect(dashboard.address).await?;
    other.write_all(b"GET /events HTTP/1.1\r\nhost: dashboard\r\n\r\n").await?;
    let status = timeout(LIMIT, BufReader::new(other).lines().next_line()).await??;
    ensure!(status.as_deref() == Some("HTTP/1.1 200 OK"), "another client has its share: {status:?}");
    drop(mine);
    eventually(LIMIT, async || Events::open(&dashboard, "").await.is_ok()).await.context("given back")?;
    Ok(())
}

#[tokio::test]
async fn a_reader_that_does_not_read_loses_its_place() -> Result<()> {
    let arguments = [
        "--max-streams",
        "1",
        "--poll-interval-ms",
        "20",
        "--top",
        "1000",
        "--http-write-timeout-ms",
        "2000",
    ];
    let mut dashboard = Dashboard::start_with(&arguments).await?;
    // A connection made before the service runs would not be under its limits.
    dashboard.ask("/").await?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut idle = socket.connect(dashboard.address).await?;
    idle.write_all(b"GET /events?categoria=Ropa HTTP/1.1\r\nhost: dashboard\r\n\r\n").await?;
    let taken = async || dashboard.ask("/events").await.is_ok_and(|answer| answer.status() == 503);
    eventually(LIMIT, taken).await.context("the idle reader has the place")?;

    let products: Vec<_> = (0..1000).map(|n| format!("{n:0>100}")).collect();
    let sales: Vec<_> = products.iter().map(|id| (Category::Ropa, id.as_str(), 100, 1)).collect();
    let lost = async {
        // Changes until what the kernel takes for the reader is full, and its time is over.
        while Events::open(&dashboard, "").await.is_err() {
            dashboard.count(&sales).await?;
        }
        anyhow::Ok(())
    };
    timeout(2 * LIMIT, lost).await.context("the place is free again")??;
    Ok(())
}
