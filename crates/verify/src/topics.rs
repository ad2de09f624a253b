use std::fmt;
use std::str::FromStr;

use blackfriday_broker::{SALES, WEATHER};
use blackfriday_receipts::Receipts;
use blackfriday_store::Part;

/// Which topics are compared. What else a store counts may be of another log, and is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topics {
    sales: bool,
    weather: bool,
}

impl Topics {
    /// Sales and weather reports.
    pub const ALL: Self = Self { sales: true, weather: true };
    /// Sales only.
    pub const SALES: Self = Self { sales: true, weather: false };
    /// Weather reports only.
    pub const WEATHER: Self = Self { sales: false, weather: true };

    /// Their names.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        [(self.sales, SALES), (self.weather, WEATHER)]
            .into_iter()
            .filter_map(|(compared, topic)| compared.then_some(topic))
    }

    /// Whether a topic is one of them.
    pub(crate) fn holds(self, topic: &str) -> bool {
        self.names().any(|name| name == topic)
    }

    /// What the store has of the others.
    pub(crate) fn left_out(self) -> Vec<Part<'static>> {
        let others = [(self.sales, Part::Sales(SALES)), (self.weather, Part::Weather(WEATHER))];
        others.into_iter().filter_map(|(compared, part)| (!compared).then_some(part)).collect()
    }

    /// Takes the receipts out that cannot be of these topics. Where an outcome is not known, a receipt does not say what was
    /// sent: the log does, if it has it.
    pub(crate) fn keep(self, receipts: &mut Receipts) {
        if !self.sales {
            receipts.sales.clear();
        }
        if !self.weather {
            receipts.weather.clear();
        }
    }
}

impl FromStr for Topics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut topics = Self { sales: false, weather: false };
        for name in text.split(',') {
            match name.trim() {
                SALES => topics.sales = true,
                WEATHER => topics.weather = true,
                other => return Err(format!("{other:?} is not one of {SALES}, {WEATHER}")),
            }
        }
        Ok(topics)
    }
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_what_is_no_topic_is_refused() {
        for (text, topics) in
            [("ventas", Topics::SALES), ("clima", Topics::WEATHER), ("clima, ventas", Topics::ALL)]
        {
            assert_eq!(text.parse(), Ok(topics));
        }
        assert_eq!(Topics::ALL.to_string().parse(), Ok(Topics::ALL));
        for wrong in ["", "ventas.dlq", "ventas,", "weather"] {
            wrong.parse::<Topics>().expect_err(wrong);
        }
        assert_eq!(Topics::WEATHER.left_out(), [Part::Sales(SALES)]);
        assert!(Topics::ALL.left_out().is_empty());
    }
}
