//! Results: a table for people, then one line of JSON for machines.

use std::{io::Write, path::Path};

use anyhow::Context;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a bench found. `ratio` is `ours / floor`.
#[derive(Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) floor: f64,
    pub(crate) ours: f64,
    pub(crate) ratio: f64,
    pub(crate) goal: f64,
    pub(crate) better: Better,
    /// Beside the one figure.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) also: Map<String, Value>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

impl Figure {
    /// Writes `NAME.json`, then the last line.
    pub(crate) fn tell(mut self, results: &Path) -> anyhow::Result<()> {
        self.floor = rounded(self.floor);
        self.ours = rounded(self.ours);
        self.ratio = rounded(self.ratio);
        let line = serde_json::to_string(&self)?;
        std::fs::create_dir_all(results).with_context(|| format!("cannot make {}", results.display()))?;
        let path = results.join(format!("{}.json", self.name));
        std::fs::write(&path, format!("{line}\n")).with_context(|| format!("cannot write {}", path.display()))?;
        say(&line);
        Ok(())
    }
}

/// Four significant digits: no more of a measurement means anything.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// The middle of what was measured; the mean of the two middle ones of an even number.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// To standard output, which is the program's answer.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away (`| head`) is no error.
    let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::{median, rounded};

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median([9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 100.0]), 3.0);
    }

    #[test]
    fn figures_keep_four_digits() {
        assert_eq!(rounded(12_345.67), 12_350.0);
        assert_eq!(rounded(0.000_123_456), 0.000_123_5);
    }
}
