//! Read API and live page over the store
