//! REST in, gRPC out, balanced over all writers
