//! The ports at which commands look and services listen by default.

pub(crate) const GATEWAY: u16 = 8080;
pub(crate) const DASHBOARD: u16 = 8090;
/// Where `up` says whether it is ready.
pub(crate) const ADMIN: u16 = 9080;
pub(crate) const KAFKA: u16 = 9092;
pub(crate) const VALKEY: u16 = 6379;
/// Of the stream protocol.
pub(crate) const RABBITMQ: u16 = 5552;
/// Next to Valkey's.
pub(crate) const REDIS: u16 = 6380;
