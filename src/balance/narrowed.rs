//! Choices among fewer than all.
//!
//! Here: passing over backends that are out, or whose turn it is only now and then; what is chosen when all are out. Not here:
//! the modes (`mod.rs`), and who is out (`health.rs`). Floor 1.

use super::{AllOut, Availability, Balance, Reason};
use crate::time::Instant;

impl Balance {
    /// A choice while not all may be chosen, or not each time that it would be their turn.
    #[cold]
    pub(super) fn select_among(
        &mut self,
        now: Instant,
        except: Option<usize>,
        repeatable: bool,
    ) -> Option<(usize, Reason)> {
        for (index, backend) in self.backends.iter().enumerate() {
            self.barred[index] = !backend.is_usable() || Some(index) == except;
        }
        if self.barred.iter().all(|&barred| barred) {
            return self.select_any(except);
        }
        let first = self.next_choice(now, true, repeatable)?;
        let mut choice = first;
        loop {
            let index = choice.0;
            if self.backends[index].health.takes_turn(&self.options.health, now) {
                if !self.backends[index].health.is_easing() {
                    self.easing = self.backends.iter().filter(|backend| backend.health.is_easing()).count();
                }
                return Some(choice);
            }
            self.barred[index] = true;
            match self.next_choice(now, true, repeatable) {
                Some(next) => choice = next,
                // Somebody must.
                None => return Some(first),
            }
        }
    }

    /// All are out: in turn, who is not drained, if that is wanted.
    fn select_any(&mut self, except: Option<usize>) -> Option<(usize, Reason)> {
        if self.options.health.all_out == AllOut::Fail {
            return None;
        }
        for (index, backend) in self.backends.iter().enumerate() {
            self.barred[index] = backend.availability() == Availability::Draining || Some(index) == except;
        }
        let index = self.rotate_past_barred()?;
        Some((index, Reason::Rotation))
    }

    pub(super) fn rotate_past_barred(&mut self) -> Option<usize> {
        let count = self.backends.len();
        (0..count).find_map(|_| self.rotation.advance(count).filter(|&index| !self.barred[index]))
    }
}
