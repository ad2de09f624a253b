//! The product catalogue, the arrival curve and the seeded traffic drawn from them
