//! What gateway and relay share: REST bodies in, problem details out, coalescing lanes, balanced gRPC client
