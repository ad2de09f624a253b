use blackfriday_event::EventId;
use blackfriday_proto::blackfriday::product_sale_result::Resultado;
use blackfriday_proto::blackfriday::product_sale_service_server::ProductSaleService;
use blackfriday_proto::blackfriday::{
    ProductSaleBatchRequest, ProductSaleBatchResponse, ProductSaleRequest, ProductSaleResponse,
    ProductSaleResult,
};
use blackfriday_proto::clima::weather_service_server::WeatherService;
use blackfriday_proto::clima::{WeatherReport, WeatherResponse};
use blackfriday_proto::{ErrorCode, EventOutcome, Refusal, SaleCommand, WeatherCommand};
use blackfriday_publish::Publisher;
use blackfriday_telemetry::context::{TRACEPARENT, sample_root};
use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::answers::CallRoom;
use crate::calls::AnswerBy;

const OK: &str = "OK";
/// Wrong sales of a batch that are described in full; of the others only the code is answered. With a sale of two bytes an
/// answer would else be hundreds of times as large as its request.
const DESCRIBED_IN_FULL: usize = 100;
/// What the result of one that is described in full takes beyond what every sale of a batch does.
const FULL_BYTES: usize = 1024;
/// Metadata of an error: the identity under which an unknown outcome may be found.
const ID: &str = "id";

/// The calls of both services.
#[derive(Clone)]
pub(crate) struct Calls {
    publisher: Publisher,
    /// The event log's name.
    log: &'static str,
}

impl Calls {
    pub(crate) fn new(publisher: Publisher, log: &'static str) -> Self {
        Self { publisher, log }
    }
}

#[tonic::async_trait]
impl ProductSaleService for Calls {
    async fn procesar_venta(
        &self,
        request: Request<ProductSaleRequest>,
    ) -> Result<Response<ProductSaleResponse>, Status> {
        let (by, metadata_trace) = (answer_by(&request)?, traceparent(&request));
        let mut command = SaleCommand::try_from(request.into_inner()).map_err(Refusal::from)?;
        command.traceparent = command.traceparent.or(metadata_trace);
        let id = command.id;
        let unknown = || Err(Refusal::new(ErrorCode::OutcomeUnknown, "no outcome").of(id));
        let outcome = self.publisher.sales(vec![command], by).await.pop().unwrap_or_else(unknown);
        outcome.map(accepted).map(Response::new).map_err(status)
    }

    async fn procesar_ventas(
        &self,
        request: Request<ProductSaleBatchRequest>,
    ) -> Result<Response<ProductSaleBatchResponse>, Status> {
        let (by, room) = (answer_by(&request)?, room(&request)?);
        let resultados = self.batch(request.into_inner().ventas, &room, by).await?;
        Ok(Response::new(ProductSaleBatchResponse { resultados }))
    }
}

#[tonic::async_trait]
impl WeatherService for Calls {
    async fn publicar(&self, request: Request<WeatherReport>) -> Result<Response<WeatherResponse>, Status> {
        let (by, metadata_trace) = (answer_by(&request)?, traceparent(&request));
        let mut command = WeatherCommand::try_from(request.into_inner()).map_err(Refusal::from)?;
        command.traceparent = command.traceparent.or(metadata_trace);
        let id = self.publisher.weather(command, by).await.map_err(status)?;
        let (estado, registro) = (OK.to_owned(), self.log.to_owned());
        Ok(Response::new(WeatherResponse { estado, id: id.as_bytes().to_vec(), registro }))
    }
}

impl Calls {
    /// A result for each sale, in order: the valid ones are published together, once there is room for the answer.
    async fn batch(
        &self,
        requests: Vec<ProductSaleRequest>,
        room: &CallRoom,
        by: Instant,
    ) -> Result<Vec<ProductSaleResult>, Status> {
        let (mut valid, mut wrong) = (Vec::new(), 0);
        let convert = |request| match SaleCommand::try_from(request) {
            Ok(command) => {
                valid.push(command);
                None
            }
            Err(errors) => {
                wrong += 1;
                let code_only = || Refusal::new(ErrorCode::InvalidField, "");
                let error = if wrong <= DESCRIBED_IN_FULL { Refusal::from(errors) } else { code_only() };
                Some(result(Err(error)))
            }
        };
        let refused: Vec<_> = requests.into_iter().map(convert).collect();
        room.take(wrong.min(DESCRIBED_IN_FULL) * FULL_BYTES)?;
        let mut outcomes = self.publisher.sales(valid, by).await.into_iter().map(result);
        Ok(refused.into_iter().filter_map(|refused| refused.or_else(|| outcomes.next())).collect())
    }
}

/// When the call must be answered, as the gate has set it.
fn answer_by<T>(request: &Request<T>) -> Result<Instant, Status> {
    let by = request.extensions().get::<AnswerBy>();
    by.map(|by| by.0).ok_or_else(|| Status::internal("a call passed no gate"))
}

/// The call's room, as the gate has made it.
fn room<T>(request: &Request<T>) -> Result<CallRoom, Status> {
    let room = request.extensions().get::<CallRoom>();
    room.cloned().ok_or_else(|| Status::internal("a call passed no gate"))
}

/// The trace context of a single call. Our own hops send it with each sale: in metadata it is a client's, and our own
/// share of calls decides whether it is followed.
fn traceparent<T>(request: &Request<T>) -> Option<String> {
    let given = request.metadata().get(TRACEPARENT)?.to_str().ok()?;
    sample_root().then(|| given.to_owned())
}

fn accepted(id: EventId) -> ProductSaleResponse {
    ProductSaleResponse { estado: OK.to_owned(), id: id.as_bytes().to_vec() }
}

fn result(outcome: EventOutcome) -> ProductSaleResult {
    let resultado = match outcome {
        Ok(id) => Resultado::Aceptada(accepted(id)),
        Err(error) => Resultado::Error(error.into()),
    };
    ProductSaleResult { resultado: Some(resultado) }
}

fn status(error: Refusal) -> Status {
    let id = error.id.and_then(|id| MetadataValue::try_from(id.to_string()).ok());
    let mut status = Status::from(error);
    if let Some(id) = id {
        status.metadata_mut().insert(ID, id);
    }
    status
}
