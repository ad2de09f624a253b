//! The event log: publish with acknowledgement, subscribe from an offset
