//! A client of the assignment's own proto, which knows four fields of a sale and nothing that was added since.

#![allow(unused_qualifications, unreachable_pub, missing_docs, clippy::all, reason = "generated")]

tonic::include_proto!("blackfriday");
