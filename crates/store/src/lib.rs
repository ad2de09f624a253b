//! The counters in Valkey: key schema, the atomic apply function, the reads
