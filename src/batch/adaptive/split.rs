//! Which jobs are worth splitting.
//!
//! Here: [`longest_of_short`], which splits a job's sequences by length where full batches of like lengths are clearly
//! cheaper than full batches of jobs like it. Called by `queue.rs`. Floor 1.

use super::super::job::Shape;

/// Sequences longer than so many times the shortest are of another part.
const UNLIKE: u32 = 2;

/// Splitting must not cost more than this share of what not splitting costs.
const WORTH: f64 = 0.8;

/// The most characters of a sequence of a job's short part, if the job is worth splitting: when its parts' shares of
/// full batches of their like take less than 0.8 of its own share of a full batch of jobs like it. `predict_ms` tells
/// how long a batch takes, `batch_size` what it may hold.
pub(in crate::batch) fn longest_of_short(
    lengths: &[u32],
    batch_size: u32,
    predict_ms: impl Fn(Shape) -> f64,
) -> Option<u32> {
    let bound = lengths.iter().min()?.saturating_mul(UNLIKE);
    let part = |long: bool| Shape::of(lengths.iter().copied().filter(|&length| (length > bound) == long));
    let (short, long) = (part(false), part(true));
    if long.sequences == 0 {
        return None;
    }
    let share_ms = |shape: Shape| {
        let full = Shape {
            sequences: batch_size,
            characters: u64::from(batch_size) * shape.characters / u64::from(shape.sequences),
            longest: shape.longest,
        };
        predict_ms(full) * f64::from(shape.sequences) / f64::from(batch_size)
    };
    (share_ms(short) + share_ms(long) < WORTH * share_ms(short.with(long))).then_some(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_by_length_where_a_batch_takes_the_square_of_its_longest_and_never_where_it_takes_its_characters()
     {
        let squared = |shape: Shape| f64::from(shape.longest).powi(2);
        let affine = |shape: Shape| 20.0 + 0.05 * shape.characters as f64;
        assert_eq!(longest_of_short(&[116, 558, 116], 5, squared), Some(232));
        assert_eq!(longest_of_short(&[558, 116], 5, squared), Some(232));
        assert_eq!(longest_of_short(&[10, 20, 15], 5, squared), None, "alike");
        assert_eq!(longest_of_short(&[116], 5, squared), None);
        assert_eq!(longest_of_short(&[116, 558, 116], 5, affine), None);
        assert_eq!(longest_of_short(&[250, 558, 558, 558, 558], 5, squared), None, "too little to gain");
    }
}
