use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use blackfriday_stack::{Kafka, KafkaOptions, Valkey};
use serde_json::Value;

use crate::load::Load;
use crate::processes::Processes;
use crate::service::Service;

/// Partitions of `ventas`.
const PARTITIONS: &str = "4";
const WRITERS: [Service; 2] = [Service::WriterA, Service::WriterB];

/// The servers and the services, each a process.
pub(super) struct Field {
    processes: Processes,
    _kafka: Kafka,
    _valkey: Valkey,
}

impl Field {
    /// Starts everything and waits until all is ready.
    pub(super) async fn start() -> Result<Self> {
        // For a long time: compiled for it.
        let options = KafkaOptions { for_load: true, ..KafkaOptions::default() };
        let (kafka, valkey) = tokio::try_join!(Kafka::start_with(options), Valkey::start())?;
        let mut processes = Processes::new(&Service::ALL)?;
        for (name, value) in
            [("BLACKFRIDAY_KAFKA_BROKERS", kafka.bootstrap()), ("BLACKFRIDAY_VALKEY_URL", valkey.url())]
        {
            processes.set(&Service::ALL, name, value);
            processes.set_of_commands(name, value);
        }
        let relay = format!("http://{}", processes.address(Service::Relay));
        processes.set(&[Service::Gateway], "BLACKFRIDAY_RELAY_URL", &relay);
        processes.set(&[Service::Relay], "BLACKFRIDAY_RELAY_TRUST_HOPS", "true");
        let writers = WRITERS.map(|writer| processes.address(writer).to_string()).join(",");
        processes.set(&[Service::Relay], "BLACKFRIDAY_WRITER_TARGET", &writers);
        processes.run("topics", &["create", "--partitions", PARTITIONS]).await?;
        processes.start_all().await?;
        Ok(Self { processes, _kafka: kafka, _valkey: valkey })
    }

    pub(super) fn dashboard(&self) -> SocketAddr {
        self.processes.address(Service::Dashboard)
    }

    pub(super) fn pids(&self) -> Result<Vec<(Service, u32)>> {
        self.processes
            .services()
            .iter()
            .map(|service| Ok((*service, self.processes.pid(*service)?)))
            .collect()
    }

    /// Begins a quarter's load.
    pub(super) fn load(&self, number: u32, rate: u32, lasts: Duration) -> Result<Load> {
        let (rate, lasts) = (rate.to_string(), format!("{}s", lasts.as_secs()));
        self.processes.load(&format!("quarter-{number}"), &["--rate", &rate, "--duration", &lasts, "--json"])
    }

    /// The proof of `verify`, with all that clients were told.
    pub(super) async fn prove(&self, loads: &[Load]) -> Result<Value> {
        let receipts: Vec<_> = loads.iter().map(|load| load.receipts.as_path()).collect();
        self.processes.verify_receipts(&receipts, &["--only-these"]).await
    }
}
