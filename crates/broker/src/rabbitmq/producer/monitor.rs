//! Looks for the servers and at the topics, and keeps a lane up to each partition.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::lane::{Lane, Tally};
use super::link::{Link, is_over_a_limit};
use super::routes::{Route, Routes};
use crate::availability::Availability;
use crate::complaints::Complaints;
use crate::producer::Destination;
use crate::rabbitmq::codes::Code;
use crate::rabbitmq::dial::Dial;
use crate::rabbitmq::error::LinkError;
use crate::rabbitmq::streams;
use crate::rabbitmq::topology::{Locator, Place};

/// Between two looks while the broker is there, and while it is away or a topic takes no records.
const INTERVAL_UP: Duration = Duration::from_secs(1);
const INTERVAL_DOWN: Duration = Duration::from_millis(300);
/// How long a server may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long nothing is answered about records, until the server is asked whether it takes any.
const STILL: Duration = Duration::from_millis(500);
const OVER_A_LIMIT: &str = "the server is over its limit of memory or of disk, and takes no records";

/// What is looked with.
pub(super) struct Monitor {
    dial: Dial,
    locator: Locator,
    topics: Vec<Destination>,
    availability: Availability,
    complaints: Complaints,
    tally: Arc<Tally>,
    shown: Arc<RwLock<Arc<Routes>>>,
    lanes: HashMap<String, Arc<Lane>>,
    links: HashMap<String, Vec<Link>>,
    is_over_a_limit: bool,
}

/// Looks until the producer is gone.
pub(super) async fn watch_servers(mut monitor: Monitor, mut end: watch::Receiver<()>) {
    let hint = Arc::clone(&monitor.tally.hint);
    loop {
        let looked = Instant::now();
        let well = tokio::select! {
            well = monitor.look() => well,
            // It is never sent: the sender is dropped.
            _ = end.changed() => return,
        };
        let interval = if well { INTERVAL_UP } else { INTERVAL_DOWN };
        tokio::select! {
            hinted = timeout(interval, hint.notified()) => drop(hinted),
            _ = end.changed() => return,
        }
        // A stream whose leader moves is lost many times in a row: that must not keep us busy.
        tokio::time::sleep((INTERVAL_DOWN / 6).saturating_sub(looked.elapsed())).await;
    }
}

impl Monitor {
    pub(super) fn new(
        dial: Dial,
        topics: Vec<Destination>,
        availability: Availability,
        complaints: Complaints,
        tally: Arc<Tally>,
        shown: Arc<RwLock<Arc<Routes>>>,
    ) -> Self {
        Self {
            locator: Locator::new(dial.clone()),
            dial,
            topics,
            availability,
            complaints,
            tally,
            shown,
            lanes: HashMap::new(),
            links: HashMap::new(),
            is_over_a_limit: false,
        }
    }

    /// Whether the broker is there and every topic takes records.
    async fn look(&mut self) -> bool {
        self.tally.faults.tick();
        self.links.values_mut().for_each(|links| links.retain(Link::is_live));
        self.links.values().flatten().for_each(Link::bury_lost);
        match self.look_at_topics().await {
            Ok(well) => well,
            Err(error) => {
                self.complain(&error);
                self.availability.set(false);
                false
            }
        }
    }

    /// Waits for a connection as long as a login may take: a server answers a wrong password late, and on purpose. The broker
    /// is away meanwhile.
    async fn connect(&self) -> Result<(), LinkError> {
        let mut connecting = pin!(self.locator.connection());
        if let Ok(connected) = timeout(PROBE_TIMEOUT, &mut connecting).await {
            return connected.map(drop);
        }
        self.availability.set(false);
        connecting.await.map(drop)
    }

    async fn look_at_topics(&mut self) -> Result<bool, LinkError> {
        self.connect().await?;
        let (mut places, mut streams) = (Vec::new(), Vec::new());
        for destination in &self.topics {
            let asked = self.locator.partitions(&destination.topic, PROBE_TIMEOUT);
            let slow = |_| LinkError::NoAnswer {
                address: self.locator.dial.servers.join(","),
                after: PROBE_TIMEOUT,
            };
            let found = timeout(PROBE_TIMEOUT, asked).await.map_err(slow)??;
            streams.extend(found.keys().map(|id| streams::name_of(&destination.topic, *id)));
            places.push(found);
        }
        self.look_at_limits(streams.first()).await?;
        let mut routes = Routes::default();
        let (mut is_there, mut well) = (false, true);
        for (destination, places) in self.topics.clone().iter().zip(&places) {
            let ways = self.ways(&destination.topic, places).await;
            let alarm = self.is_over_a_limit.then(|| OVER_A_LIMIT.to_owned());
            let reason = destination.lacks(places.len()).or_else(|| leaderless(places)).or(alarm);
            well &= reason.is_none() && ways.iter().all(|way| matches!(way, Route::Up(_)));
            self.tally.faults.looked(&destination.topic, reason);
            is_there |= ways.iter().any(|way| !matches!(way, Route::Down));
            routes.0.insert(destination.topic.clone(), ways);
        }
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routes);
        self.availability.set(is_there || self.is_over_a_limit);
        Ok(well)
    }

    /// Asks a server whether it is over a limit, if something suggests it.
    async fn look_at_limits(&mut self, stream: Option<&String>) -> Result<(), LinkError> {
        let is_still = self.lanes.values().any(|lane| lane.still_for() >= STILL);
        if let Some(stream) = stream.filter(|_| self.is_over_a_limit || is_still) {
            let connection = self.locator.connection().await?;
            self.is_over_a_limit = is_over_a_limit(&connection, stream).await;
        }
        Ok(())
    }

    /// The ways to the partitions of a topic; those that are not up are tried.
    async fn ways(&mut self, topic: &str, places: &BTreeMap<i32, Place>) -> Vec<Route> {
        let count = places.keys().next_back().map_or(0, |last| last + 1);
        let mut ways = Vec::new();
        for partition in 0..count {
            let way = match places.get(&partition) {
                Some(Place::Led(leader)) => self.way(topic, partition, leader).await,
                _ => Route::Down,
            };
            ways.push(way);
        }
        ways
    }

    async fn way(&mut self, topic: &str, partition: i32, leader: &str) -> Route {
        let stream = streams::name_of(topic, partition);
        // A lane that is up is kept although its stream may have moved: its server passes records on.
        if let Some(lane) = self.lanes.get(&stream).filter(|lane| !lane.is_closed()) {
            return Route::Up(Arc::clone(lane));
        }
        self.lanes.remove(&stream);
        match self.make_lane(topic, &stream, partition, leader).await {
            Ok(lane) => {
                self.complaints.passed();
                self.lanes.insert(stream, Arc::clone(&lane));
                Route::Up(lane)
            }
            Err(LinkError::Refused { code: Code::PRECONDITION_FAILED, .. }) => {
                self.is_over_a_limit = true;
                Route::Down
            }
            Err(error @ LinkError::Refused { code: Code::ACCESS_REFUSED, .. }) => {
                Route::Refused(error.to_string())
            }
            Err(error) => {
                self.complain(&error);
                Route::Down
            }
        }
    }

    async fn make_lane(
        &mut self,
        topic: &str,
        stream: &str,
        partition: i32,
        leader: &str,
    ) -> Result<Arc<Lane>, LinkError> {
        let links = self.links.entry(leader.to_owned()).or_default();
        links.retain(Link::is_live);
        if !links.iter().any(Link::has_room) {
            links.push(Link::open(&self.dial, leader, Arc::clone(&self.tally)).await?);
        }
        let link = links.iter().find(|link| link.has_room()).expect("one was made");
        link.lane(topic, stream, partition).await
    }

    fn complain(&self, error: &LinkError) {
        match error.check() {
            Some(check) => self.complaints.tell(&error.to_string(), check),
            None => tracing::debug!(%error, "RabbitMQ cannot be reached"),
        }
    }
}

/// Why a topic takes no records none of whose partitions has a leader.
fn leaderless(places: &BTreeMap<i32, Place>) -> Option<String> {
    let is_led = |place: &Place| matches!(place, Place::Led(_));
    (!places.is_empty() && !places.values().any(is_led)).then(|| "its partitions have no leader".to_owned())
}
