//! The topics. Their names belong to the wire and are the same everywhere, so no setting changes them.

/// The topic of sales.
pub const SALES: &str = "ventas";
/// The topic of weather reports.
pub const WEATHER: &str = "clima";
