//! The whole system in this process, for `demo` and `up`: servers as child processes or somebody else's, the services of every
//! way from clients into a store, and how others reach them.
//!
//! Invariant: services end before what they lean on, and what was started ends with what started it.

mod addresses;
mod configured;
mod path;
mod servers;
mod services;

pub(crate) use self::addresses::{Addresses, default_store, listen};
pub(crate) use self::configured::Environment;
pub(crate) use self::path::{Events, Path, StoreKind, paths};
pub(crate) use self::servers::{Place, Places, Server, Servers, Theirs};
pub(crate) use self::services::{Services, Shape};
