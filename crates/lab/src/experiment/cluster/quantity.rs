use anyhow::{Context as _, Result};
use serde_json::Value;

/// What suffixes mean (Kubernetes' `resource.Quantity`); the longer ones first, of which the shorter are the beginning.
const SUFFIXES: [(&str, f64); 13] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("", 1.0),
];

/// Cores, or bytes, of a quantity as Kubernetes writes it.
///
/// # Errors
/// It is no quantity.
pub(super) fn of(value: &Value) -> Result<f64> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let parts = SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)));
    let (number, factor) = parts.context("every text ends with nothing")?;
    let number: f64 = number.parse().with_context(|| format!("{text} is not a quantity"))?;
    Ok(number * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, value) in [
            (json!("50m"), 0.05),
            (json!("2"), 2.0),
            (json!(2), 2.0),
            (json!("128Mi"), 134_217_728.0),
            (json!("262144k"), 262_144_000.0),
            (json!("1500000n"), 0.0015),
        ] {
            assert_eq!(of(&text).expect("a quantity"), value, "{text}");
        }
        assert!(of(&json!("many")).is_err() && of(&Value::Null).is_err());
    }
}
