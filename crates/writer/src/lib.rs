//! gRPC server that publishes each sale to the event log
