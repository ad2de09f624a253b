//! Events to the writers: up to three of them, one after the other, within the deadline.
//!
//! A call says one of four things: the events did not leave here, the writer did not write them, it refused them, or nobody
//! knows ([`Failed`]). Which one it is decides about the next try ([`Tries`]) and about the writer: one that cannot be
//! reached or writes nothing is left out, one whose outcome is unknown is asked for its health.
//!
//! Invariant: only the writer's own word, marked in its status, is a promise that nothing was written.

use std::error::Error;
use std::sync::Arc;

use blackfriday_event::{EventId, SaleDraft};
use blackfriday_proto::blackfriday::product_sale_result::Resultado;
use blackfriday_proto::blackfriday::product_sale_service_client::ProductSaleServiceClient;
use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest, ProductSaleResult};
use blackfriday_proto::clima::weather_service_client::WeatherServiceClient;
use blackfriday_proto::clima::{WeatherReport, WeatherResponse};
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal, SaleCommand, WeatherCommand};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::endpoint::Endpoint;
use super::link::{Link, LinkError};
use super::pool::{NoWriter, Pool};
use super::served::Served;
use crate::deadline::late;
use crate::logs::Log;
use crate::tries::{Again, Failed, Said, Tries};

/// An answer to a batch holds a result of at most some hundred bytes for each sale.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Writers that are asked for one event.
const MAX_ATTEMPTS: usize = 3;

impl Pool {
    /// Hands sales on together; an outcome for each, in order.
    pub(super) async fn sales(&self, commands: Vec<SaleCommand>, deadline: Instant) -> Vec<EventOutcome> {
        let mut tries = Tries::new(commands);
        let mut tried = Vec::new();
        while !tries.are_over() {
            let events = tries.pending().len();
            let endpoint = match self.next(&tried, 0, events, Served::Sales, deadline) {
                Ok(endpoint) => endpoint,
                Err(none) => {
                    tries.give_up(&none);
                    break;
                }
            };
            match self.call_sales(&endpoint, &tries, deadline).await {
                Ok(results) => {
                    let mut results = results.into_iter();
                    tries.settle(|command| settled(results.next(), command.id));
                }
                Err(failed) => tries.fail(&failed),
            }
            tried.push(endpoint);
        }
        tries.into_outcomes()
    }

    /// Hands a weather report on to the writers of this log. Those that were `tried` before are asked again only if there is
    /// no other.
    pub(super) async fn report(
        &self,
        log: Option<Log>,
        command: &WeatherCommand,
        tried: &mut Vec<Arc<Endpoint>>,
        deadline: Instant,
    ) -> EventOutcome {
        let (id, mut tries) = (command.id, Tries::new(vec![command.clone()]));
        if self.shared.are_all(tried) {
            tried.clear();
        }
        let before = tried.len();
        while !tries.are_over() {
            let endpoint = match self.next(tried, before, 1, Served::Weather, deadline) {
                Ok(endpoint) => endpoint,
                Err(none) => {
                    tries.give_up(&none);
                    break;
                }
            };
            let called = self.call_weather(&endpoint, command, deadline).await;
            match called.and_then(|answer| in_log(log, &answer)) {
                Ok(()) => tries.settle(|_| Said { outcome: Ok(id), again: Again::Never }),
                Err(failed) => tries.fail(&failed),
            }
            tried.push(endpoint);
        }
        tries.into_outcomes().pop().unwrap_or_else(|| Err(no_result().of(id)))
    }

    /// The writer for the next try, or why no try follows: the answer to what was not sent before. `before`: those of
    /// `tried` that other rounds asked.
    fn next(
        &self,
        tried: &[Arc<Endpoint>],
        before: usize,
        events: usize,
        served: Served,
        deadline: Instant,
    ) -> Result<Arc<Endpoint>, Refusal> {
        if Instant::now() >= deadline {
            return Err(late());
        }
        if tried.len() - before == MAX_ATTEMPTS {
            return Err(NoWriter::None.error());
        }
        self.shared.pick(tried, events, served).map_err(NoWriter::error)
    }

    async fn call_sales(
        &self,
        endpoint: &Arc<Endpoint>,
        tries: &Tries<SaleDraft>,
        deadline: Instant,
    ) -> Result<Vec<ProductSaleResult>, Failed> {
        let request = || {
            let ventas = tries.pending().map(|command| ProductSaleRequest::from(command.clone())).collect();
            with_deadline(ProductSaleBatchRequest { ventas }, deadline)
        };
        let call = |link: Link| {
            let mut client = ProductSaleServiceClient::new(link).max_decoding_message_size(MAX_ANSWER_BYTES);
            let request = request();
            async move { client.procesar_ventas(request).await }
        };
        let answer = self.call(endpoint, Served::Sales, tries.pending().len(), deadline, call).await?;
        if answer.resultados.len() != tries.pending().len() {
            let incomplete = "the writer's answer does not have a result for each sale";
            return Err(Failed::Unknown(Refusal::new(ErrorCode::OutcomeUnknown, incomplete)));
        }
        if answer.resultados.iter().all(is_unavailable) {
            endpoint.eject(&[Served::Sales]);
        }
        Ok(answer.resultados)
    }

    async fn call_weather(
        &self,
        endpoint: &Arc<Endpoint>,
        command: &WeatherCommand,
        deadline: Instant,
    ) -> Result<WeatherResponse, Failed> {
        let call = |link: Link| {
            let request = with_deadline(WeatherReport::from(command.clone()), deadline);
            async move { WeatherServiceClient::new(link).publicar(request).await }
        };
        self.call(endpoint, Served::Weather, 1, deadline, call).await
    }

    /// One call to one writer, on its open connection; on a second one if the first turns out to be closed.
    async fn call<T, F: Future<Output = Result<Response<T>, Status>> + Send>(
        &self,
        endpoint: &Arc<Endpoint>,
        served: Served,
        events: usize,
        deadline: Instant,
        call: impl Fn(Link) -> F,
    ) -> Result<T, Failed> {
        let _in_flight = endpoint.begin(events);
        let began = Instant::now();
        let mut answered = attempt(endpoint, deadline, &call).await;
        if matches!(answered, Err(Failed::NotSent(_))) && endpoint.is_usable(served) {
            answered = attempt(endpoint, deadline, &call).await;
        }
        self.shared.gauges.called(served.method(), name_of(&answered), began.elapsed());
        match &answered {
            Err(failed @ (Failed::NotSent(_) | Failed::NotWritten(_))) => {
                // Without a connection none of its services can be reached; its own word is about the one that was called.
                let is_away = matches!(failed, Failed::NotSent(_));
                endpoint.eject(if is_away { &Served::ALL } else { std::slice::from_ref(&served) });
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
        |error: LinkError| Failed::NotSent(Refusal::new(ErrorCode::Unavailable, error.to_string()));
    let link = match timeout_at(deadline, endpoint.link()).await {
        Ok(link) => link.map_err(unavailable)?,
        Err(_elapsed) => return Err(unavailable(LinkError::NotSent("no connection in time".to_owned()))),
    };
    match timeout_at(deadline, call(link)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(failed(&status)),
        Err(_elapsed) => {
            Err(Failed::Unknown(Refusal::new(ErrorCode::OutcomeUnknown, "the writer did not answer in time")))
        }
    }
}

/// What a status that a call ended with says of its events.
fn failed(status: &Status) -> Failed {
    let below = status.source().map(|cause| cause.downcast_ref::<LinkError>());
    let unknown = |message: &str| Failed::Unknown(Refusal::new(ErrorCode::OutcomeUnknown, message));
    match below {
        Some(Some(LinkError::NotSent(why))) => Failed::NotSent(Refusal::new(ErrorCode::Unavailable, why)),
        // With a source, the status is not what the writer said, but tells of a broken connection.
        Some(Some(LinkError::Lost(why))) => unknown(why),
        Some(None) => unknown(status.message()),
        None => said(status),
    }
}

/// What a status says that was not made here. Only the writer's own word promises that nothing was written: anything
/// between us and it may have handed the events on before it answered for itself.
fn said(status: &Status) -> Failed {
    let code = ErrorCode::of_writer(status).unwrap_or(ErrorCode::OutcomeUnknown);
    let error = Refusal::new(code, status.message());
    match code {
        ErrorCode::Unavailable => Failed::NotWritten(error),
        ErrorCode::OutcomeUnknown => Failed::Unknown(error),
        _ => Failed::Refused(error),
    }
}

/// Whether the writer wrote a report into the log that its target is for; an older one does not say it.
fn in_log(log: Option<Log>, answer: &WeatherResponse) -> Result<(), Failed> {
    match log {
        Some(log) if !answer.registro.is_empty() && answer.registro != log.wire_name() => {
            let detail = format!("its writers write into {}", answer.registro);
            Err(Failed::Unknown(Refusal::new(ErrorCode::OutcomeUnknown, detail)))
        }
        _ => Ok(()),
    }
}

/// What the writer said of one sale.
fn settled(result: Option<ProductSaleResult>, id: EventId) -> Said {
    let (outcome, again) = match result.and_then(|result| result.resultado) {
        Some(Resultado::Aceptada(_)) => (Ok(id), Again::Never),
        Some(Resultado::Error(error)) => {
            let error = Refusal { id: Some(id), ..error.into() };
            let again = if error.code == ErrorCode::Unavailable { Again::Always } else { Again::Never };
            (Err(error), again)
        }
        None => (Err(no_result().of(id)), Again::Never),
    };
    Said { outcome, again }
}

fn no_result() -> Refusal {
    Refusal::new(ErrorCode::OutcomeUnknown, "the writer gave no result")
}

fn is_unavailable(result: &ProductSaleResult) -> bool {
    matches!(&result.resultado, Some(Resultado::Error(error))
        if Refusal::from(error.clone()).code == ErrorCode::Unavailable)
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
