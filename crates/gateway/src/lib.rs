//! The public REST API
