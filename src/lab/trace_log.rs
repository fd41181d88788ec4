//! Traces as request logs.
//!
//! Here: what a report needs of the lines of JSON that `--trace` writes. Not here: writing them (`telemetry/trace.rs`), the
//! log itself (`log.rs`, which calls this). Floor 4.

use std::borrow::Cow;
use std::io::BufRead;

use jiff::Timestamp;
use serde::Deserialize;

use super::log::{Fields, LogBuilder};

/// What the first byte of a trace is, and of no CSV that is a request log.
pub(super) const FIRST_BYTE: u8 = b'{';

/// In place of a URL when there was no backend to choose, as in the CSV.
const NO_BACKEND: &str = "-";

/// The fields that the CSV has too.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    ended: Cow<'a, str>,
    #[serde(borrow)]
    backend: Option<Cow<'a, str>>,
    latency_ns: u64,
    status: u16,
    #[serde(borrow)]
    mode: Cow<'a, str>,
}

/// Adds each line of a trace. Latencies keep their fractions of a millisecond; times are in UTC.
pub(super) fn read(mut lines: impl BufRead, builder: &mut LogBuilder) {
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        match lines.read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(why) => return builder.remark(format!("cut short after line {}: {why}", number - 1)),
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line<'_>>(&bytes) {
            Ok(line) => match fields(&line) {
                Ok(fields) => builder.add(&fields, number),
                Err(why) => builder.reject(number, why),
            },
            // serde_json tells the place within the line as if it were the first of a file.
            Err(e) => {
                let why = e.to_string();
                let why = why.split(" at line ").next().unwrap_or_default();
                builder.reject(number, format!("column {}: {why}", e.column()));
            }
        }
    }
}

fn fields<'a>(line: &'a Line<'_>) -> Result<Fields<'a>, String> {
    let ended: Timestamp = line
        .ended
        .parse()
        .map_err(|_| format!("`ended` is not like 2025-05-09T20:04:04.679379Z: {:?}", line.ended))?;
    if !(100..=999).contains(&line.status) {
        return Err(format!("`status` {} is not an HTTP status", line.status));
    }
    Ok(Fields {
        ended_us: ended.as_microsecond(),
        url: line.backend.as_deref().unwrap_or(NO_BACKEND),
        latency_ms: line.latency_ns as f64 / 1e6,
        status: line.status,
        mode: &line.mode,
    })
}

#[cfg(test)]
mod tests {
    use crate::lab::log::{Malformed, read_from};

    #[test]
    fn a_trace_is_read_as_the_csv_of_the_same_requests_but_finer() {
        let trace = concat!(
            r#"{"id":"a","ended":"2025-05-09T20:04:04.679379Z","status":200,"mode":"adaptive_sma","#,
            r#""backend":"http://localhost:8081","latency_ns":42400000,"attempts":[{"backend":null}]}"#,
            "\n",
            r#"{"ended":"2025-05-09T20:04:05Z","status":503,"mode":"round-robin","backend":null,"latency_ns":1}"#,
            "\n",
        );
        let csv = "timestamp,backend_url,latency_ms,status_code,routing_mode\n\
                   2025-05-09T20:04:04.679379,http://localhost:8081,42.4,200,adaptive_sma\n\
                   2025-05-09T20:04:05,-,0.000001,503,round-robin\n";
        let log = read_from(trace.as_bytes()).unwrap();
        assert_eq!(log, read_from(csv.as_bytes()).unwrap());
        assert_eq!(log.rows.len(), 2);
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named_and_left_out() {
        let good = r#"{"ended":"2025-05-09T20:04:05Z","status":200,"mode":"m","backend":"u","latency_ns":1}"#;
        let bad = [
            good.replace("2025-05-09T20:04:05Z", "noon"),
            good.replace("200", "20"),
            good.replace("\"mode\":\"m\",", ""),
            good[..40].to_owned(),
        ];
        let text = [&[good.to_owned(), String::new()], &bad[..]].concat().join("\n");
        let log = read_from(text.as_bytes()).unwrap();
        let told = |line, why: &str| Malformed { line, why: why.to_owned() };
        assert_eq!((log.rows.len(), log.malformed), (1, 4));
        assert_eq!(
            log.examples,
            [
                told(3, "`ended` is not like 2025-05-09T20:04:04.679379Z: \"noon\""),
                told(4, "`status` 20 is not an HTTP status"),
                told(5, "column 74: missing field `mode`"),
                told(6, "column 40: EOF while parsing an object"),
            ]
        );
    }
}
