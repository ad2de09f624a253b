//! The domain of a flash sale: what a sale is, what makes it valid, and how sales add up.
//!
//! Everything that enters the pipeline becomes a [`Sale`] or a [`WeatherReport`] here, at the edge,
//! and everything that is counted leaves it as a [`SaleTally`] or a [`WeatherTally`]. No I/O; the only clock read is
//! the one in a new [`EventId`].
//!
//! Invariant: every aggregate is a commutative, associative fold over exact integers, so the result
//! depends on the set of accepted events only, never on their order or on how they were split into batches.

mod accepted;
mod category;
mod digest;
mod field_error;
mod id;
mod idempotency;
mod key_window;
mod money;
mod product;
mod sale;
mod second_prices;
mod tally;
mod time;
mod topics;
mod visible;
mod weather;

pub use accepted::{Accepted, Event, Sale, WeatherReport};
pub use category::Category;
pub use digest::{from_hex as digest_from_hex, to_hex as digest_to_hex};
pub use field_error::{FieldError, FieldErrors};
pub use id::EventId;
pub use idempotency::IdempotencyKey;
pub use key_window::{Admission, CountedKey, IDEMPOTENCY_WINDOW_MS, KeyWindow};
pub use money::Money;
pub use product::ProductId;
pub use sale::{MAX_QUANTITY, Quantity, SaleDraft};
pub use second_prices::SecondPrices;
pub use tally::{Bounds, CategoryTally, PricePoint, SaleTally, WeatherTally};
pub use time::Timestamp;
pub use topics::{SALES, WEATHER};
pub use visible::VISIBLE_TEXT;
pub use weather::WeatherDraft;
