//! Pictures of results: a bar for each variant's median, and a dot for each round. Shapes tell what colours do, so that they
//! can be read in black and white.

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{IntoSegmentedCoord as _, SegmentValue};
use plotters::prelude::{
    ChartBuilder, Circle, Color as _, IntoDrawingArea as _, IntoFont as _, RGBColor, Rectangle, SVGBackend,
    Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::outcome::Outcome;
use super::value;
use crate::median::median;

const SIZE: (u32, u32) = (640, 320);
/// Room above the highest bar, for its number.
const HEADROOM: f64 = 1.18;
const FONT: &str = "sans-serif";

/// For which page a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// As files are named.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    const fn ground(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(255, 255, 255),
            Self::Dark => RGBColor(13, 17, 23),
        }
    }

    const fn ink(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(31, 35, 40),
            Self::Dark => RGBColor(230, 237, 243),
        }
    }

    const fn bar(self) -> RGBColor {
        match self {
            Self::Light => RGBColor(120, 160, 215),
            Self::Dark => RGBColor(60, 95, 150),
        }
    }
}

/// The picture of a metric, as SVG.
///
/// # Errors
/// A round lacks the metric.
pub(super) fn svg(outcome: &Outcome, metric: &str, theme: Theme) -> Result<String> {
    let bars: Vec<_> = outcome
        .variants
        .iter()
        .map(|variant| (variant.name.as_str(), variant.values(metric).collect::<Vec<_>>()))
        .collect();
    if bars.iter().any(|(_, values)| values.is_empty()) {
        return Err(anyhow!("{} has no {metric}", outcome.experiment));
    }
    let highest = bars.iter().flat_map(|(_, values)| values.iter().copied()).fold(0.0, f64::max);
    let mut svg = String::new();
    draw(&mut svg, &bars, highest * HEADROOM, metric, theme).map_err(|error| anyhow!("draw: {error}"))?;
    Ok(svg)
}

type Bars<'a> = [(&'a str, Vec<f64>)];

fn draw(
    svg: &mut String,
    bars: &Bars<'_>,
    top: f64,
    metric: &str,
    theme: Theme,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&theme.ground())?;
    let ink = theme.ink();
    let text = |size: u32| (FONT, size).into_font().color(&ink);
    let mut chart = ChartBuilder::on(&area)
        .caption(value::title(metric), text(16))
        .margin(10)
        .x_label_area_size(28)
        .y_label_area_size(64)
        .build_cartesian_2d((0..bars.len().saturating_sub(1)).into_segmented(), 0.0..top)?;
    let name = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(at) => bars.get(*at).map(|(name, _)| *name).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(ink.mix(0.0))
        .bold_line_style(ink.mix(0.15))
        .axis_style(ink)
        .label_style(text(13))
        .x_labels(bars.len())
        .y_labels(5)
        .x_label_formatter(&name)
        .y_label_formatter(&|value| value::plain(*value))
        .draw()?;
    for (at, (_, values)) in bars.iter().enumerate() {
        let middle = median(values.iter().copied());
        let ends = || [(SegmentValue::Exact(at), 0.0), (SegmentValue::Exact(at + 1), middle)];
        let mut bar = Rectangle::new(ends(), theme.bar().filled());
        bar.set_margin(0, 0, 24, 24);
        chart.draw_series([bar])?;
        let mut outline = Rectangle::new(ends(), ink);
        outline.set_margin(0, 0, 24, 24);
        chart.draw_series([outline])?;
        let centre = |value| (SegmentValue::CenterOf(at), value);
        chart.draw_series(values.iter().map(|value| Circle::new(centre(*value), 3, ink)))?;
        let highest = values.iter().copied().fold(middle, f64::max);
        let style: TextStyle<'_> = text(13).pos(Pos::new(HPos::Center, VPos::Bottom));
        chart.draw_series([Text::new(value::plain(middle), centre(highest + top * 0.02), style)])?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::outcome::example;
    use super::*;

    #[test]
    fn a_picture_names_each_variant_and_tells_its_median() {
        let outcome = example("logs", &[("kafka", &[28_500.0, 28_600.0]), ("rabbitmq", &[9_000.0, 9_100.0])]);
        let [light, dark] = Theme::ALL.map(|theme| svg(&outcome, "sales_per_s", theme).expect("a picture"));
        for told in ["kafka", "rabbitmq", "28\u{a0}550", "ventas/s"] {
            assert!(light.contains(told), "{told} in {light}");
        }
        assert_ne!(light, dark);
        assert!(svg(&outcome, "nothing", Theme::Light).is_err());
    }
}
