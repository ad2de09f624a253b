//! Where the system is, for people and for the other commands.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use blackfriday_broker::EventLog;
use blackfriday_service::bind;
use blackfriday_terminal::failure::Unavailable;
use blackfriday_terminal::output;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::path::{Events, Path, StoreKind};
use super::servers::Servers;
use super::services::Services;

/// Knows the desktop's browser, on whatever desktop (xdg-utils).
const OPENER: &str = "xdg-open";

/// Where clients reach what runs.
pub(crate) struct Addresses {
    /// The page, without a path.
    pub(crate) page: String,
    /// The gateway, without a path.
    pub(crate) gateway: String,
    sends: Vec<Events>,
    variables: Vec<(&'static str, String)>,
}

impl Addresses {
    pub(crate) fn new(servers: &Servers, services: &Services, paths: &[Path]) -> Self {
        let has = |events| paths.iter().any(|path| path.events == events);
        let sends = [Events::Sales, Events::Weather].into_iter().filter(|events| has(*events)).collect();
        let [page, gateway] = [services.dashboard, services.gateway].map(reached);
        let log_of = |log| paths.iter().any(|path| path.log == log).then(|| servers.log_address(log));
        let mut variables = vec![("BLACKFRIDAY_GATEWAY_URL", gateway.clone())];
        variables.extend(log_of(EventLog::Kafka).map(|brokers| ("BLACKFRIDAY_KAFKA_BROKERS", brokers)));
        variables.extend(log_of(EventLog::RabbitMq).map(|servers| ("BLACKFRIDAY_RABBITMQ_SERVERS", servers)));
        variables.push(("BLACKFRIDAY_VALKEY_URL", servers.url(default_store(paths))));
        Self { page, gateway, sends, variables }
    }

    /// What runs, and where.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("  the page     {}/", self.page)];
        lines.extend(
            self.sends.iter().map(|events| format!("  the gateway  {}/{}", self.gateway, events.route())),
        );
        lines
    }

    /// Opens the page in a browser, which stays when this process ends.
    pub(crate) fn open(&self) {
        let mut browser = Command::new(OPENER);
        browser.arg(&self.page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Err(error) = browser.spawn() {
            output::note(format_args!("no browser was opened: {OPENER}: {error}"));
        }
    }

    /// Lines for a shell, by which the other commands find what runs.
    pub(crate) fn exports(&self) -> impl Iterator<Item = String> {
        self.variables.iter().map(|(name, value)| format!("  export {name}={value}"))
    }
}

/// Where commands look by default.
pub(crate) fn default_store(paths: &[Path]) -> StoreKind {
    let of_sales = paths.iter().find(|path| path.events == Events::Sales);
    of_sales.map_or(StoreKind::Valkey, |path| path.store)
}

/// Listens where it was asked for. Who was not asked takes the usual port of loopback if it is free, else any.
pub(crate) fn listen(flag: &str, asked: Option<SocketAddr>, usual: u16) -> Result<TcpListener> {
    if let Some(address) = asked {
        let taken = || Unavailable(format!("{flag} has to name another address"));
        return bind(address).with_context(taken);
    }
    let on_loopback = |port| bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    Ok(on_loopback(usual).or_else(|_| on_loopback(0))?)
}

/// From this machine.
fn reached(listens: SocketAddr) -> String {
    let ip = if listens.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listens.ip() };
    format!("http://{}", SocketAddr::new(ip, listens.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error_only_where_it_was_asked_for() {
        let taken = listen("--x", None, 0).expect("a free port");
        let address = taken.local_addr().expect("bound");
        let other = listen("--x", None, address.port()).expect("another one");
        assert_ne!(other.local_addr().expect("bound"), address);
        let told = format!("{:#}", listen("--x", Some(address), 0).expect_err("it is taken"));
        assert!(told.starts_with("--x has to name another address: cannot listen on 127.0.0.1:"), "{told}");
    }

    #[test]
    fn what_listens_everywhere_is_reached_on_loopback() {
        assert_eq!(reached(SocketAddr::from(([0, 0, 0, 0], 8090))), "http://127.0.0.1:8090");
        assert_eq!(reached(SocketAddr::from(([192, 0, 2, 1], 80))), "http://192.0.2.1:80");
    }
}
