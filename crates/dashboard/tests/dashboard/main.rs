//! The dashboard over a real Valkey: the read API, the event stream, and the page in a real browser.

mod api;
mod browser;
mod connection;
mod grafana;
mod layout;
mod names;
mod page;
mod start;
mod streams;
mod support;
mod weather;
