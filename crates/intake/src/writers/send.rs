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
use tonic::{Request, Response, Status};

use super::endpoint::Endpoint;
use super::link::{Link, LinkError};
use super::{NoWriter, Writers};
use crate::Upstream;

type Outcome = Result<EventId, SaleError>;

/// An answer to a batch holds a result of at most some hundred bytes for each sale.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Writers that are asked for one event.
const MAX_ATTEMPTS: usize = 3;

/// What a call that failed as a whole says about its events.
#[derive(Debug)]
enum Failed {
    /// It did not reach the writer.
    NotSent(SaleError),
    /// The writer says that nothing was written; another one may take it.
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
        let no_writer = loop {
            let endpoint = match self.shared.pick(&tried, pending.len()) {
                Ok(endpoint) => endpoint,
                Err(none) => break none.error(),
            };
            let called = self.call_sales(&endpoint, &pending, deadline).await;
            tried.push(endpoint);
            let last = tried.len() == MAX_ATTEMPTS || Instant::now() >= deadline;
            let mut results = called.map(Vec::into_iter);
            pending.retain(|(at, command)| {
                let (outcome, again) = match &mut results {
                    Ok(results) => settled(results.next(), command.id),
                    Err(failed) => failed.about(command.id, command.idempotency_key.is_some()),
                };
                outcomes[*at] = Some(outcome);
                again && !last
            });
            if pending.is_empty() {
                break NoWriter::None.error();
            }
        };
        // What was never sent; what was sent and may be sent again keeps the answer that it has.
        for (at, command) in pending {
            outcomes[at].get_or_insert_with(|| Err(no_writer.clone().of(command.id)));
        }
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(no_writer.clone()))).collect()
    }

    async fn weather(&self, command: WeatherCommand, deadline: Instant) -> Outcome {
        let mut answered = None;
        let mut tried = Vec::new();
        loop {
            let endpoint = match self.shared.pick(&tried, 1) {
                Ok(endpoint) => endpoint,
                Err(none) => return answered.unwrap_or_else(|| Err(none.error().of(command.id))),
            };
            let failed = match self.call_weather(&endpoint, &command, deadline).await {
                Ok(()) => return Ok(command.id),
                Err(failed) => failed,
            };
            tried.push(endpoint);
            let (outcome, again) = failed.about(command.id, command.idempotency_key.is_some());
            if !again || tried.len() == MAX_ATTEMPTS || Instant::now() >= deadline {
                return outcome;
            }
            answered = Some(outcome);
        }
    }
}

impl Writers {
    async fn call_sales(
        &self,
        endpoint: &Arc<Endpoint>,
        pending: &[(usize, SaleCommand)],
        deadline: Instant,
    ) -> Result<Vec<ProductSaleResult>, Failed> {
        let request = || {
            let ventas =
                pending.iter().map(|(_, command)| ProductSaleRequest::from(command.clone())).collect();
            with_deadline(ProductSaleBatchRequest { ventas }, deadline)
        };
        let call = |link: Link| {
            let mut client = ProductSaleServiceClient::new(link).max_decoding_message_size(MAX_ANSWER_BYTES);
            let request = request();
            async move { client.procesar_ventas(request).await }
        };
        let answer = self.call(endpoint, "ProcesarVentas", pending.len(), deadline, call).await?;
        if answer.resultados.len() != pending.len() {
            let incomplete = "the writer's answer does not have a result for each sale";
            return Err(Failed::Unknown(SaleError::new(ErrorCode::OutcomeUnknown, incomplete)));
        }
        if answer.resultados.iter().all(is_unavailable) {
            endpoint.eject();
        }
        Ok(answer.resultados)
    }

    async fn call_weather(
        &self,
        endpoint: &Arc<Endpoint>,
        command: &WeatherCommand,
        deadline: Instant,
    ) -> Result<(), Failed> {
        let call = |link: Link| {
            let request = with_deadline(WeatherReport::from(command.clone()), deadline);
            async move { WeatherServiceClient::new(link).publicar(request).await }
        };
        self.call(endpoint, "Publicar", 1, deadline, call).await?;
        Ok(())
    }

    /// One call to one writer, on its open connection; on a second one if the first turns out to be closed.
    async fn call<T, F: Future<Output = Result<Response<T>, Status>> + Send>(
        &self,
        endpoint: &Arc<Endpoint>,
        method: &'static str,
        events: usize,
        deadline: Instant,
        call: impl Fn(Link) -> F,
    ) -> Result<T, Failed> {
        let _in_flight = endpoint.begin(events);
        let began = Instant::now();
        let mut answered = attempt(endpoint, deadline, &call).await;
        if matches!(answered, Err(Failed::NotSent(_))) && endpoint.is_usable() {
            answered = attempt(endpoint, deadline, &call).await;
        }
        self.shared.gauges.called(method, name_of(&answered), began.elapsed());
        match &answered {
            Err(Failed::NotSent(_) | Failed::NotWritten(_)) => {
                endpoint.eject();
                self.shared.look_again.notify_one();
            }
            Err(Failed::Unknown(_)) => {
                endpoint.doubt();
                self.shared.look_again.notify_one();
            }
            Ok(_) | Err(Failed::Refused(_)) => {}
        }
        answered
    }
}

async fn attempt<T, F: Future<Output = Result<Response<T>, Status>> + Send>(
    endpoint: &Endpoint,
    deadline: Instant,
    call: &impl Fn(Link) -> F,
) -> Result<T, Failed> {
    let unavailable =
        |error: LinkError| Failed::NotSent(SaleError::new(ErrorCode::Unavailable, error.to_string()));
    let link = match timeout_at(deadline, endpoint.link()).await {
        Ok(link) => link.map_err(unavailable)?,
        Err(_elapsed) => return Err(unavailable(LinkError::NotSent("no connection in time".to_owned()))),
    };
    match timeout_at(deadline, call(link)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(Failed::of(&status)),
        Err(_elapsed) => Err(Failed::Unknown(SaleError::new(
            ErrorCode::OutcomeUnknown,
            "the writer did not answer in time",
        ))),
    }
}

impl Failed {
    fn of(status: &Status) -> Self {
        let below = status.source().map(|cause| cause.downcast_ref::<LinkError>());
        let (code, message) = match below {
            Some(Some(LinkError::NotSent(why))) => {
                return Self::NotSent(SaleError::new(ErrorCode::Unavailable, why));
            }
            // With a source, the status is not what the writer said, but tells of a broken connection.
            Some(Some(LinkError::Lost(why))) => (ErrorCode::OutcomeUnknown, why.as_str()),
            Some(None) => (ErrorCode::OutcomeUnknown, status.message()),
            None => (ErrorCode::of_grpc(status.code()), status.message()),
        };
        let error = SaleError::new(code, message);
        match code {
            ErrorCode::Unavailable => Self::NotWritten(error),
            ErrorCode::OutcomeUnknown => Self::Unknown(error),
            _ => Self::Refused(error),
        }
    }

    /// The outcome of one event, and whether another writer may take it.
    fn about(&self, id: EventId, keyed: bool) -> (Outcome, bool) {
        match self {
            Self::NotSent(error) | Self::NotWritten(error) => (Err(error.clone().of(id)), true),
            Self::Unknown(error) => (Err(error.clone().of(id)), keyed),
            Self::Refused(error) => (Err(error.clone().of(id)), false),
        }
    }
}

impl NoWriter {
    fn error(self) -> SaleError {
        match self {
            Self::None => SaleError::new(ErrorCode::Unavailable, "no writer is known"),
            Self::Full => {
                SaleError::new(ErrorCode::Overloaded, "every writer has its limit of events in flight")
            }
        }
    }
}

/// The outcome that the writer gave one sale, and whether another writer may take it.
fn settled(result: Option<ProductSaleResult>, id: EventId) -> (Outcome, bool) {
    match result.and_then(|result| result.resultado) {
        Some(Resultado::Aceptada(_)) => (Ok(id), false),
        Some(Resultado::Error(error)) => {
            let error = SaleError { id: Some(id), ..error.into() };
            let again = error.code == ErrorCode::Unavailable;
            (Err(error), again)
        }
        None => (Err(SaleError::new(ErrorCode::OutcomeUnknown, "the writer gave no result").of(id)), false),
    }
}

fn is_unavailable(result: &ProductSaleResult) -> bool {
    matches!(&result.resultado, Some(Resultado::Error(error))
        if SaleError::from(error.clone()).code == ErrorCode::Unavailable)
}

/// Sets `grpc-timeout`, so that the writer knows how long we wait.
fn with_deadline<T>(message: T, deadline: Instant) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline.saturating_duration_since(Instant::now()));
    request
}

fn name_of<T>(answered: &Result<T, Failed>) -> &'static str {
    match answered {
        Ok(_) => "answered",
        Err(Failed::NotSent(_)) => "not-sent",
        Err(Failed::NotWritten(_)) => "not-written",
        Err(Failed::Unknown(_)) => "unknown",
        Err(Failed::Refused(_)) => "refused",
    }
}
