//! Real Kafka and Valkey as child processes on free loopback ports
