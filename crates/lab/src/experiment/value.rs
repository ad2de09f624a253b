//! Numbers as the report writes them, in Spanish: thousands apart by a space, a point before decimals, a unit where there is
//! one.

use super::interval::Ratio;

/// A metric's name, and what it is counted in.
pub(super) fn title(metric: &str) -> String {
    match metric {
        "sales_per_s" => "ventas/s".to_owned(),
        "p50_ms" => "p50, ms".to_owned(),
        "p99_ms" => "p99, ms".to_owned(),
        "fresh_p50_ms" => "frescura p50, ms".to_owned(),
        "fresh_p99_ms" => "frescura p99, ms".to_owned(),
        "apply_p50_ms" => "aplicar un lote p50, ms".to_owned(),
        "apply_p99_ms" => "aplicar un lote p99, ms".to_owned(),
        "boot_s" => "arranque, s".to_owned(),
        "cpu_percent" => "CPU máxima, % de lo solicitado".to_owned(),
        "replicas" => "réplicas".to_owned(),
        "second_replica_s" => "segunda réplica lista, s".to_owned(),
        "failover_ms" => "failover, ms".to_owned(),
        "cpu_us" => "CPU servicios, µs/venta".to_owned(),
        other => {
            let (kind, process) = other.split_once('.').unwrap_or((other, ""));
            match kind {
                "cpu_us" => format!("CPU {}, µs/venta", part(process)),
                "cpu_m" => format!("CPU {}, milésimas de núcleo", part(process)),
                "mib" => format!("memoria {}, MiB", part(process)),
                _ => other.to_owned(),
            }
        }
    }
}

/// How a sentence writes a value of a metric.
pub(super) fn with_unit(metric: &str, value: f64) -> String {
    let unit = match metric.split('.').next().unwrap_or_default() {
        "sales_per_s" => " ventas/s",
        "cpu_us" => " µs",
        "mib" => " MiB",
        "cpu_percent" => " %",
        "boot_s" | "second_replica_s" => " s",
        name if name.ends_with("_ms") => " ms",
        _ => "",
    };
    plain(value) + unit
}

/// Three digits that mean something, or all of a whole number.
pub(super) fn plain(value: f64) -> String {
    if value.abs() >= 1000.0 {
        return grouped((value / 10.0).round() * 10.0);
    }
    let decimals = match value.abs() {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            // Where it must not break.
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// A ratio and between what it lies, with the language's own word.
pub(super) fn interval(ratio: &Ratio, to: &str) -> String {
    format!("{} ({} {to} {})", plain(ratio.median), plain(ratio.low), plain(ratio.high))
}

fn part(process: &str) -> &str {
    match process {
        "log" => "del log",
        "store" => "del almacén",
        "replica" => "de la réplica",
        "part" => "del productor",
        "client" => "del cliente",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_mean_something_and_thousands_apart() {
        assert_eq!(plain(28_496.4), "28\u{a0}500");
        assert_eq!(plain(1_302_004.0), "1\u{a0}302\u{a0}000");
        assert_eq!(plain(999.6), "1000");
        assert_eq!(plain(43.21), "43.2");
        assert_eq!(plain(0.834), "0.83");
    }

    #[test]
    fn a_metric_says_its_unit() {
        assert_eq!(with_unit("p99_ms", 7.254), "7.25 ms");
        assert_eq!(with_unit("cpu_us.store", 3.0), "3.00 µs");
        assert_eq!(title("mib.store"), "memoria del almacén, MiB");
    }
}
