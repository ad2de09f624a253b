//! What clients can make a gateway hold: bodies, answers, connections. Nothing is behind it: a valid request is answered
//! with 503.

use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use blackfriday_service::bind;
use blackfriday_stack::eventually;
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::client::{Http, sale, sales};
use crate::test_writer::LIMIT;
use crate::{Gateway, loopback};

const AWAY: &[&str] = &["--relay-url", "http://127.0.0.1:9"];
const READERS: usize = 80;
/// More than a gateway needs for so many requests, far less than ×217 of what they send.
const MAX_GROWTH_BYTES: u64 = 96 << 20;

/// A gateway of its own process.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts one with nothing behind it.
    async fn start(settings: &[&str]) -> Result<Self> {
        Self::before(&[AWAY, settings].concat()).await
    }

    /// Starts one before the relay that `settings` name.
    pub(crate) async fn before(settings: &[&str]) -> Result<Self> {
        let free = || -> Result<SocketAddr> { Ok(bind(loopback())?.local_addr()?) };
        let (address, admin) = (free()?, free()?.to_string());
        let child = Command::new(env!("CARGO_BIN_EXE_blackfriday-gateway"))
            .args(["--listen", &address.to_string(), "--admin-listen", &admin])
            .args(settings)
            .stderr(Stdio::null())
            .spawn()?;
        let process = Self { child, address };
        eventually(LIMIT, async || TcpStream::connect(address).await.is_ok()).await?;
        Ok(process)
    }

    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        Ok(statm.split(' ').nth(1).context("resident pages")?.parse::<u64>()? * 4096)
    }

    /// A line of proc_pid_status(5), by what it begins with.
    fn status(&self, begin: &str) -> Result<String> {
        self.told("status", begin)
    }

    fn told(&self, file: &str, begin: &str) -> Result<String> {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))?;
        let value =
            text.lines().find_map(|line| line.strip_prefix(begin)).with_context(|| begin.to_owned())?;
        Ok(value.trim().to_owned())
    }

    /// Sockets that it has open.
    fn sockets(&self) -> Result<usize> {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?;
        let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        Ok(links.filter(|link| link.to_string_lossy().starts_with("socket:")).count())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn unread(address: SocketAddr, body: &str) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(address).await?;
    let request = format!(
        "POST /ventas HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

#[tokio::test]
async fn an_idle_service_has_no_huge_pages() -> Result<()> {
    let gateway = Process::start(&[]).await?;
    let allowed = gateway.status("THP_enabled:")?;
    ensure!(allowed == "0", "THP_enabled: {allowed}");
    // Where everybody gets them unasked, some are there before the service can say that it wants none.
    let given = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    if !given.contains("[always]") {
        let huge = gateway.told("smaps_rollup", "AnonHugePages:")?;
        ensure!(huge == "0 kB", "{huge} of huge pages");
    }
    Ok(())
}

#[tokio::test]
async fn clients_that_read_nothing_leave_memory_flat_and_lose_their_connections() -> Result<()> {
    // Who finds no room gets a small answer, which the client's kernel takes: such a connection is idle, and ends as that.
    let limits = ["--http-write-timeout-ms", "5000", "--http-idle-timeout-ms", "5000"];
    let gateway = Process::start(&[&limits[..], &["--max-bodies-kib", "32768"]].concat()).await?;
    let http = Http::to(gateway.address);
    assert_eq!(http.post("/ventas", sales(1000)).await?.status, 503);
    let (before, sockets) = (gateway.resident_bytes()?, gateway.sockets()?);
    let wrong = format!("[{}{{}}]", "{},".repeat(9_998));
    // With a valid item each has a result, without one only the first have.
    let mixed = format!("[{},{}{{}}]", sale("valid"), "{},".repeat(9_998));
    for body in [wrong, mixed] {
        let clients = try_join_all((0..READERS).map(|_| unread(gateway.address, &body))).await?;
        let all_open = async || gateway.sockets().is_ok_and(|open| open >= sockets + READERS - 1);
        eventually(LIMIT, all_open).await.context("they are connected")?;
        let answered = async || {
            let growth = gateway.resident_bytes().unwrap_or(u64::MAX).saturating_sub(before);
            assert!(growth < MAX_GROWTH_BYTES, "{} MiB more", growth >> 20);
            gateway.sockets().is_ok_and(|open| open <= sockets + 1)
        };
        eventually(2 * LIMIT, answered).await.context("their connections end")?;
        drop(clients);
    }
    assert_eq!(http.post("/ventas", sales(1000)).await?.status, 503);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_told_in_less_than_a_few_times_the_request() -> Result<()> {
    let gateway = Gateway::start(AWAY)?;
    let wrong = format!("[{}{{}}]", "{},".repeat(5_461));
    let answer = gateway.http.post("/ventas", wrong.clone()).await?;
    assert_eq!((answer.status.as_u16(), &answer.json["rechazadas"]), (422, &5_462.into()));
    let told = answer.json.to_string().len();
    assert!(told < 5 * wrong.len(), "{told} bytes for {}", wrong.len());
    let listed = answer.json["resultados"].as_array().context("results")?;
    assert!(listed.len() == 100 && listed[99]["errores"].as_array().is_some_and(|all| all.len() == 4));
    Ok(())
}

const STALLED: &str =
    "POST /ventas HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 8388608\r\n\r\n[";
const PATIENT: &[&str] = &["--http-request-timeout-ms", "60000", "--http-body-stall-timeout-ms", "60000"];

#[tokio::test]
async fn who_announces_much_and_sends_a_byte_keeps_nobody_out() -> Result<()> {
    let gateway = Gateway::start(&[AWAY, PATIENT, &["--max-bodies-kib", "1024"]].concat())?;
    let mut stalled = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(gateway.address).await?;
        stream.write_all(STALLED.as_bytes()).await?;
        stalled.push(stream);
    }
    let batch = gateway.http.post("/ventas", sales(1000)).await?;
    assert_eq!(batch.status, 503, "{batch:?}");
    let one = try_join_all((0..240).map(|_| chunked(gateway.address))).await?;
    for answer in one {
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    drop(stalled);
    Ok(())
}

/// One sale in two chunks; the answer.
async fn chunked(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let sale = sale("chunked");
    let (first, second) = sale.split_at(sale.len() / 2);
    let request = format!(
        "POST /venta HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n",
        first.len()
    );
    stream.write_all(request.as_bytes()).await?;
    tokio::task::yield_now().await;
    stream.write_all(format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len()).as_bytes()).await?;
    let mut answer = String::new();
    timeout(LIMIT, stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}

#[tokio::test]
async fn a_body_that_finds_no_room_is_refused_where_its_client_sees_it() -> Result<()> {
    let gateway = Gateway::start(&[AWAY, PATIENT, &["--max-bodies-kib", "256"]].concat())?;
    let mut holder = TcpStream::connect(gateway.address).await?;
    holder.write_all(STALLED.as_bytes()).await?;
    holder.write_all(&[b' '; 200 << 10]).await?;
    let refused = async || {
        let Ok(mut stream) = TcpStream::connect(gateway.address).await else { return false };
        // All of it is sent before the answer is read.
        let sent = async {
            stream.write_all(STALLED.as_bytes()).await?;
            stream.write_all(&vec![b' '; (8 << 20) - 1]).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.map(|_| answer)
        };
        let answer = timeout(LIMIT, sent).await.expect("in time").expect("an answer, not a reset");
        answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 1")
    };
    eventually(LIMIT, refused).await.context("429")?;
    assert_eq!(gateway.http.post("/venta", sale("small")).await?.status, 503, "small ones need no room");
    drop(holder);
    eventually(LIMIT, async || {
        gateway.http.post("/ventas", sales(1000)).await.is_ok_and(|answer| answer.status == 503)
    })
    .await
    .context("the room is given back")
}

#[tokio::test]
async fn a_body_that_stalls_is_late_long_before_the_request_is() -> Result<()> {
    let slow = ["--http-request-timeout-ms", "60000", "--http-body-stall-timeout-ms", "100"];
    let gateway = Gateway::start(&[AWAY, &slow].concat())?;
    let began = Instant::now();
    let mut stream = TcpStream::connect(gateway.address).await?;
    stream.write_all(STALLED.as_bytes()).await?;
    let mut answer = [0; 4096];
    let read = timeout(LIMIT, stream.read(&mut answer)).await??;
    let answer = String::from_utf8_lossy(&answer[..read]);
    ensure!(answer.starts_with("HTTP/1.1 408") && began.elapsed() < LIMIT, "{answer}");
    Ok(())
}
