use std::sync::atomic::{AtomicBool, Ordering};

use blackfriday_proto::blackfriday::product_sale_service_server;
use blackfriday_proto::clima::weather_service_server;

/// A service of a writer. One may be out of order without the other: each writes into a topic of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    Sales,
    Weather,
}

/// A flag for each service.
#[derive(Debug, Default)]
pub(super) struct PerService([AtomicBool; 2]);

impl Served {
    pub(super) const ALL: [Self; 2] = [Self::Sales, Self::Weather];

    /// Its full name, under which `grpc.health.v1` knows it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sales => product_sale_service_server::SERVICE_NAME,
            Self::Weather => weather_service_server::SERVICE_NAME,
        }
    }

    /// The method that takes events.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Sales => "ProcesarVentas",
            Self::Weather => "Publicar",
        }
    }
}

impl PerService {
    pub(super) fn get(&self, served: Served) -> bool {
        self.0[served as usize].load(Ordering::Relaxed)
    }

    /// Gives the value before.
    pub(super) fn swap(&self, served: Served, value: bool) -> bool {
        self.0[served as usize].swap(value, Ordering::Relaxed)
    }
}
