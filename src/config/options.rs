//! From settings to what the rooms are told.
//!
//! Here: options of the proxy and its batching, of the settings in force. Not here: which settings those are
//! (`effective.rs`). Floor 5.

use super::batching::StrategyFrom;
use super::effective::{Effective, Setup};
use super::errors::ConfigErrors;
use super::health::CheckPath;
use super::judge::{built_in_shapes, itself, too_many};
use super::reach::Reach;
use super::{Audience, ConfigError};
use crate::balance::HealthOptions;
use crate::batch::QueueOptions;
use crate::codec::Shapes;
use crate::h1::request::RequestLimits;
use crate::h1::response::LineEnds;
use crate::proxy::{Backend, BatchOptions, CheckOptions, Limits, Options};

impl Effective {
    fn batching(&self, classifiers: Vec<Backend>) -> Result<Option<BatchOptions>, ConfigError> {
        let shapes = Shapes::new(self.shape.value.iter().cloned().chain(built_in_shapes()).collect())
            .map_err(|e| ConfigError::new(format!("`shape`: {e}")))?;
        let weights = self.customer_weight.value.iter().map(|w| (w.customer.clone(), w.weight)).collect();
        let queue = QueueOptions {
            strategy: self.strategy.value,
            batch_size: self.batch_size.value.0,
            batches_in_flight: self.batches_in_flight.value.number(),
            limit: self.queue_limit.value.0,
            split: self.split.value.0,
            halve: self.halve.value.0,
            sjf_max_wait: self.sjf_max_wait.value.0,
            weights,
        };
        let strategy_from_any = self.strategy_from.value == StrategyFrom::Any;
        let (classifier_timeout, queue_timeout) =
            (self.classifier_timeout.value.0, self.queue_timeout.value.0);
        Ok((!classifiers.is_empty()).then_some(BatchOptions {
            classifiers,
            queue,
            classifier_timeout,
            queue_timeout,
            queue_bytes: self.queue_bytes.value.0,
            strategy_from_any,
            shapes,
        }))
    }

    /// Adds the servers whose addresses are those of our own listeners.
    fn find_loops(&self, key: &str, servers: &[Backend], errors: &mut ConfigErrors) {
        let reach = Reach::default();
        for (_, who, listener, _) in self.listeners() {
            let leads =
                |server: &&Backend| server.addresses.iter().any(|&address| reach.leads_to(address, listener));
            for server in servers.iter().filter(leads) {
                errors.add(|| {
                    let error = itself(&server.url, who, listener);
                    ConfigError { what: format!("`{key}`: {}", error.what), ..error }
                });
            }
        }
    }

    fn health(&self) -> HealthOptions {
        HealthOptions {
            eject_after: self.eject_after.value.0.map_or(0, in_a_row),
            eject_for: self.eject_for.value.0,
            eject_for_most: self.eject_for_most.value.0,
            eject_share: self.eject_most.value.share(),
            all_out: self.all_out.value,
            slow_start: self.slow_start.value.0,
        }
    }

    fn checks(&self, path: &CheckPath) -> Option<CheckOptions> {
        Some(CheckOptions {
            path: path.0.clone()?,
            interval: self.health_interval.value.0,
            timeout: self.health_timeout.value.0,
            rise: in_a_row(self.health_rise.value.0),
            fall: in_a_row(self.health_fall.value.0),
        })
    }

    fn limits(&self) -> Limits {
        let request = RequestLimits {
            head_bytes: self.max_head_bytes.value.0,
            fields: self.max_header_fields.value.0,
            target_bytes: self.max_target_bytes.value.0,
            body_bytes: self.max_body_bytes.value.0.unwrap_or(u64::MAX),
            target: self.target_bytes.value,
        };
        Limits {
            request,
            pipelined_bytes: self.max_pipelined_bytes.value.0,
            requests_per_connection: self.max_requests_per_connection.value.0.map_or(u32::MAX, in_a_row),
            connections: self.max_connections.value.0,
            connections_per_client: self.max_connections_per_client.value.or_unlimited(),
            pool_per_backend: self.max_pool_per_backend.value.0,
        }
    }

    /// What the proxy is told: these settings, with `backends` and `classifiers` as looked up or as the testbed bound
    /// them. Without a classifier nothing is batched.
    ///
    /// # Errors
    /// What only the look-up could tell: more servers than a backend's id can count, or servers at addresses of our own. All
    /// else has been judged.
    pub fn into_options(
        self,
        backends: Vec<Backend>,
        classifiers: Vec<Backend>,
    ) -> Result<Setup, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let servers = backends.len() + classifiers.len();
        if servers > usize::from(u16::MAX) {
            errors.add(|| too_many(servers));
        }
        if self.audience == Audience::Proxy {
            self.find_loops("backend", &backends, &mut errors);
            self.find_loops("classifier", &classifiers, &mut errors);
        }
        errors.or(())?;
        let batching = self.batching(classifiers)?;
        let limits = self.limits();
        let health = self.health();
        let (checks, classifier_checks) =
            (self.checks(&self.health_check.value), self.checks(&self.classifier_health_check.value));
        let trace = self.trace.value.into_path();
        let options = Options {
            backends,
            connections: self.connections.value,
            reuse: self.reuse.value,
            routing: self.routing.value,
            reprobe_after: self.reprobe_after.value.0,
            routing_goal: self.routing_goal.value,
            hedge_budget: self.hedge.value.share(self.hedge_budget.value),
            repeatable: self.repeatable.value.iter().map(|prefix| prefix.0.clone()).collect(),
            sma_window: self.sma_window.value.0,
            ewma_alpha: self.ewma_alpha.value.0,
            upstream_timeout: self.upstream_timeout.value.0,
            stream_idle_timeout: self.stream_idle_timeout.value.0,
            connect_timeout: self.connect_timeout.value.0,
            header_timeout: self.header_timeout.value.0,
            body_timeout: self.body_timeout.value.0,
            min_data_rate: self.min_data_rate.value.0,
            idle_timeout: self.idle_timeout.value.0,
            pool_idle_timeout: self.pool_idle_timeout.value.0,
            tunnel_idle_timeout: self.tunnel_idle_timeout.value.0,
            drain_timeout: self.drain_timeout.value.0,
            client_keepalive: self.client_keepalive.value.0,
            half_close: self.half_close.value,
            line_ends: if self.strict_upstream.value.0 { LineEnds::CrLf } else { LineEnds::LfToo },
            batching,
            request_ids: self.request_id.value.0,
            run: 0,
            explain: self.explain.value.0,
            trace: trace.is_some(),
            limits,
            health,
            checks,
            classifier_checks,
            eject_on: self.eject_on.value.0,
            retry_on: self.retry_on.value.0,
            retry_budget: self.retry_budget.value.share(),
        };
        Ok(Setup {
            options,
            listen: self.listen.value,
            reuse_port: self.reuse_port.value.0,
            sources: self.source_address.value.iter().map(|address| address.0).collect(),
            admin: self.admin.value.address(),
            csv: self.csv.value.into_path(),
            trace,
            log_level: self.log_level.value,
        })
    }
}

/// So many of one kind, one after the other. No setting allows more than fit (`Count::MOST`).
fn in_a_row(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
