//! The settings in force.
//!
//! Here: [`Configuration`], where whoever reads settings again puts what is in force then, and what came of it. Not here:
//! reading them (the door). Floor 3.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::time::WallTime;

/// A setting in force.
#[derive(Clone, Debug)]
pub struct SettingFacts {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Who set it.
    pub origin: String,
}

/// What is in force, and how that came about.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    /// The settings.
    pub settings: Vec<SettingFacts>,
    /// Whether the last reload failed; what was in force before is in force then.
    pub last_failed: bool,
    /// Reloads that were successful.
    pub succeeded: u64,
    /// Reloads that were not.
    pub failed: u64,
    /// When these settings came into force.
    pub since: WallTime,
    /// Names of servers that were looked up and found.
    pub names_found: u64,
    /// Look-ups without success.
    pub lookups_failed: u64,
    /// Names whose last look-up failed: their former addresses are in use.
    pub names_failing: usize,
}

/// Where to find what is in force, from any thread; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Configuration(Arc<Mutex<Arc<InForce>>>);

impl Configuration {
    /// What is in force.
    pub fn get(&self) -> Arc<InForce> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something else is in force now.
    pub fn set(&self, in_force: InForce) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(in_force);
    }
}
