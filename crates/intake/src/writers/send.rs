use std::error::Error;
use std::sync::Arc;

use blackfriday_event::EventId;
use blackfriday_proto::blackfriday::product_sale_result::Resultado;
use blackfriday_proto::blackfriday::product_sale_service_client::ProductSaleServiceClient;
use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest, ProductSaleResult};
use blackfriday_proto::clima::WeatherReport;
use blackfriday_proto::clima::weather_service_client::WeatherServiceClient;
use blackfriday_proto::{ErrorCode, SaleCommand, SaleError, WeatherCommand};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Status};

use super::Writers;
use super::endpoint::{ConnectFailed, Endpoint};
use crate::Upstream;

type Outcome = Result<EventId, SaleError>;

/// An answer to a batch holds a result of at most some hundred bytes for each sale.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// What a call that failed as a whole says about its events.
#[derive(Debug)]
enum Failed {
    /// Nothing was written; another writer may take it.
    NotWritten(SaleError),
    /// It may have been written; another writer may take what has an idempotency key.
    Unknown(SaleError),
    /// No writer would take it.
    Refused(SaleError),
}

impl Upstream for Writers {
    async fn sales(&self, commands: Vec<SaleCommand>, deadline: Instant) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; commands.len()];
        let mut pending: Vec<(usize, SaleCommand)> = commands.into_iter().enumerate().collect();
        let mut tried = Vec::new();
        while !pending.is_empty() {
            let Some(endpoint) = self.pick(&tried) else { break };
            match call_sales(&endpoint, &pending, deadline).await {
                Ok(results) => {
                    for ((at, _), outcome) in pending.drain(..).zip(results) {
                        outcomes[at] = Some(outcome);
                    }
                }
                Err(failed) => {
                    self.note(&endpoint, &failed);
                    pending.retain(|(at, command)| {
                        let (error, again) = failed.about(command.id, command.idempotency_key.is_some());
                        outcomes[*at] = Some(Err(error));
                        again && Instant::now() < deadline
                    });
                }
            }
            tried.push(endpoint);
        }
        let none = || Err(SaleError::new(ErrorCode::Unavailable, "no writer is known"));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(none)).collect()
    }

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> Outcome {
        let mut last = SaleError::new(ErrorCode::Unavailable, "no writer is known");
        let mut tried = Vec::new();
        while let Some(endpoint) = self.pick(&tried) {
            match call_weather(&endpoint, command.clone(), deadline).await {
                Ok(outcome) => return outcome,
                Err(failed) => {
                    self.note(&endpoint, &failed);
                    let (error, again) = failed.about(command.id, command.idempotency_key.is_some());
                    last = error;
                    if !again || Instant::now() >= deadline {
                        break;
                    }
                }
            }
            tried.push(endpoint);
        }
        Err(last)
    }
}

impl Writers {
    /// A writer that did not take a call is left out until its health is asked, which is soon.
    fn note(&self, endpoint: &Arc<Endpoint>, failed: &Failed) {
        if !matches!(failed, Failed::Refused(_)) {
            endpoint.eject();
            self.look_again.notify_one();
        }
    }
}

impl Failed {
    /// The error of one event, and whether another writer may take it.
    fn about(&self, id: EventId, keyed: bool) -> (SaleError, bool) {
        match self {
            Self::NotWritten(error) => (error.clone().of(id), true),
            Self::Unknown(error) => (error.clone().of(id), keyed),
            Self::Refused(error) => (error.clone().of(id), false),
        }
    }

    fn of(status: &Status) -> Self {
        let error = |code| SaleError::new(code, status.message());
        if let Some(connect) = connect_failure(status) {
            return Self::NotWritten(SaleError::new(ErrorCode::Unavailable, connect.to_string()));
        }
        // Without a source the status was said by the writer; with one it tells of a broken connection.
        let code = if status.source().is_some() {
            ErrorCode::OutcomeUnknown
        } else {
            ErrorCode::of_grpc(status.code())
        };
        match code {
            ErrorCode::Unavailable => Self::NotWritten(error(code)),
            ErrorCode::OutcomeUnknown => Self::Unknown(error(code)),
            _ => Self::Refused(error(code)),
        }
    }
}

async fn call_sales(
    endpoint: &Endpoint,
    pending: &[(usize, SaleCommand)],
    deadline: Instant,
) -> Result<Vec<Outcome>, Failed> {
    let _in_flight = endpoint.begin();
    let ventas: Vec<_> =
        pending.iter().map(|(_, command)| ProductSaleRequest::from(command.clone())).collect();
    let mut client =
        ProductSaleServiceClient::new(endpoint.channel()).max_decoding_message_size(MAX_ANSWER_BYTES);
    let called = client.procesar_ventas(with_deadline(ProductSaleBatchRequest { ventas }, deadline));
    let answer = answered(timeout_at(deadline, called).await)?;
    if answer.resultados.len() != pending.len() {
        return Err(Failed::Unknown(SaleError::new(
            ErrorCode::OutcomeUnknown,
            "the writer's answer is not complete",
        )));
    }
    Ok(answer
        .resultados
        .into_iter()
        .zip(pending)
        .map(|(result, (_, command))| outcome(result, command.id))
        .collect())
}

async fn call_weather(
    endpoint: &Endpoint,
    command: WeatherCommand,
    deadline: Instant,
) -> Result<Outcome, Failed> {
    let _in_flight = endpoint.begin();
    let id = command.id;
    let mut client = WeatherServiceClient::new(endpoint.channel());
    let called = client.publicar(with_deadline(WeatherReport::from(command), deadline));
    answered(timeout_at(deadline, called).await)?;
    Ok(Ok(id))
}

/// Sets `grpc-timeout`, so that the writer knows how long we wait.
fn with_deadline<T>(message: T, deadline: Instant) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    request
}

fn answered<T>(
    called: Result<Result<tonic::Response<T>, Status>, tokio::time::error::Elapsed>,
) -> Result<T, Failed> {
    match called {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(Failed::of(&status)),
        Err(_elapsed) => Err(Failed::Unknown(SaleError::new(
            ErrorCode::OutcomeUnknown,
            "the writer did not answer in time",
        ))),
    }
}

fn outcome(result: ProductSaleResult, id: EventId) -> Outcome {
    match result.resultado {
        Some(Resultado::Aceptada(_)) => Ok(id),
        Some(Resultado::Error(error)) => Err(SaleError { id: Some(id), ..error.into() }),
        None => Err(SaleError::new(ErrorCode::OutcomeUnknown, "the writer gave no result").of(id)),
    }
}

fn connect_failure(status: &Status) -> Option<&ConnectFailed> {
    let mut cause: Option<&(dyn Error + 'static)> = status.source();
    while let Some(error) = cause {
        if let Some(failed) = error.downcast_ref::<ConnectFailed>() {
            return Some(failed);
        }
        cause = error.source();
    }
    None
}
