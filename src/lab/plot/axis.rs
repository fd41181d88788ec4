//! Axes: where a value stands, and which values are written beside it.
//!
//! Here: [`Axis`], linear or logarithmic, as charts in one picture share it. Not here: charts. Floor 4.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use super::Scale;
use crate::lab::statistics::quantile;

/// Room beyond the largest value, and on a logarithmic axis also below the least.
const ROOM: f64 = 1.4;
/// Room above the largest value of an axis from 0.
const ROOM_LINEAR: f64 = 1.06;

/// An axis that has room for certain values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    /// From 0 to `high`, which is above 0.
    pub(super) fn exact(high: f64) -> Axis {
        Axis { scale: Scale::Linear, low: 0.0, high }
    }

    /// From 0 to a little more than `largest`; to 1 if that is nothing.
    pub fn from_zero(largest: f64) -> Axis {
        Axis::exact(if largest > 0.0 { largest * ROOM_LINEAR } else { 1.0 })
    }

    /// Logarithmic if even divisions would crowd the smaller values (5 % of them at least), otherwise from 0. Values in
    /// ascending order, none below 0.
    pub fn suiting(ascending: &[f64]) -> Axis {
        let largest = ascending.last().copied().unwrap_or(0.0);
        let small = quantile(ascending, 0.05).unwrap_or(0.0);
        let least = ascending.iter().copied().find(|&value| value > 0.0);
        match (Scale::suiting(small, largest), least) {
            (Scale::Log, Some(least)) => Axis { scale: Scale::Log, low: least / ROOM, high: largest * ROOM },
            _ => Axis::from_zero(largest),
        }
    }

    /// How it is divided.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Where a value stands, from 0 at the lower end to 1 at the upper; what is beyond an end stands at that end.
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= self.low => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        place.clamp(0.0, 1.0)
    }

    /// The value that stands at a place.
    pub fn value_at(&self, place: f64) -> f64 {
        match self.scale {
            Scale::Linear => self.low + place * (self.high - self.low),
            Scale::Log => self.low * (self.high / self.low).powf(place),
        }
    }

    /// Round values along the axis, `most` at most (or two, if that is one).
    fn ticks(&self, most: usize) -> Vec<f64> {
        if most == 0 {
            return Vec::new();
        }
        let most = most.max(2);
        match self.scale {
            Scale::Linear => {
                let finest = (self.high / most as f64).log10().floor() as i32;
                let steps = (finest..).flat_map(|e| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(e)));
                let step = steps.into_iter().find(|step| self.high / step < most as f64).unwrap_or(self.high);
                (0..most).map(|n| n as f64 * step).take_while(|&tick| tick <= self.high).collect()
            }
            Scale::Log => {
                let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
                let inside = |digits: &[f64], every: usize| -> Vec<f64> {
                    let decades = (first..=last).filter(|e| e.rem_euclid(every as i32) == 0);
                    let ticks = decades.flat_map(|e| digits.iter().map(move |digit| digit * 10f64.powi(e)));
                    ticks.filter(|&tick| self.low <= tick && tick <= self.high).collect()
                };
                let closer = [(&[1.0, 2.0, 5.0][..], 1)];
                let wider = (1..=(last - first) as usize).map(|every| (&[1.0][..], every));
                let mut choices =
                    closer.into_iter().chain(wider).map(|(digits, every)| inside(digits, every));
                choices.find(|ticks| ticks.len() <= most).unwrap_or_default()
            }
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * self.place(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks(hint.max_num_points())
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_axis_is_logarithmic_when_small_values_would_be_crowded() {
        assert_eq!(Axis::suiting(&[100.0, 200.0, 250.0]).scale(), Scale::Linear);
        let axis = Axis::suiting(&[0.3, 0.3, 100.0, 300.0]);
        assert_eq!(axis.scale(), Scale::Log);
        assert!(
            [axis.place(0.0), axis.place(0.2), axis.place(0.3 / ROOM), axis.place(300.0 * ROOM)]
                == [0.0, 0.0, 0.0, 1.0],
            "{axis:?}"
        );
        // The middle of a logarithmic axis is its geometric mean.
        assert!((axis.place((0.3f64 * 300.0).sqrt()) - 0.5).abs() < 1e-9);
        for nothing in [&[][..], &[0.0]] {
            assert_eq!(Axis::suiting(nothing), Axis::from_zero(0.0));
        }
    }

    #[test]
    fn ticks_are_round_and_few() {
        let log = Axis::suiting(&[0.3, 0.3, 100.0, 300.0]);
        assert_eq!(log.ticks(12), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]);
        assert_eq!(log.ticks(5), [1.0, 10.0, 100.0]);
        assert_eq!(log.ticks(2), [1.0, 100.0]);
        assert_eq!(Axis::from_zero(30.0).ticks(8), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(Axis::from_zero(0.0).ticks(3), [0.0, 0.5, 1.0]);
    }

    proptest! {
        #[test]
        fn every_value_has_its_place_and_ticks_lie_inside(
            mut values in prop::collection::vec(prop_oneof![Just(0.0), 1e-6..1e22f64, 0.1..400.0f64], 0..20),
            most in 1usize..20,
        ) {
            values.sort_by(f64::total_cmp);
            let axis = Axis::suiting(&values);
            let ticks = axis.ticks(most);
            prop_assert!(!ticks.is_empty() && ticks.len() <= most.max(2));
            prop_assert!(ticks.is_sorted() && ticks.iter().all(|tick| axis.range().start <= *tick && *tick <= axis.range().end));
            for value in values.into_iter().filter(|&value| value > 0.0) {
                prop_assert!((axis.value_at(axis.place(value)) / value - 1.0).abs() < 1e-6);
            }
        }
    }
}
