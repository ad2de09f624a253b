//! A producing client whose reports are served by the runtime that waits for them.
//!
//! rdkafka's `ThreadedProducer` serves them on a thread of its own, which wakes the runtime's: one more thread that has to
//! be scheduled between an acknowledgement and its answer.
//!
//! Invariant: whatever makes the queue of reports non-empty wakes the task, and the task serves until the queue is empty.

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::types::RDKafka;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::deliveries::Deliveries;

/// The client. At its end, which may take half a second, each record that it still holds gets its outcome.
pub(super) struct Served {
    // Dropped first: librdkafka wants all references to a client's queues back before its end.
    reports: Reports,
    producer: BaseProducer<Deliveries>,
}

/// A client's queue of reports, which tells when something comes into it.
struct Reports {
    queue: NonNull<sys::rd_kafka_queue_t>,
    /// Outlives the callback, which has a pointer to it.
    come: Arc<Notify>,
}

// SAFETY: librdkafka's queues may be used by any thread.
unsafe impl Send for Reports {}
// SAFETY: as above.
unsafe impl Sync for Reports {}

impl Served {
    /// Makes a client, and serves its reports on this runtime as long as it is there.
    ///
    /// # Errors
    /// A setting is refused.
    pub(super) fn start(
        config: &rdkafka::ClientConfig,
        deliveries: Deliveries,
        runtime: &Handle,
    ) -> KafkaResult<Arc<Self>> {
        let producer = BaseProducer::from_config_and_context(config, deliveries)?;
        let come = Arc::new(Notify::new());
        let reports = Reports::of(&producer, Arc::clone(&come))?;
        let served = Arc::new(Self { reports, producer });
        runtime.spawn(serve(Arc::downgrade(&served), come));
        Ok(served)
    }

    /// Serves what is there, and says whether more has come meanwhile.
    fn serve(&self) -> bool {
        for _ in 0..self.reports.count() {
            // Without patience it serves one.
            self.producer.poll(Duration::ZERO);
        }
        self.reports.count() > 0
    }
}

impl Deref for Served {
    type Target = BaseProducer<Deliveries>;

    fn deref(&self) -> &Self::Target {
        &self.producer
    }
}

async fn serve(served: Weak<Served>, come: Arc<Notify>) {
    loop {
        come.notified().await;
        loop {
            let Some(alive) = served.upgrade() else { return };
            let more = alive.serve();
            let_go(alive);
            if !more {
                break;
            }
            yield_now().await;
        }
    }
}

/// Gives a reference back where a client's end must not take time: if it is the last one, a thread ends the client.
pub(super) fn let_go<T: Send + Sync + 'static>(shared: Arc<T>) {
    if let Some(last) = Arc::into_inner(shared) {
        thread::spawn(move || drop(last));
    }
}

impl Reports {
    fn of(producer: &BaseProducer<Deliveries>, come: Arc<Notify>) -> KafkaResult<Self> {
        // SAFETY: the client lives as long as the producer, which outlives the reference.
        let queue = unsafe { sys::rd_kafka_queue_get_main(producer.client().native_ptr()) };
        let none = || KafkaError::ClientCreation("no queue of reports".to_owned());
        let reports = Self { queue: NonNull::new(queue).ok_or_else(none)?, come };
        let opaque = Arc::as_ptr(&reports.come).cast_mut().cast();
        // SAFETY: what the pointer leads to is there until the callback has been taken back.
        unsafe { sys::rd_kafka_queue_cb_event_enable(reports.queue.as_ptr(), Some(tell), opaque) };
        // For what came before that.
        reports.come.notify_one();
        Ok(reports)
    }

    fn count(&self) -> usize {
        // SAFETY: the reference is ours until it is dropped.
        unsafe { sys::rd_kafka_queue_length(self.queue.as_ptr()) }
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and given back once. The callback is called under the lock that taking it back waits for.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// Called by the client's threads when something comes into an empty queue, under the queue's lock.
unsafe extern "C" fn tell(_: *mut RDKafka, come: *mut c_void) {
    // SAFETY: it is the pointer that was given along, and what it leads to is there.
    unsafe { &*come.cast_const().cast::<Notify>() }.notify_one();
}
