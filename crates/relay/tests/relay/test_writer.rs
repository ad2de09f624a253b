//! A second implementation of the writer's wire: it keeps what it gets in memory, and refuses, waits, stops, or dies with
//! all of its connections, as a test wants it.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use blackfriday_proto::blackfriday::product_sale_result::Resultado;
use blackfriday_proto::blackfriday::product_sale_service_server::{
    self, ProductSaleService, ProductSaleServiceServer,
};
use blackfriday_proto::blackfriday::{
    ProductSaleBatchRequest, ProductSaleBatchResponse, ProductSaleRequest, ProductSaleResponse,
    ProductSaleResult,
};
use blackfriday_proto::clima::weather_service_server::{self, WeatherService, WeatherServiceServer};
use blackfriday_proto::clima::{WeatherReport, WeatherResponse};
use blackfriday_proto::{ErrorCode, Refusal, SaleCommand};
use blackfriday_service::{Shutdown, bind};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// A writer on a runtime of its own, so that its death takes its connections along.
pub(crate) struct TestWriter {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    health: HealthReporter,
    out_of_order: Arc<Mutex<BTreeSet<&'static str>>>,
    runtime: Option<Runtime>,
    stop: Shutdown,
}

/// What it got, and how it answers.
#[derive(Default)]
pub(crate) struct Seen {
    calls: Mutex<Vec<Call>>,
    weather: Mutex<Vec<WeatherReport>>,
    holding: watch::Sender<bool>,
    refusal: Mutex<Option<End>>,
    script: Mutex<VecDeque<Option<End>>>,
    log: Mutex<&'static str>,
}

/// How a call ends, other than with an acceptance of all its events.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// Each event is refused by itself.
    Refused(ErrorCode),
    /// The whole call ends with the writer's own status.
    Status(ErrorCode),
    /// The whole call ends with a status as something before the writer gives it.
    Bare(Code),
    /// The answer has no results.
    Short,
    /// The stream breaks.
    Broken,
}

/// One batch call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) sales: Vec<ProductSaleRequest>,
    pub(crate) timeout: Option<String>,
}

#[derive(Clone)]
struct Calls {
    seen: Arc<Seen>,
    out_of_order: Arc<Mutex<BTreeSet<&'static str>>>,
}

/// The full names of a writer's services.
pub(crate) const SALES: &str = product_sale_service_server::SERVICE_NAME;
pub(crate) const WEATHER: &str = weather_service_server::SERVICE_NAME;

impl TestWriter {
    /// Starts one on a free port.
    pub(crate) fn start() -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::default())
    }

    /// Starts one, also at the address of one that has ended; `seen` goes on.
    pub(crate) fn start_at(address: SocketAddr, seen: Arc<Seen>) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let stop = Shutdown::new();
        let listener = runtime.block_on_elsewhere(async move { bind(address) })?;
        let address = listener.local_addr().context("ask for the address")?;
        let out_of_order: Arc<Mutex<BTreeSet<_>>> = Arc::default();
        let calls = Calls { seen: Arc::clone(&seen), out_of_order: Arc::clone(&out_of_order) };
        let stopping = stop.clone();
        let (reporter, health) = tonic_health::server::health_reporter();
        let serving = reporter.clone();
        runtime.spawn(async move {
            serving.set_serving::<ProductSaleServiceServer<Calls>>().await;
            serving.set_serving::<WeatherServiceServer<Calls>>().await;
            Server::builder()
                .add_service(ProductSaleServiceServer::new(calls.clone()))
                .add_service(WeatherServiceServer::new(calls))
                .add_service(health)
                .serve_with_incoming_shutdown(
                    TcpIncoming::from(listener).with_nodelay(Some(true)),
                    stopping.begun(),
                )
                .await
        });
        Ok(Self { address, seen, health: reporter, out_of_order, runtime: Some(runtime), stop })
    }

    /// Takes no events of this service, and says so to who asks for its health; or takes them again.
    pub(crate) async fn set_serving(&self, service: &'static str, serving: bool) {
        let status = if serving {
            self.out_of_order.lock().unwrap_or_else(PoisonError::into_inner).remove(service);
            ServingStatus::Serving
        } else {
            self.out_of_order.lock().unwrap_or_else(PoisonError::into_inner).insert(service);
            ServingStatus::NotServing
        };
        self.health.set_service_status(service, status).await;
    }

    /// Takes no new calls and finishes those in flight.
    pub(crate) fn stop(&self) {
        self.stop.begin();
    }

    /// Dies at once; its connections break.
    pub(crate) fn kill(mut self) -> (SocketAddr, Arc<Seen>) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        (self.address, Arc::clone(&self.seen))
    }
}

impl Drop for TestWriter {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

trait BlockOnElsewhere {
    fn block_on_elsewhere<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T;
}

impl BlockOnElsewhere for Runtime {
    /// A test's own runtime may not block on another one; a thread may.
    fn block_on_elsewhere<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let handle = self.handle().clone();
        std::thread::spawn(move || handle.block_on(future)).join().expect("binding does not panic")
    }
}

impl Seen {
    /// The batch calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of batch calls so far.
    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The sales so far, in order.
    pub(crate) fn sales(&self) -> Vec<ProductSaleRequest> {
        self.calls().into_iter().flat_map(|call| call.sales).collect()
    }

    /// The weather reports so far.
    pub(crate) fn weather(&self) -> Vec<WeatherReport> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers nothing while it is holding.
    pub(crate) fn hold(&self, holding: bool) {
        self.holding.send_replace(holding);
    }

    /// Answers every event with this, or accepts it.
    pub(crate) fn refuse(&self, code: Option<ErrorCode>) {
        self.end(code.map(End::Refused));
    }

    /// Ends every call so, or accepts its events.
    pub(crate) fn end(&self, end: Option<End>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Ends the next calls so, one after the other.
    pub(crate) fn end_next(&self, script: impl IntoIterator<Item = Option<End>>) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script.into_iter().collect();
    }

    /// Says that it writes reports into the log of this name.
    pub(crate) fn write_into(&self, log: &'static str) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = log;
    }

    async fn answer(&self) -> Result<Option<ErrorCode>, Status> {
        // The sender lives as long as we do.
        drop(self.holding.subscribe().wait_for(|holding| !holding).await);
        let next = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match next.unwrap_or_else(|| *self.refusal.lock().unwrap_or_else(PoisonError::into_inner)) {
            None => Ok(None),
            Some(End::Refused(code)) => Ok(Some(code)),
            Some(End::Status(code)) => Err(Refusal::new(code, "as told").into()),
            Some(End::Bare(code)) => Err(Status::new(code, "as something in between says")),
            Some(End::Short) => Err(Status::ok("")),
            Some(End::Broken) => panic!("as told"),
        }
    }
}

impl Calls {
    async fn answer(&self, service: &str) -> Result<Option<ErrorCode>, Status> {
        let is_out = self.out_of_order.lock().unwrap_or_else(PoisonError::into_inner).contains(service);
        if is_out { Ok(Some(ErrorCode::Unavailable)) } else { self.seen.answer().await }
    }
}

#[tonic::async_trait]
impl ProductSaleService for Calls {
    async fn procesar_venta(
        &self,
        _: Request<ProductSaleRequest>,
    ) -> Result<Response<ProductSaleResponse>, Status> {
        Err(Status::unimplemented("the relay sends batches"))
    }

    async fn procesar_ventas(
        &self,
        request: Request<ProductSaleBatchRequest>,
    ) -> Result<Response<ProductSaleBatchResponse>, Status> {
        let timeout = request.metadata().get("grpc-timeout").and_then(|value| value.to_str().ok());
        let timeout = timeout.map(str::to_owned);
        let sales = request.into_inner().ventas;
        let call = Call { sales: sales.clone(), timeout };
        self.seen.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        let refusal = self.answer(SALES).await;
        if refusal.as_ref().is_err_and(|status| status.code() == Code::Ok) {
            return Ok(Response::new(ProductSaleBatchResponse::default()));
        }
        let refusal = refusal?;
        let result = |sale| ProductSaleResult { resultado: Some(result(sale, refusal)) };
        Ok(Response::new(ProductSaleBatchResponse { resultados: sales.into_iter().map(result).collect() }))
    }
}

#[tonic::async_trait]
impl WeatherService for Calls {
    async fn publicar(&self, request: Request<WeatherReport>) -> Result<Response<WeatherResponse>, Status> {
        let report = request.into_inner();
        let id = report.id.clone();
        self.seen.weather.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        match self.answer(WEATHER).await? {
            Some(code) => Err(Refusal::new(code, "as told").into()),
            None => {
                let registro = self.seen.log.lock().unwrap_or_else(PoisonError::into_inner).to_owned();
                Ok(Response::new(WeatherResponse { estado: "OK".to_owned(), id, registro }))
            }
        }
    }
}

fn result(sale: ProductSaleRequest, refusal: Option<ErrorCode>) -> Resultado {
    let id = sale.id.clone();
    let checked = SaleCommand::try_from(sale).map_err(Refusal::from);
    let refused = refusal.map(|code| Refusal::new(code, "as told"));
    match checked.err().or(refused) {
        Some(error) => Resultado::Error(error.into()),
        None => Resultado::Aceptada(ProductSaleResponse { estado: "OK".to_owned(), id }),
    }
}

/// How long a condition in these tests may take to come true.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
