//! Progress on stderr of whatever takes longer than a second: a line that changes on a terminal, else a line every few
//! seconds.

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// What goes on shows itself after this, wherever it is shown.
const FIRST: Duration = Duration::from_secs(1);
/// How long it is until the next line where lines cannot change.
const NEXT: Duration = Duration::from_secs(5);

/// Something that goes on until this is dropped.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Dropped, it ends the thread that writes lines.
    _lines: Option<Sender<()>>,
}

/// Something that is not counted.
pub(crate) fn busy(what: &'static str) -> Progress {
    Progress::show(what, None, "{spinner} {msg} ({elapsed})", |_| String::new())
}

/// Something that is counted.
pub(crate) fn counting(what: &'static str) -> Progress {
    Progress::show(what, None, "{spinner} {msg} {human_pos} ({elapsed})", |bar| {
        format!("{}, ", bar.position())
    })
}

/// The same with how many there are in all.
pub(crate) fn counting_to(what: &'static str, all: u64) -> Progress {
    let template = "{spinner} {msg} {human_pos} of {human_len} ({elapsed})";
    Progress::show(what, Some(all), template, move |bar| format!("{} of {all}, ", bar.position()))
}

impl Progress {
    fn show(
        what: &'static str,
        all: Option<u64>,
        template: &str,
        count: impl Fn(&ProgressBar) -> String + Send + 'static,
    ) -> Self {
        let bar = ProgressBar::with_draw_target(all, ProgressDrawTarget::hidden());
        let lines = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template(template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(what);
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(FIRST);
            None
        } else {
            Some(write_lines(what, bar.clone(), count))
        };
        Self { bar, _lines: lines }
    }

    pub(crate) fn add_one(&self) {
        self.bar.inc(1);
    }

    pub(crate) fn set(&self, count: u64) {
        self.bar.set_position(count);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Writes a line now and then until the sender is dropped.
fn write_lines(
    what: &'static str,
    bar: ProgressBar,
    count: impl Fn(&ProgressBar) -> String + Send + 'static,
) -> Sender<()> {
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut wait = FIRST;
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            output::tell(format_args!("provex: {what}: {}{} s", count(&bar), bar.elapsed().as_secs()));
            wait = NEXT;
        }
    });
    sender
}
