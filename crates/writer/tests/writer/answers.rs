//! Answers that their peer does not take, and answers to wrong batches. There is no broker.

use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_proto::ErrorCode;
use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest};
use blackfriday_stack::eventually;
use h2::RecvStream;
use http::Request;
use prost::Message;
use prost::bytes::Bytes;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::refusals::without_a_broker;
use crate::{LIMIT, Writer, errors, sale, sales};

/// A client that answers pings and lets no byte of an answer through.
struct Stingy {
    client: h2::client::SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Stingy {
    async fn connect(writer: &Writer) -> Result<Self> {
        let stream = TcpStream::connect(writer.address).await?;
        let (client, connection) =
            h2::client::Builder::new().initial_window_size(0).handshake(stream).await?;
        Ok(Self { client, connection: tokio::spawn(connection) })
    }

    /// Sends a batch of sales that have two bytes each. Returns the answer that it does not take, or why the call was refused.
    async fn batch(&self, writer: &Writer, count: usize) -> Result<Result<RecvStream, Status>> {
        let request =
            Request::post(format!("http://{}/blackfriday.ProductSaleService/ProcesarVentas", writer.address))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(())?;
        let message = empty(count).encode_to_vec();
        let prefix = [&[0], &u32::try_from(message.len())?.to_be_bytes()[..]].concat();
        let (response, mut body) = self.client.clone().ready().await?.send_request(request, false)?;
        body.send_data(Bytes::from([prefix, message].concat()), true)?;
        let response = timeout(LIMIT, response).await??;
        let refused = Status::from_header_map(response.headers());
        Ok(refused.map_or_else(|| Ok(response.into_body()), Err))
    }
}

fn empty(count: usize) -> ProductSaleBatchRequest {
    ProductSaleBatchRequest { ventas: vec![ProductSaleRequest::default(); count] }
}

async fn single(writer: &Writer) -> Result<Code> {
    Ok(writer.sales().await?.procesar_venta(sale("a")).await.expect_err("no broker").code())
}

#[tokio::test]
async fn a_call_keeps_its_place_until_its_answer_is_taken_and_only_for_so_long() -> Result<()> {
    let writer = without_a_broker(&["--max-calls", "2"])?;
    let stingy = Stingy::connect(&writer).await?;
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(stingy.batch(&writer, 10_000).await?.ok().context("answered")?);
    }
    assert_eq!(single(&writer).await?, Code::ResourceExhausted, "both places are taken");
    let refused = stingy.batch(&writer, 1).await?.expect_err("no place");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");

    let closed = timeout(LIMIT, stingy.connection).await.context("the connection is closed")?;
    assert!(closed.is_ok(), "{closed:?}");
    let is_served = async || single(&writer).await.is_ok_and(|code| code == Code::Unavailable);
    eventually(LIMIT, is_served).await.context("the places are given back")?;
    let open = async || writer.metric("blackfriday_writer_connections").is_some_and(|open| open < 2.0);
    eventually(LIMIT, open).await.context("the connection's own place, too")
}

#[tokio::test]
async fn a_call_that_its_client_gives_up_gives_its_place_back() -> Result<()> {
    let writer = without_a_broker(&["--max-calls", "1"])?;
    let stingy = Stingy::connect(&writer).await?;
    let answer = stingy.batch(&writer, 10_000).await?.ok().context("answered")?;
    assert_eq!(single(&writer).await?, Code::ResourceExhausted);
    drop(answer);
    let is_served = async || single(&writer).await.is_ok_and(|code| code == Code::Unavailable);
    eventually(Duration::from_secs(2), is_served).await.context("at once, not at the limit")
}

#[tokio::test]
async fn a_peer_that_takes_no_answer_fills_no_more_than_its_part_and_the_others_are_served() -> Result<()> {
    let writer = without_a_broker(&["--max-messages-kib", "1024"])?;
    let stingy = Stingy::connect(&writer).await?;
    let (mut answers, mut refused) = (Vec::new(), 0);
    for _ in 0..200 {
        match stingy.batch(&writer, 1_000).await? {
            Ok(answer) => answers.push(answer),
            Err(status) => {
                assert_eq!(ErrorCode::of_writer(&status), Some(ErrorCode::Overloaded), "{status:?}");
                refused += 1;
            }
        }
    }
    assert!((1..20).contains(&answers.len()), "{} answers are held, {refused} were refused", answers.len());
    let mut other = writer.sales().await?;
    assert_eq!(other.procesar_ventas(sales(2_000)).await?.into_inner().resultados.len(), 2_000);
    assert_eq!(single(&writer).await?, Code::Unavailable, "not a word of room");
    Ok(())
}

#[tokio::test]
async fn wrong_sales_of_a_batch_are_told_in_full_up_to_a_hundred() -> Result<()> {
    let writer = without_a_broker(&[])?;
    let answer = writer.sales().await?.procesar_ventas(empty(10_000)).await?.into_inner();
    let bytes = answer.encoded_len();
    assert!(bytes < 200_000, "{bytes} bytes");
    let told = errors(answer.resultados).into_iter().collect::<Option<Vec<_>>>().context("all are wrong")?;
    assert_eq!(told.len(), 10_000);
    for (at, error) in told.iter().enumerate() {
        let in_full = (error.fields.len(), error.message.is_empty());
        assert_eq!(error.code, ErrorCode::InvalidField);
        assert_eq!(in_full, if at < 100 { (3, false) } else { (0, true) }, "{at}");
    }
    Ok(())
}
