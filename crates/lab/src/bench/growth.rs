//! How a way changes when one thing grows: along each axis the points are measured in turns, each on servers and services of its
//! own where that is what differs.
//!
//! Invariant: a point that was not measured says why, in its place.

use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_terminal::failure::Usage;
use blackfriday_terminal::output::{self, grouped};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::figures::Figures;
use super::{Arguments, Demand, Fields, Measure, Setup, Subject, Variant, descriptors, turns};

/// As many as there may be connections: over the default, requests of the last point would be refused.
const WIDE: &[(&str, &str)] = &[("BLACKFRIDAY_HTTP_MAX_IN_FLIGHT", "8192")];
const HEAD: [&str; 9] = [
    "what",
    "sales/s",
    "min to max",
    "p50 ms",
    "p99 ms",
    "CPU µs a sale",
    "log, store",
    "of these",
    "refused",
];

/// What grows.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// 1, 4, 16 partitions of the topic of sales.
    Partitions,
    /// 1, 2, 4 writers.
    Writers,
    /// 100, 10,000, 1,000,000 products, each number in a store of its own.
    Products,
    /// 1, 64, 1,000, 8,000 connections of single sales.
    Connections,
}

/// The points of every axis that was asked for.
pub(super) struct Growth {
    cores: usize,
    rounds: u32,
    points: Vec<(Axis, Vec<Point>)>,
}

struct Point {
    variant: Variant,
    outcome: Outcome,
}

enum Outcome {
    Measured {
        rounds: Vec<Measure>,
        /// Different products that the store has afterwards: a million are not sold in seconds.
        products: u64,
    },
    /// Why not.
    Not(String),
}

impl Growth {
    /// Measures along each of these axes, or along all.
    pub(super) async fn measure(arguments: &Arguments, axes: &[Axis]) -> Result<Self> {
        let axes = if axes.is_empty() { Axis::value_variants() } else { axes };
        let variants = axes.iter().map(|axis| Ok((*axis, axis.variants(arguments)?)));
        let variants = variants.collect::<Result<Vec<_>>>()?;
        let each = arguments.warm_up + arguments.duration * arguments.rounds;
        let turns = variants.iter().map(|(_, variants)| variants.len()).sum::<usize>();
        let whole = Duration::from_secs((each * u32::try_from(turns)?).as_secs());
        output::note(format_args!(
            "{turns} points of {} each: {}, and what starting takes",
            humantime::format_duration(each),
            humantime::format_duration(whole)
        ));
        let mut points = Vec::new();
        for (axis, variants) in variants {
            let measured = along(axis, variants, arguments).await;
            points.push((axis, measured.with_context(|| axis.name())?));
        }
        Ok(Self { cores: available_parallelism()?.get(), rounds: arguments.rounds, points })
    }

    pub(super) fn print(&self) {
        for (axis, points) in &self.points {
            let head = [&[axis.name()][..], &HEAD[..], axis.more()].concat();
            output::table(&head, points.iter().map(|point| point.row(*axis)));
        }
        let not = self.points.iter().flat_map(|(axis, points)| points.iter().map(move |point| (axis, point)));
        for (axis, point) in not {
            if let Outcome::Not(reason) = &point.outcome {
                let (name, what) = (point.variant.name, point.variant.subject.title());
                output::line(format_args!("not measured: {name} {}, {what}: {reason}", axis.name()));
            }
        }
        let (rounds, cores) = (self.rounds, self.cores);
        output::line(format_args!(
            "{rounds} rounds in turns, medians; {cores} cores, the client on them, too"
        ));
    }

    pub(super) fn to_json(&self) -> Value {
        let axes = self.points.iter().map(|(axis, points)| {
            let points: Vec<_> = points.iter().map(Point::to_json).collect();
            (axis.name().to_owned(), Value::from(points))
        });
        json!({"cores": self.cores, "growth": axes.collect::<Value>()})
    }
}

/// Rounds forwards and backwards in turns, so that what slows the machine down for a while slows all points.
async fn along(axis: Axis, variants: Vec<Variant>, arguments: &Arguments) -> Result<Vec<Point>> {
    let mut points = variants.into_iter().map(Point::begin).collect::<Result<Vec<_>>>()?;
    let possible: Vec<_> = points.iter().filter_map(Point::possible).cloned().collect();
    output::note(format_args!("{}: starting the servers and the services", axis.name()));
    let mut fields = Fields::start(&possible).await?;
    for variant in &possible {
        output::note(format_args!("{}: warming up: {}", axis.name(), told(variant)));
        fields.warm_up(variant, arguments.warm_up).await.with_context(|| told(variant))?;
    }
    for round in 1..=arguments.rounds {
        for at in turns(points.len(), round) {
            let point = &mut points[at];
            let Outcome::Measured { rounds, products } = &mut point.outcome else { continue };
            let measure = fields.measure(&point.variant, arguments.duration).await;
            let measure = measure.with_context(|| format!("round {round}: {}", told(&point.variant)))?;
            output::note(format_args!(
                "{}: round {round}: {}: {:.0} sales/s",
                axis.name(),
                told(&point.variant),
                measure.sales_per_s()
            ));
            rounds.push(measure);
            *products = fields.of(&point.variant)?.field.products().await?;
        }
    }
    Ok(points)
}

fn told(variant: &Variant) -> String {
    format!("{}, {}", variant.name, variant.subject.title())
}

impl Axis {
    fn name(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Writers => "writers",
            Self::Products => "products",
            Self::Connections => "connections",
        }
    }

    /// Columns that only its table has.
    fn more(self) -> &'static [&'static str] {
        if self == Self::Products { &["products stored"] } else { &[] }
    }

    /// The ways that show it.
    fn subjects(self) -> &'static [Subject] {
        match self {
            Self::Partitions | Self::Products => &[Subject::Log, Subject::LogBatch],
            Self::Writers => &[Subject::Writer, Subject::WriterBatch],
            // What the client and the server take by themselves is in both.
            Self::Connections => &[Subject::Handler, Subject::Log],
        }
    }

    fn fits(self, subject: Subject) -> bool {
        match self {
            Self::Partitions | Self::Products => subject.is_counted(),
            Self::Writers => subject.has_writers(),
            Self::Connections => subject.is_driven() && !subject.is_batch() && subject != Subject::Peer,
        }
    }

    fn variants(self, arguments: &Arguments) -> Result<Vec<Variant>> {
        let subjects = if arguments.only.is_empty() { self.subjects() } else { &arguments.only };
        ensure!(subjects.iter().all(|subject| self.fits(*subject)), self.misfit());
        let points = self.points(&arguments.setup(), arguments.demand());
        let variant = |subject: Subject| {
            let with = move |(name, setup, demand)| Variant { name, setup, subject, demand };
            points.clone().into_iter().map(with)
        };
        Ok(subjects.iter().flat_map(|subject| variant(*subject)).collect())
    }

    fn misfit(self) -> Usage {
        let fitting = Subject::ALL.into_iter().filter(|subject| self.fits(*subject));
        let named = fitting.filter_map(|subject| Some(subject.to_possible_value()?.get_name().to_owned()));
        let named: Vec<_> = named.collect();
        Usage(format!("--only: with --growth {} it is one of {}", self.name(), named.join(", ")))
    }

    fn points(self, setup: &Setup, demand: Demand) -> Vec<(&'static str, Setup, Demand)> {
        match self {
            Self::Partitions => [("1", 1), ("4", 4), ("16", 16)]
                .map(|(name, partitions)| (name, Setup { partitions, ..setup.clone() }, demand))
                .into(),
            Self::Writers => [("1", 1), ("2", 2), ("4", 4)]
                .map(|(name, writers)| (name, Setup { writers, ..setup.clone() }, demand))
                .into(),
            // Each has a store of its own: what the last has counted would slow the first.
            Self::Products => [("100", 100), ("10,000", 10_000), ("1,000,000", 1_000_000)]
                .map(|(name, products)| {
                    (name, Setup { apart: name, ..setup.clone() }, Demand { products, ..demand })
                })
                .into(),
            Self::Connections => [("1", 1), ("64", 64), ("1,000", 1_000), ("8,000", 8_000)]
                .map(|(name, connections)| {
                    let setup = Setup { environment: WIDE, ..setup.clone() };
                    (name, setup, Demand { connections, may_refuse: true, ..demand })
                })
                .into(),
        }
    }
}

impl Point {
    /// Asks for the descriptors that it takes, before any process is started.
    fn begin(variant: Variant) -> Result<Self> {
        let outcome = match descriptors::allow(variant.demand.connections)? {
            None => Outcome::Measured { rounds: Vec::new(), products: 0 },
            Some(too_few) => Outcome::Not(too_few.to_string()),
        };
        Ok(Self { variant, outcome })
    }

    fn possible(&self) -> Option<&Variant> {
        matches!(self.outcome, Outcome::Measured { .. }).then_some(&self.variant)
    }

    fn row(&self, axis: Axis) -> Vec<String> {
        let mut cells = vec![self.variant.name.to_owned(), self.variant.subject.title().to_owned()];
        match &self.outcome {
            Outcome::Measured { rounds, products } => {
                let of = Figures(rounds);
                cells.extend(of.speed());
                cells.extend(of.cost());
                cells.push(of.refused());
                cells.extend(axis.more().iter().map(|_| grouped(*products)));
            }
            Outcome::Not(_) => cells.push("not measured".to_owned()),
        }
        cells
    }

    fn to_json(&self) -> Value {
        let (name, what) = (self.variant.name, self.variant.subject.title());
        match &self.outcome {
            Outcome::Measured { rounds, products } => {
                json!({"point": name, "what": what, "products_stored": products,
                       "measured": Figures(rounds).to_json()})
            }
            Outcome::Not(reason) => json!({"point": name, "what": what, "not_measured": reason}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn along_an_axis_one_thing_grows() {
        let numbers = |axis: Axis, of: fn(&Setup, &Demand) -> u64| -> Vec<u64> {
            let points = axis.points(&Setup::default(), Demand::default());
            points.iter().map(|(_, setup, demand)| of(setup, demand)).collect()
        };
        let partitions = numbers(Axis::Partitions, |setup, _| setup.partitions.unsigned_abs().into());
        assert_eq!(partitions, [1, 4, 16]);
        assert_eq!(numbers(Axis::Writers, |setup, _| setup.writers as u64), [1, 2, 4]);
        assert_eq!(numbers(Axis::Products, |_, demand| demand.products), [100, 10_000, 1_000_000]);
        assert_eq!(numbers(Axis::Connections, |_, demand| demand.connections.into()), [1, 64, 1_000, 8_000]);
    }

    #[test]
    fn each_axis_fits_the_ways_that_it_is_shown_with() {
        for axis in Axis::value_variants() {
            assert!(axis.subjects().iter().all(|subject| axis.fits(*subject)), "{axis:?}");
            assert!(![Subject::Producer, Subject::Backlog].into_iter().any(|subject| axis.fits(subject)));
            let named = axis.to_possible_value().expect("each has a name");
            assert_eq!(named.get_name(), axis.name());
        }
        assert!(!Axis::Writers.fits(Subject::Log) && !Axis::Connections.fits(Subject::LogBatch));
        let told = Axis::Writers.misfit().to_string();
        assert!(
            told.contains("--growth writers") && told.ends_with("relay, writer, relay-batch, writer-batch"),
            "{told}"
        );
    }
}
