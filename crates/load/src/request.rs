//! A request of a load: where it goes, when it is sent, which events are in it.

use std::time::Duration;

use blackfriday_workload::Arrivals;

/// What is sent: sales, one a request or many, or weather reports.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// `POST /venta`: one sale a request.
    Venta,
    /// `POST /ventas`: many sales a request.
    Ventas,
    /// `POST /input`: one weather report a request.
    Input,
}

impl Route {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Venta => "/venta",
            Self::Ventas => "/ventas",
            Self::Input => "/input",
        }
    }

    /// What is sent, for people.
    pub(crate) fn events(self) -> &'static str {
        match self {
            Self::Venta | Self::Ventas => "sales",
            Self::Input => "reports",
        }
    }
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
    /// Number of its first event.
    pub(crate) first: u64,
    /// Events in it.
    pub(crate) count: u64,
}
