//! The topics of the event log, one for each kind of event. Their names belong to the wire, in Kafka's topics, RabbitMQ's
//! streams and the keys of the store alike, so no setting changes them.

/// The topic of sales.
pub const SALES: &str = "ventas";
/// The topic of weather reports.
pub const WEATHER: &str = "clima";
