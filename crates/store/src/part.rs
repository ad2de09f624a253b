//! Which part of the store the events of one topic make up. A store may count topics of different logs, and is then proved
//! against each of them by itself.

use std::collections::BTreeMap;

use crate::keys::Keys;
use crate::model::Value;

/// A topic with what it is counted as: its positions, its idempotency keys and its counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// A topic of sales.
    Sales(&'a str),
    /// A topic of weather reports.
    Weather(&'a str),
}

impl Part<'_> {
    /// Whether a key belongs to it and to nothing else, by its name.
    pub(crate) fn holds(self, keys: &Keys, key: &str) -> bool {
        let is_counter = match self {
            Self::Sales(_) => keys.counts_sales(key),
            Self::Weather(_) => keys.counts_weather(key),
        };
        is_counter || keys.is_of_topic(key, self.topic())
    }

    /// Takes its partitions out of the schema, which belongs to all topics. One that was begun with them only has nothing
    /// left to say.
    pub(crate) fn leave_schema(self, keys: &Keys, dump: &mut BTreeMap<String, Value>) {
        let Some(Value::Hash(schema)) = dump.get_mut(&keys.schema()) else { return };
        let begun = Keys::begun_prefix(self.topic());
        let before = schema.len();
        schema.retain(|field, _| !field.starts_with(&begun));
        if schema.len() < before && !schema.keys().any(|field| field.starts_with(Keys::BEGUN)) {
            dump.remove(&keys.schema());
        }
    }

    fn topic(&self) -> &str {
        match self {
            Self::Sales(topic) | Self::Weather(topic) => topic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(keys: &Keys, names: &[&str], begun: &[&str]) -> BTreeMap<String, Value> {
        let text = |name: &&str| ((*name).to_owned(), Value::Text("1".to_owned()));
        let mut dump: BTreeMap<_, _> = names.iter().map(text).collect();
        let fields = begun.iter().chain(&["version"]).map(|field| ((*field).to_owned(), "1".to_owned()));
        dump.insert(keys.schema(), Value::Hash(fields.collect()));
        dump
    }

    #[test]
    fn each_key_of_a_topic_and_of_its_counters_is_held_and_no_other() {
        let keys = Keys::new("p:");
        let of_sales = [
            "p:posicion:ventas",
            "p:ultimo:ventas",
            "p:detenido:ventas",
            "p:empezado:ventas",
            "p:idempotencia:ventas:3",
            "p:idempotencia:ventas:3:evento",
            "p:ventas:global:precio_max",
            "p:reportes:total:Ropa",
            "p:ranking:global",
            "p:stats:precio:suma",
            "p:historial:precio:Ropa",
            "p:serie:ventas",
            "p:serie:precio:Ropa",
        ];
        let of_weather = [
            "p:posicion:clima",
            "p:idempotencia:clima:0",
            "p:clima:GT:1",
            "p:country_counts",
            "p:total_messages",
        ];
        for key in of_sales {
            assert!(
                Part::Sales("ventas").holds(&keys, key) && !Part::Weather("clima").holds(&keys, key),
                "{key}"
            );
        }
        for key in of_weather {
            assert!(
                !Part::Sales("ventas").holds(&keys, key) && Part::Weather("clima").holds(&keys, key),
                "{key}"
            );
        }
        for key in ["p:esquema", "p:posicion:ventas-2", "posicion:ventas"] {
            assert!(!Part::Sales("ventas").holds(&keys, key), "{key}");
        }
    }

    #[test]
    fn the_schema_keeps_what_the_other_topics_have_begun() {
        let keys = Keys::new("");
        let left_out = Part::Weather("clima");
        let mut both = dump(&keys, &[], &["particion:ventas:0", "particion:clima:0", "particion:clima:1"]);
        left_out.leave_schema(&keys, &mut both);
        assert_eq!(both, dump(&keys, &[], &["particion:ventas:0"]));
        let mut only = dump(&keys, &["posicion:clima"], &["particion:clima:0"]);
        left_out.leave_schema(&keys, &mut only);
        assert!(!only.contains_key("esquema"), "{only:?}");
        // A schema without any partition is a fault that stays to be seen.
        let mut bare = dump(&keys, &[], &[]);
        left_out.leave_schema(&keys, &mut bare);
        assert!(bare.contains_key("esquema"));
    }
}
