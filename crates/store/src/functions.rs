//! The Valkey functions, as they are loaded.
//!
//! Library and functions carry a digest of their own text in their names. So what is called is always what this program
//! was built with: another version neither answers in its place nor is replaced by it, and while a new version is rolled
//! out both count side by side, kept apart by the position alone. Old libraries stay until `FUNCTION FLUSH`.

use std::sync::LazyLock;

use blackfriday_telemetry::planted::{Planted, is_planted};
use sha2::{Digest, Sha256};

const TEMPLATE: &str = include_str!("functions.lua");
const PLACEHOLDER: &str = "DIGEST";
/// What applies begin with: the one line that everything rests on.
const POSITION_CHECK: &str = "  if stored ~= place.from then return { 0, stored } end\n  return nil";

pub(crate) static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    if is_planted(Planted::NoPositionCheck) {
        return Functions::of(&TEMPLATE.replace(POSITION_CHECK, "  return nil"));
    }
    Functions::of(TEMPLATE)
});

/// What is loaded, and the names to call.
pub(crate) struct Functions {
    pub(crate) source: String,
    pub(crate) apply_sales: String,
    pub(crate) apply_weather: String,
    pub(crate) stop: String,
    pub(crate) resume: String,
}

impl Functions {
    fn of(template: &str) -> Self {
        let digest: String =
            Sha256::digest(template).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self {
            source: template.replace(PLACEHOLDER, &digest),
            apply_sales: format!("blackfriday_{digest}_apply_sales"),
            apply_weather: format!("blackfriday_{digest}_apply_weather"),
            stop: format!("blackfriday_{digest}_stop"),
            resume: format!("blackfriday_{digest}_resume"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_check_can_be_taken_out() {
        assert_eq!(TEMPLATE.matches(POSITION_CHECK).count(), 1);
    }

    #[test]
    fn every_text_has_names_of_its_own_and_registers_them() {
        let (ours, other) = (Functions::of(TEMPLATE), Functions::of(&format!("{TEMPLATE}\n")));
        assert_ne!(ours.apply_sales, other.apply_sales);
        for name in [&ours.apply_sales, &ours.apply_weather, &ours.stop, &ours.resume] {
            assert!(ours.source.contains(&format!("'{name}'")), "{name}");
        }
        assert!(!ours.source.contains(PLACEHOLDER));
    }
}
