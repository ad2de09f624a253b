use blackfriday_event::{Category, WeatherReport};

/// How the names begin of what belongs to partitions.
const POSITIONS: [&str; 6] = ["posicion:", "ultimo:", "detenido:", "empezado:", "idempotencia:", "esquema"];
/// How those of the counters of sales begin.
const SALES: [&str; 7] = [
    "ventas:global:",
    "reportes:total",
    "ranking:",
    "stats:",
    "historial:precio:",
    "serie:ventas",
    "serie:precio:",
];
/// How those of the counters of weather reports begin.
const WEATHER: [&str; 3] = ["clima:", "country_counts", "total_messages"];

/// The names of the keys, under a prefix.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    /// How the schema's fields begin that say which partitions were begun.
    pub(crate) const BEGUN: &str = "particion:";

    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn position(&self, topic: &str) -> String {
        format!("{}posicion:{topic}", self.prefix)
    }

    /// The last counted record of each partition.
    pub(crate) fn last(&self, topic: &str) -> String {
        format!("{}ultimo:{topic}", self.prefix)
    }

    /// The partitions that are stopped, and why.
    pub(crate) fn stopped(&self, topic: &str) -> String {
        format!("{}detenido:{topic}", self.prefix)
    }

    /// What an apply has begun and not finished: nothing, unless a torn append-only file gave back a part of one.
    pub(crate) fn begun(&self, topic: &str) -> String {
        format!("{}empezado:{topic}", self.prefix)
    }

    /// Offset and digest of the event that each idempotency key was counted with.
    pub(crate) fn events(&self, topic: &str, partition: i32) -> String {
        format!("{}idempotencia:{topic}:{partition}:evento", self.prefix)
    }

    /// What every function takes first, in this order.
    pub(crate) fn of_place(&self, topic: &str, partition: i32) -> Vec<String> {
        vec![
            self.position(topic),
            self.last(topic),
            self.stopped(topic),
            self.begun(topic),
            self.schema(),
            self.idempotency(topic, partition),
            self.events(topic, partition),
        ]
    }

    pub(crate) fn idempotency(&self, topic: &str, partition: i32) -> String {
        format!("{}idempotencia:{topic}:{partition}", self.prefix)
    }

    pub(crate) fn schema(&self) -> String {
        self.named("esquema")
    }

    /// The schema's field that says that a partition was begun: from then on it must have a position.
    pub(crate) fn begun_field(topic: &str, partition: i32) -> String {
        format!("{}{partition}", Self::begun_prefix(topic))
    }

    pub(crate) fn begun_prefix(topic: &str) -> String {
        format!("{}{topic}:", Self::BEGUN)
    }

    pub(crate) fn price_max(&self) -> String {
        self.named("ventas:global:precio_max")
    }

    pub(crate) fn price_min(&self) -> String {
        self.named("ventas:global:precio_min")
    }

    pub(crate) fn reports(&self) -> String {
        self.named("reportes:total")
    }

    pub(crate) fn reports_of(&self, category: Category) -> String {
        format!("{}reportes:total:{category}", self.prefix)
    }

    pub(crate) fn ranking(&self) -> String {
        self.named("ranking:global")
    }

    pub(crate) fn ranking_of(&self, category: Category) -> String {
        format!("{}ranking:{category}", self.prefix)
    }

    pub(crate) fn price_sum(&self) -> String {
        self.named("stats:precio:suma")
    }

    pub(crate) fn units_sum(&self) -> String {
        self.named("stats:cantidad:suma")
    }

    pub(crate) fn revenue_sum(&self) -> String {
        self.named("stats:ingresos:suma")
    }

    pub(crate) fn price_mean(&self) -> String {
        self.named("stats:precio:promedio")
    }

    pub(crate) fn units_mean(&self) -> String {
        self.named("stats:cantidad:promedio")
    }

    pub(crate) fn history_of(&self, category: Category) -> String {
        format!("{}historial:precio:{category}", self.prefix)
    }

    pub(crate) fn series(&self) -> String {
        self.named("serie:ventas")
    }

    /// Prices by second.
    pub(crate) fn prices_of(&self, category: Category) -> String {
        format!("{}serie:precio:{category}", self.prefix)
    }

    pub(crate) fn country_counts(&self) -> String {
        self.named("country_counts")
    }

    pub(crate) fn total_messages(&self) -> String {
        self.named("total_messages")
    }

    pub(crate) fn weather(&self, report: &WeatherReport) -> String {
        format!("{}clima:{}:{}:{}", self.prefix, report.draft.country, report.accepted_at, report.id)
    }

    /// The counters of sales, in the order in which the function takes them.
    pub(crate) fn of_sales(&self) -> Vec<String> {
        let mut keys = vec![
            self.price_max(),
            self.price_min(),
            self.reports(),
            self.ranking(),
            self.price_sum(),
            self.units_sum(),
            self.revenue_sum(),
            self.price_mean(),
            self.units_mean(),
            self.series(),
        ];
        keys.extend(Category::ALL.map(|category| self.reports_of(category)));
        keys.extend(Category::ALL.map(|category| self.ranking_of(category)));
        keys.extend(Category::ALL.map(|category| self.history_of(category)));
        keys.extend(Category::ALL.map(|category| self.prices_of(category)));
        keys
    }

    /// Whether a key is one of the store's, by its name.
    pub(crate) fn is_ours(&self, key: &str) -> bool {
        self.begins_with(key, &POSITIONS) || self.counts_sales(key) || self.counts_weather(key)
    }

    /// Whether a key is a counter of sales, by its name.
    pub(crate) fn counts_sales(&self, key: &str) -> bool {
        self.begins_with(key, &SALES)
    }

    /// Whether a key is a counter of weather reports, or a report, by its name.
    pub(crate) fn counts_weather(&self, key: &str) -> bool {
        self.begins_with(key, &WEATHER)
    }

    /// Whether a key is about the partitions of this topic and of no other.
    pub(crate) fn is_of_topic(&self, key: &str, topic: &str) -> bool {
        let partitions = format!("{}idempotencia:{topic}:", self.prefix);
        let of_topic = [self.position(topic), self.last(topic), self.stopped(topic), self.begun(topic)];
        key.starts_with(&partitions) || of_topic.iter().any(|of_topic| of_topic == key)
    }

    fn begins_with(&self, key: &str, families: &[&str]) -> bool {
        key.strip_prefix(&self.prefix)
            .is_some_and(|name| families.iter().any(|family| name.starts_with(family)))
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}
