//! Which stream is which partition of a topic.

use blackfriday_event::WEATHER;

use crate::partition::TopicPartition;

/// The first partition of weather: the name that clients of the weather system know.
const WEATHER_FIRST: &str = "clima-queue";
/// Partitions of a topic that are looked for, at the most.
pub(super) const MOST: i32 = 256;

/// The stream that is this partition.
pub(super) fn name_of(topic: &str, partition: i32) -> String {
    if topic == WEATHER && partition == 0 { WEATHER_FIRST.to_owned() } else { format!("{topic}-{partition}") }
}

/// Likewise.
pub(super) fn of(partition: &TopicPartition) -> String {
    name_of(&partition.topic, partition.partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weather_begins_with_the_queue_that_its_clients_know() {
        let names = [("ventas", 0), ("ventas", 11), ("clima", 0), ("clima", 1), ("clima.dlq", 0)];
        let names = names.map(|(topic, partition)| name_of(topic, partition));
        assert_eq!(names, ["ventas-0", "ventas-11", "clima-queue", "clima-1", "clima.dlq-0"]);
    }
}
