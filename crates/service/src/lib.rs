//! The process skeleton: configuration, signals, admin port, bounded HTTP serving, drain in order
