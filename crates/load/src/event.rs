use std::io::Write as _;

use blackfriday_event::{SaleDraft, WeatherDraft};
use blackfriday_receipts::Content;
use serde_json::json;

const INFALLIBLE: &str = "writing into a Vec cannot fail";

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Draft {
    /// A sale.
    Sale(SaleDraft),
    /// A weather report.
    Weather(WeatherDraft),
}

impl Draft {
    /// What a receipt says of it.
    pub(crate) fn content(&self) -> Content {
        match self {
            Self::Sale(sale) => Content::of_sale(sale),
            Self::Weather(report) => Content::of_weather(report),
        }
    }

    /// What tells equal items of a batch from others.
    pub(crate) fn digest(&self) -> [u8; 8] {
        match self {
            Self::Sale(sale) => sale.digest(),
            Self::Weather(report) => report.digest(),
        }
    }

    /// Writes it as JSON.
    pub(crate) fn write(&self, body: &mut Vec<u8>) {
        match self {
            Self::Sale(sale) => write_sale(body, sale),
            Self::Weather(report) => write_report(body, report),
        }
    }
}

fn write_sale(body: &mut Vec<u8>, sale: &SaleDraft) {
    let (category, price, units) = (sale.category, sale.price, sale.quantity.units());
    write!(body, "{{\"categoria\":\"{category}\",\"producto_id\":").expect(INFALLIBLE);
    serde_json::to_writer(&mut *body, sale.product_id.as_str()).expect(INFALLIBLE);
    write!(body, ",\"precio\":{price},\"cantidad_vendida\":{units}}}").expect(INFALLIBLE);
}

fn write_report(body: &mut Vec<u8>, report: &WeatherDraft) {
    let WeatherDraft { description, country, weather } = report;
    let report = json!({"description": description, "country": country, "weather": weather});
    serde_json::to_writer(body, &report).expect(INFALLIBLE);
}
