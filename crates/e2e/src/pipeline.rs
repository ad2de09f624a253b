use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use anyhow::Result;
use blackfriday_lab::{Processes, Service};
use blackfriday_stack::{Kafka, Valkey};

/// Partitions of topic `ventas`.
const PARTITIONS: i32 = 4;
const WRITERS: [Service; 2] = [Service::WriterA, Service::WriterB];

/// Kafka, Valkey and all services, each a process.
#[derive(Debug)]
pub struct Pipeline {
    /// The broker.
    pub kafka: Kafka,
    /// The store.
    pub valkey: Arc<Valkey>,
    processes: Processes,
}

impl Pipeline {
    /// Starts everything and waits until all is ready. `environment` is added to every service's.
    ///
    /// # Errors
    /// Kafka, Valkey or a binary is missing or does not come up in 30 s.
    pub async fn start(environment: &[(&str, &str)]) -> Result<Self> {
        let (kafka, valkey) = tokio::try_join!(Kafka::start(), Valkey::start())?;
        let mut pipeline = Self::prepare(kafka, valkey).await?;
        for (name, value) in environment {
            pipeline.set(&Service::ALL, name, value);
        }
        pipeline.start_all().await?;
        Ok(pipeline)
    }

    /// As [`Pipeline::start`], with a gateway that writes into Kafka itself: there is no relay and no writer.
    ///
    /// # Errors
    /// As there.
    pub async fn start_one_hop() -> Result<Self> {
        let (kafka, valkey) = tokio::try_join!(Kafka::start(), Valkey::start())?;
        let mut pipeline = Self::with_topics(&Service::ONE_HOP, kafka, valkey.into()).await?;
        pipeline.set(&[Service::Gateway], "BLACKFRIDAY_GATEWAY_UPSTREAM", "log");
        pipeline.start_all().await?;
        Ok(pipeline)
    }

    /// Makes the topics. Starts no service yet.
    ///
    /// # Errors
    /// The command's binary is missing, or the topics cannot be made.
    pub async fn prepare(kafka: Kafka, valkey: impl Into<Arc<Valkey>>) -> Result<Self> {
        let mut pipeline = Self::with_topics(&Service::ALL, kafka, valkey.into()).await?;
        let processes = &mut pipeline.processes;
        let relay = format!("http://{}", processes.address(Service::Relay));
        processes.set(&[Service::Gateway], "BLACKFRIDAY_RELAY_URL", &relay);
        processes.set(&[Service::Relay], "BLACKFRIDAY_RELAY_TRUST_HOPS", "true");
        let writers = WRITERS.map(|writer| processes.address(writer).to_string()).join(",");
        processes.set(&[Service::Relay], "BLACKFRIDAY_WRITER_TARGET", &writers);
        Ok(pipeline)
    }

    async fn with_topics(services: &'static [Service], kafka: Kafka, valkey: Arc<Valkey>) -> Result<Self> {
        let mut processes = Processes::new(services)?;
        let (brokers, url) = (kafka.bootstrap().to_owned(), valkey.url().to_owned());
        for (name, value) in [("BLACKFRIDAY_KAFKA_BROKERS", &brokers), ("BLACKFRIDAY_VALKEY_URL", &url)] {
            processes.set(services, name, value);
            processes.set_of_commands(name, value);
        }
        processes.run("topics", &["create", "--partitions", &PARTITIONS.to_string()]).await?;
        Ok(Self { kafka, valkey, processes })
    }
}

impl Deref for Pipeline {
    type Target = Processes;

    fn deref(&self) -> &Processes {
        &self.processes
    }
}

impl DerefMut for Pipeline {
    fn deref_mut(&mut self) -> &mut Processes {
        &mut self.processes
    }
}
