use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use blackfriday_broker::kafka::{Admin, BatchLimits, KafkaConfig, Subscription, SubscriptionEvent};
use blackfriday_broker::{RecordBatch, TopicPartition};
use blackfriday_proto::{Event, decode_record};
use blackfriday_store::{Store, model};
use uuid::Uuid;

use super::wait::Offsets;

/// Where an event lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: Uuid,
    pub(crate) partition: TopicPartition,
    pub(crate) offset: i64,
}

/// What the log holds.
pub(crate) struct Log {
    /// The store as it must be at the positions.
    pub(crate) model: model::State,
    pub(crate) sales: HashMap<Uuid, TopicPartition>,
    pub(crate) weather: HashMap<Uuid, TopicPartition>,
    /// Records of sales and of weather, up to the log's ends.
    pub(crate) sale_records: u64,
    pub(crate) weather_records: u64,
    /// Second records of an event without an idempotency key.
    pub(crate) doubled: Vec<Place>,
    /// Records under an idempotency key that was counted already.
    pub(crate) repeated: u64,
    /// Events that lie beyond the positions.
    pub(crate) uncounted: Vec<Place>,
    /// Records that are none, which belong to the dead letters.
    pub(crate) undecodable: u64,
}

/// Reads every partition from its beginning to its end. What lies below `positions` goes into the model.
pub(super) async fn read(
    kafka: &KafkaConfig,
    admin: &Admin,
    store: &Store,
    positions: &Offsets,
) -> Result<Log> {
    let mut log = Log::new(store);
    let mut open = HashMap::new();
    let mut subscription = Subscription::open(kafka, BatchLimits::default(), false)?;
    for (partition, end) in super::wait::ends(admin).await? {
        let low = admin.watermarks(&partition).await?.low;
        if low > 0 {
            bail!("{partition}: offsets 0 to {low} are gone by retention, so the store cannot be recomputed");
        }
        let position = positions.get(&partition).copied().unwrap_or(0);
        log.model.advance(&partition.topic, partition.partition, position);
        if end > 0 {
            subscription.start(partition.clone(), 0, 0);
            open.insert(partition, end);
        }
    }
    while !open.is_empty() {
        match subscription.next().await.context("the reading thread died")? {
            SubscriptionEvent::OutOfRange => bail!("the log was cut while it was read"),
            SubscriptionEvent::Batch(batch) => {
                let Some(end) = open.get(&batch.partition).copied() else { continue };
                if batch.to >= end {
                    open.remove(&batch.partition);
                    subscription.stop(batch.partition.clone());
                }
                let position = positions.get(&batch.partition).copied().unwrap_or(0);
                log.add(batch, position, end);
            }
        }
    }
    Ok(log)
}

impl Log {
    fn new(store: &Store) -> Self {
        Self {
            model: store.model(),
            sales: HashMap::new(),
            weather: HashMap::new(),
            sale_records: 0,
            weather_records: 0,
            doubled: Vec::new(),
            repeated: 0,
            uncounted: Vec::new(),
            undecodable: 0,
        }
    }

    fn add(&mut self, batch: RecordBatch, position: i64, end: i64) {
        let RecordBatch { partition, records, .. } = batch;
        for record in records.into_iter().filter(|record| record.offset < end) {
            let counted = record.offset < position;
            match decode_record(&record.payload) {
                Ok(event) => self.add_event(&event, &partition, record.offset, counted),
                Err(_) => self.undecodable += 1,
            }
        }
    }

    fn add_event(&mut self, event: &Event, partition: &TopicPartition, offset: i64, counted: bool) {
        let (topic, number) = (&*partition.topic, partition.partition);
        let (id, keyed) = match event {
            Event::Sale(sale) => (sale.id, sale.idempotency_key.is_some()),
            Event::Weather(report) => (report.id, report.idempotency_key.is_some()),
        };
        let place = Place { id: id.as_uuid(), partition: partition.clone(), offset };
        let (known, records) = match event {
            Event::Sale(_) => (&mut self.sales, &mut self.sale_records),
            Event::Weather(_) => (&mut self.weather, &mut self.weather_records),
        };
        *records += 1;
        if known.insert(id.as_uuid(), partition.clone()).is_some() && !keyed {
            self.doubled.push(place.clone());
        }
        if !counted {
            self.uncounted.push(place);
            return;
        }
        let admitted = match event {
            Event::Sale(sale) => self.model.record_sale(topic, number, sale),
            Event::Weather(report) => self.model.record_weather(topic, number, report),
        };
        self.repeated += u64::from(!admitted);
    }
}
