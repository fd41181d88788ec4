//! Histograms of several series in the same bins.
//!
//! Here: [`Histogram`]; the bars of a bin stand side by side, so that none hides another. Floor 4.

use plotters::prelude::*;

use super::frame::{BELOW, Frame};
use super::{Area, Axis, PlotError, color};

/// How the values of several series are distributed.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Where the values stand; bins are equally wide on it, and divide it from end to end.
    pub axis: Axis,
    /// What is measured, with its unit.
    pub x_axis: String,
    /// What the shares are of, with its unit.
    pub y_axis: String,
    /// For each series the share of its values in each bin, in percent; all series have the same bins.
    pub shares: Vec<Vec<f64>>,
}

/// The share of `values` in each of `bins` equally wide parts of an axis, in percent; nothing if there are no values.
/// What lies beyond an end is in the bin at that end.
pub fn shares(values: &[f64], axis: &Axis, bins: usize) -> Vec<f64> {
    let mut counts = vec![0u64; bins];
    for &value in values {
        let bin = (axis.place(value) * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    let all = values.len().max(1) as f64;
    counts.into_iter().map(|count| 100.0 * count as f64 / all).collect()
}

impl Histogram {
    pub(super) fn draw_within(&self, area: &Area<'_>) -> Result<(), PlotError> {
        let highest = self.shares.iter().flatten().copied().fold(0.0, f64::max);
        let frame = Frame {
            x: self.axis,
            x_name: &self.x_axis,
            x_ticks: 11,
            y: Axis::from_zero(highest),
            y_name: &self.y_axis,
            y_ticks: 8,
            below: BELOW,
            x_written: true,
            right: 0,
        };
        let mut chart = frame.draw(area)?;
        let series = self.shares.len() as f64;
        for (n, shares) in self.shares.iter().enumerate() {
            let bar = |(bin, &share): (usize, &f64)| {
                let side = |part: f64| {
                    // A gap of a sixth of a bin between bins.
                    let inside = (1.0 + 10.0 * (n as f64 + part) / series) / 12.0;
                    self.axis.value_at((bin as f64 + inside) / shares.len() as f64)
                };
                Rectangle::new([(side(0.0), 0.0), (side(1.0), share)], color(n).filled())
            };
            chart.draw_series(shares.iter().enumerate().filter(|(_, share)| **share > 0.0).map(bar))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_bin_where_it_stands() {
        let axis = Axis::from_zero(100.0 / 1.06);
        let values = [0.0, 9.9, 10.1, 55.0, 100.0, 1000.0, 99.0, 12.0];
        let shares = shares(&values, &axis, 10);
        assert_eq!(shares, [25.0, 25.0, 0.0, 0.0, 0.0, 12.5, 0.0, 0.0, 0.0, 37.5]);
        assert_eq!(super::shares(&[], &axis, 3), [0.0; 3]);
    }

    #[test]
    fn bins_of_a_logarithmic_axis_are_equal_factors() {
        // From 1 to 10,000, with the room on either side.
        let axis = Axis::suiting(&[1.4, 1.4, 10_000.0 / 1.4]);
        let shares = shares(&[0.5, 9.0, 11.0, 99.0, 101.0, 999.0, 1001.0, 9999.0], &axis, 4);
        assert_eq!(shares, [25.0; 4]);
    }
}
