//! Logs, traces, metrics and trace context across HTTP, gRPC and record headers
