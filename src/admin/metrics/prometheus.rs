//! OpenMetrics to Prometheus text 0.0.4.
//!
//! Here: the differences for what prometheus-client writes: a counter's family has the name of its series, `_total`
//! included; there is no unit and no end mark. Sources: the Prometheus page "Exposition formats", OpenMetrics 1.0
//! §"Negotiation". Floor 3.

/// Appends `openmetrics` in the older format.
pub(super) fn write(openmetrics: &str, out: &mut String) {
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        // HELP comes before TYPE, which alone tells a counter.
        let described = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '));
        if let Some((name, help)) = described {
            let suffix = match lines.peek().and_then(|next| kind_of(next, name)) {
                Some("counter") => "_total",
                _ => "",
            };
            out.push_str(&format!("# HELP {name}{suffix} {help}\n"));
        } else if let Some((name, "counter")) = typed(line) {
            out.push_str(&format!("# TYPE {name}_total counter\n"));
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            out.push_str(line);
            out.push('\n');
        }
    }
}

/// Name and type of a TYPE line.
fn typed(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("# TYPE ")?.split_once(' ')
}

fn kind_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    typed(line).filter(|(of, _)| *of == name).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_name_of_their_series_and_nothing_else_changes() {
        let openmetrics = "# HELP a_requests Requests.\n# TYPE a_requests counter\na_requests_total{b=\"c d\"} 5\n\
            # HELP q_seconds Waits.\n# TYPE q_seconds histogram\n# UNIT q_seconds seconds\nq_seconds_sum 1.5\n\
            q_seconds_bucket{le=\"+Inf\"} 2\n# HELP up Up.\n# TYPE up gauge\nup 1\n# EOF\n";
        let mut text = String::new();
        write(openmetrics, &mut text);
        assert_eq!(
            text,
            "# HELP a_requests_total Requests.\n# TYPE a_requests_total counter\na_requests_total{b=\"c d\"} 5\n\
            # HELP q_seconds Waits.\n# TYPE q_seconds histogram\nq_seconds_sum 1.5\n\
            q_seconds_bucket{le=\"+Inf\"} 2\n# HELP up Up.\n# TYPE up gauge\nup 1\n"
        );
    }
}
