//! Counts the records of the event log exactly once into the store
