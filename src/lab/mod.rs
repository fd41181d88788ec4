//! The laboratory: from rows to figures, tables, pictures and verdicts.
//!
//! Here: reading request logs (`log.rs`, `trace_log.rs`), their analysis (`analyze.rs`, `series.rs`), statistics over repeats
//! (`statistics.rs`, `verdict.rs`), tables (`table.rs`), pictures (`plot/`), what a report makes of all this
//! (`report.rs`, `charts.rs`, `page/`), and what is told of batching strategies (`batching/`). Everything but the reading of
//! files is values in, values out. Not here: where a report is written, and what the command line looks like
//! (`cli/report.rs`), which calls this. Floor 4.

pub mod analyze;
pub mod batching;
pub mod charts;
pub mod experiment;
pub mod log;
pub mod page;
pub mod plot;
pub mod report;
pub mod selection;
pub mod series;
pub mod statistics;
pub mod table;
mod trace_log;
pub mod verdict;
