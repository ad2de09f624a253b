//! A request of a load: where it goes, when it is sent, which sales are in it.

use std::time::Duration;

use blackfriday_workload::Arrivals;

/// One sale a request, or many.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `POST /venta`.
    Venta,
    /// `POST /ventas`.
    Ventas,
}

/// When requests are sent.
#[derive(Debug, Clone)]
pub(crate) enum Pace {
    /// When the last one on the connection is answered.
    Closed,
    /// At intended times, whatever the answers.
    Open {
        /// From the first to the last.
        length: Duration,
        /// How they are spread over it.
        arrivals: Arrivals,
    },
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Its number.
    pub(crate) number: u64,
    /// Number of its first sale.
    pub(crate) first: u64,
    /// Sales in it.
    pub(crate) count: u64,
}
