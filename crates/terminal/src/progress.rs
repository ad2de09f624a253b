//! How far something is, on standard error: bars on a terminal, elsewhere a line now and then.
//!
//! Invariant: however the work ends, the screen is whole again when these are dropped.

use std::io::{IsTerminal, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::output::{grouped, note, rounded};

/// How often what is shown is read again.
const REFRESH: Duration = Duration::from_millis(200);
/// Where there is no terminal, a line this often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Over which a rate is taken.
const RATE_OVER: Duration = Duration::from_secs(1);

/// What ends something that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many of it.
    Number(u64),
    /// So much time.
    Time(Duration),
}

/// Numbers that grow, each under its name.
pub struct Progress {
    started: Instant,
    measures: Vec<(&'static str, Length)>,
    /// None where there is no terminal.
    bars: Vec<ProgressBar>,
    last_line: Mutex<Instant>,
}

/// A task that shows something until this is dropped.
pub struct Following {
    shown: Arc<Progress>,
    task: JoinHandle<()>,
}

/// A line that says what is being done, gone on drop; nothing where there is no terminal.
pub struct Steps(ProgressBar);

/// How much a number grows in a second, of late.
pub struct Rate {
    since: Instant,
    before: u64,
    per_second: f64,
}

impl Progress {
    /// Begins to show these.
    pub fn new(measures: &[(&'static str, Length)]) -> Self {
        let is_shown = stderr().is_terminal();
        let all = MultiProgress::new();
        let bar = |(name, length): &(&'static str, Length)| all.add(bar(name, *length));
        let bars = if is_shown { measures.iter().map(bar).collect() } else { Vec::new() };
        let started = Instant::now();
        Self { started, measures: measures.to_vec(), bars, last_line: Mutex::new(started) }
    }

    /// Shows the numbers, in the order of the measures, and more words.
    pub fn show(&self, numbers: &[u64], more: &str) {
        if self.bars.is_empty() {
            self.show_line(numbers, more);
            return;
        }
        for ((bar, (_, length)), number) in self.bars.iter().zip(&self.measures).zip(numbers) {
            match length {
                Length::Number(_) => bar.set_position(*number),
                Length::Time(_) => bar.set_position(millis(self.started.elapsed())),
            }
        }
        if let (Some(bar), Some((_, length)), Some(number)) =
            (self.bars.last(), self.measures.last(), numbers.last())
        {
            bar.set_message(match length {
                Length::Number(_) => more.to_owned(),
                Length::Time(_) => format!("{}  {more}", grouped(*number)),
            });
        }
    }

    /// Takes it off the screen.
    pub fn clear(&self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn show_line(&self, numbers: &[u64], more: &str) {
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            note(line(&self.measures, self.started.elapsed(), numbers, more));
        }
    }
}

impl Following {
    /// Shows what `read` says, again and again. Must be called inside of a runtime.
    pub fn new<R>(shown: Progress, mut read: impl FnMut() -> R + Send + 'static) -> Self
    where
        R: Future<Output = (Vec<u64>, String)> + Send + 'static,
    {
        let shown = Arc::new(shown);
        let shows = Arc::clone(&shown);
        let task = tokio::spawn(async move {
            let mut tick = interval(REFRESH);
            loop {
                tick.tick().await;
                let (numbers, more) = read().await;
                shows.show(&numbers, &more);
            }
        });
        Self { shown, task }
    }
}

/// However the work ends, the screen is whole.
impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
        self.shown.clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Steps {
    /// Says the first.
    pub fn new(first: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(first);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says the next.
    pub fn next(&self, step: &'static str) {
        self.0.set_message(step);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Rate {
    /// Of a number that is 0 now.
    pub fn new() -> Self {
        Self { since: Instant::now(), before: 0, per_second: 0.0 }
    }

    /// The number is this now; how much it grew in a second, for people.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    pub fn of(&mut self, number: u64) -> String {
        let elapsed = self.since.elapsed();
        if elapsed >= RATE_OVER {
            self.per_second = number.saturating_sub(self.before) as f64 / elapsed.as_secs_f64();
            (self.since, self.before) = (Instant::now(), number);
        }
        format!("{}/s", rounded(self.per_second))
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::new()
    }
}

fn bar(name: &'static str, length: Length) -> ProgressBar {
    let (end, template) = match length {
        Length::Number(number) => (number, "  {prefix:9} {wide_bar} {human_pos:>9} / {human_len}  {msg}"),
        Length::Time(time) => (millis(time), "  {prefix:9} {wide_bar} {msg}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    ProgressBar::new(end).with_style(style).with_prefix(name)
}

fn line(measures: &[(&str, Length)], after: Duration, numbers: &[u64], more: &str) -> String {
    let told = measures.iter().zip(numbers);
    let mut told: Vec<_> = told.map(|((name, _), number)| format!("{name} {}", grouped(*number))).collect();
    told.extend((!more.is_empty()).then(|| more.to_owned()));
    format!("  after {:2.0} s: {}", after.as_secs_f64(), told.join(", "))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_everything_is() {
        let measures = [("accepted", Length::Number(100_000)), ("counted", Length::Time(RATE_OVER))];
        let told = line(&measures, Duration::from_secs(5), &[1_234, 1_200], "lag 34");
        assert_eq!(told, "  after  5 s: accepted 1,234, counted 1,200, lag 34");
    }
}
