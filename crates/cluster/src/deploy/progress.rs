use std::cell::RefCell;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use blackfriday_terminal::output;
use indicatif::ProgressBar;

/// Says on standard error how far a wait is: a line that moves on a terminal, a line for each change elsewhere.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    last: RefCell<String>,
}

impl Progress {
    pub(super) fn begin() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, last: RefCell::new(String::new()) }
    }

    pub(super) fn tell(&self, text: &str, after: Duration) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{text} ({} s)", after.as_secs())),
            None if *self.last.borrow() != text => {
                output::note(format_args!("  {text}"));
                text.clone_into(&mut self.last.borrow_mut());
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
