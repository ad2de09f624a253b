//! The weather of both stores, country by country. They count the same reports from two logs, so that they come to the same
//! numbers, if not at the same moment.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use blackfriday_store::WeatherSnapshot;

use super::read::Unreadable;
use super::{Country, CountryInRedis, Weather, WeatherInRedis};
use crate::trouble::Trouble;

/// The numbers of one store that can be read.
struct Numbers {
    total: Option<u64>,
    by_country: BTreeMap<String, Option<u64>>,
}

impl Weather {
    /// From Valkey's, and from Redis's or why they are not known, where there is a Redis.
    pub(super) fn of(
        valkey: &WeatherSnapshot,
        redis: Option<&Result<WeatherSnapshot, Trouble>>,
        unreadable: &mut Unreadable,
    ) -> Self {
        let valkey = Numbers::of(valkey, "clima", unreadable);
        let redis = redis.map(|redis| {
            redis.as_ref().map(|redis| Numbers::of(redis, "clima.redis", unreadable)).map_err(|why| *why)
        });
        let held = redis.iter().flatten().flat_map(|redis| redis.by_country.keys());
        let names: BTreeSet<_> = valkey.by_country.keys().chain(held).collect();
        let mut paises: Vec<_> =
            names.into_iter().map(|name| Country::of(name, &valkey, redis.as_ref())).collect();
        // Stable: countries with equally many stay in the order of their names.
        paises.sort_by_key(|country| Reverse(country.most()));
        let redis = redis.map(|redis| WeatherInRedis::of(redis.as_ref(), &valkey));
        Self { total: valkey.total, paises, redis }
    }
}

impl WeatherInRedis {
    fn of(redis: Result<&Numbers, &Trouble>, valkey: &Numbers) -> Self {
        match redis {
            Ok(redis) => {
                let differs = redis.total != valkey.total || redis.by_country != valkey.by_country;
                Self { total: redis.total, motivo: None, difiere: Some(differs) }
            }
            Err(trouble) => Self { total: None, motivo: Some(trouble.word()), difiere: None },
        }
    }
}

impl Country {
    fn of(name: &str, valkey: &Numbers, redis: Option<&Result<Numbers, Trouble>>) -> Self {
        let reportes = valkey.of_country(name);
        let redis = redis.map(|redis| {
            let known = redis.as_ref().ok().map(|redis| redis.of_country(name));
            CountryInRedis {
                reportes_redis: known.flatten(),
                difiere: known.map(|reports| reports != reportes),
            }
        });
        Self { pais: name.to_owned(), reportes, redis }
    }

    /// In the store that has more.
    fn most(&self) -> Option<u64> {
        self.reportes.max(self.redis.and_then(|redis| redis.reportes_redis))
    }
}

impl Numbers {
    /// `place` begins the names of what cannot be read.
    fn of(weather: &WeatherSnapshot, place: &str, unreadable: &mut Unreadable) -> Self {
        let any = !weather.by_country.is_empty();
        let mut count = |name: &str, expected, text: Option<&str>| -> Option<u64> {
            unreadable.decimal(&format!("{place}.{name}"), expected, text, 0)?.parse().ok()
        };
        let total = count("total", any, weather.total.as_deref());
        let country = |(name, reports): (&String, &String)| {
            (name.clone(), count(&format!("paises.{name}"), true, Some(reports)))
        };
        Self { total, by_country: weather.by_country.iter().map(country).collect() }
    }

    fn of_country(&self, name: &str) -> Option<u64> {
        self.by_country.get(name).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counted(total: &str, countries: &[(&str, &str)]) -> WeatherSnapshot {
        let country = |(name, reports): &(&str, &str)| ((*name).to_owned(), (*reports).to_owned());
        WeatherSnapshot { total: Some(total.to_owned()), by_country: countries.iter().map(country).collect() }
    }

    fn weather(
        valkey: &WeatherSnapshot,
        redis: Option<Result<WeatherSnapshot, Trouble>>,
    ) -> serde_json::Value {
        let weather = Weather::of(valkey, redis.as_ref(), &mut Unreadable::default());
        serde_json::to_value(weather).expect("serializes")
    }

    #[test]
    fn without_a_second_store_nothing_is_said_of_one() {
        let countries = [("Belice", "2"), ("Guatemala", "10"), ("Honduras", "2")];
        let country = |name, reports| json!({"pais": name, "reportes": reports});
        let paises = [country("Guatemala", 10), country("Belice", 2), country("Honduras", 2)];
        assert_eq!(weather(&counted("14", &countries), None), json!({"total": 14, "paises": paises}));
    }

    #[test]
    fn what_the_stores_disagree_on_is_marked() {
        let valkey = counted("5", &[("Belice", "2"), ("Guatemala", "3")]);
        let same = weather(&valkey, Some(Ok(valkey.clone())));
        assert_eq!(same["redis"], json!({"total": 5, "motivo": null, "difiere": false}));
        assert_eq!(
            same["paises"][0],
            json!({"pais": "Guatemala", "reportes": 3, "reportes_redis": 3, "difiere": false})
        );
        let other = weather(&valkey, Some(Ok(counted("12", &[("Guatemala", "3"), ("Honduras", "9")]))));
        assert_eq!(other["redis"]["difiere"], true);
        let country = |name, reports: Option<u64>, redis: Option<u64>| {
            let differs = reports != redis;
            json!({"pais": name, "reportes": reports, "reportes_redis": redis, "difiere": differs})
        };
        let paises = [
            country("Honduras", None, Some(9)),
            country("Guatemala", Some(3), Some(3)),
            country("Belice", Some(2), None),
        ];
        assert_eq!(other["paises"], json!(paises));
    }

    #[test]
    fn a_second_store_that_is_away_hides_nothing_else() {
        let away = weather(&counted("2", &[("Belice", "2")]), Some(Err(Trouble::Away)));
        assert_eq!(away["redis"], json!({"total": null, "motivo": "ausente", "difiere": null}));
        let belice = json!({"pais": "Belice", "reportes": 2, "reportes_redis": null, "difiere": null});
        assert_eq!(away["paises"], json!([belice]));
    }
}
