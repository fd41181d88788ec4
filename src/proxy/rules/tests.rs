//! Prints the tables and compares them with `tables.txt`; `UPDATE=1 cargo test rules` writes it anew.

use std::fmt::{Debug, Write};

use super::*;
use crate::h1::BodyLength;
use crate::h1::body::BodyReader;
use crate::h1::coding::Coding;
use crate::slots::SlotId;
use Event::*;

const ID: SlotId = SlotId::new(0, 0);

const EVENTS: [Event; 17] = [
    Refused,
    NoSocket,
    ConnectExpired,
    UpstreamClosed,
    UpstreamReset,
    UpstreamExpired,
    StreamIdle,
    ResponseHeadMalformed,
    ResponseBodyMalformed,
    RequestBodyMalformed,
    RequestBodyTooLarge,
    ClientClosed,
    ClientLost,
    ClientSendsNothing,
    ClientTooSlow,
    ClientTakesNothing,
    DrainLimit,
];

const PROGRESS: [Progress; 7] = [
    Progress::Stale,
    Progress::Movable,
    Progress::Pending,
    Progress::Raced,
    Progress::Framed,
    Progress::UntilClose,
    Progress::Tunnel,
];

const CLIENT: [ClientState; 9] = [
    ClientState::Idle,
    ClientState::Head,
    ClientState::Busy(ID),
    ClientState::Tunnel(ID),
    ClientState::Asking(ID),
    ClientState::Flushing(After::KeepAlive),
    ClientState::Flushing(After::Close),
    ClientState::Flushing(After::Linger),
    ClientState::Lingering,
];

/// A table with a title, a row for each `rows`, a column for each `columns`.
fn table<R: Debug, C>(
    out: &mut String,
    title: &str,
    rows: &[R],
    columns: &[(&str, C)],
    cell: impl Fn(&R, &C) -> String,
) {
    let name = |row: &R| format!("{row:?}").replace("(0.0)", "");
    let wide = rows.iter().map(|row| name(row).len()).max().unwrap_or(0);
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|(_, column)| cell(row, column)).collect()).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, (head, _))| cells.iter().map(|row| row[i].len()).chain([head.len()]).max().unwrap_or(0))
        .collect();
    let mut line = |first: &str, rest: &mut dyn Iterator<Item = &str>| {
        let mut text = format!("{first:wide$}");
        rest.zip(&widths).for_each(|(cell, width)| {
            let _ = write!(text, "  {cell:width$}");
        });
        let _ = writeln!(out, "{}", text.trim_end());
    };
    line(&format!("# {title}"), &mut std::iter::empty());
    line("", &mut columns.iter().map(|(head, _)| *head));
    for (row, cells) in rows.iter().zip(&cells) {
        line(&name(row), &mut cells.iter().map(String::as_str));
    }
    line("", &mut std::iter::empty());
}

fn shown(value: impl Debug) -> String {
    format!("{value:?}").replace("(0.0)", "").replace("0.0, ", "").replace("Attempt ", "")
}

fn exchange_tables(out: &mut String) {
    let columns = PROGRESS.map(|p| (format!("{p:?}"), p));
    let columns: Vec<_> = columns.iter().map(|(name, p)| (name.as_str(), *p)).collect();
    table(out, "an exchange: event, progress of the response -> effect", &EVENTS, &columns, |event, p| {
        shown(exchange(*event, *p))
    });
    let reader = BodyReader::new(BodyLength::Exact(1));
    let sides = [
        ("Body", RequestSide::Body { reader, coding: Coding::Identity }),
        ("Done", RequestSide::Done),
        ("Abandoned", RequestSide::Abandoned),
    ];
    let failures: Vec<Failure> = EVENTS
        .iter()
        .flat_map(|event| PROGRESS.map(|p| exchange(*event, p)))
        .filter_map(|effect| if let Effect::Fail(failure) = effect { Some(failure) } else { None })
        .fold(Vec::new(), |mut all, failure| {
            if !all.contains(&failure) {
                all.push(failure);
            }
            all
        });
    for (title, head_sent, ends_at_close, keep) in [
        ("a failure before the response, connection may be kept: request -> ending", false, false, true),
        ("a failure before the response, connection may not be kept: request -> ending", false, false, false),
        ("a failure in a framed response: request -> ending", true, false, true),
        ("a failure in a response that ends at close: request -> ending", true, true, false),
    ] {
        table(out, title, &failures, &sides, |failure, side| {
            shown(ending(*failure, *side, head_sent, ends_at_close, keep))
        });
    }
}

fn half_closed(state: ClientState, meaning: HalfClose) -> String {
    client_half_closed(state, meaning).map_or("Nothing".to_owned(), shown)
}

fn client_tables(out: &mut String) {
    type Column = fn(ClientState) -> String;
    let columns: [(&str, Column); 10] = [
        ("readable", |s| shown(client_readable(s, false))),
        ("readable, body wanted", |s| shown(client_readable(s, true))),
        ("half-closed: answer", |s| half_closed(s, HalfClose::Answer)),
        ("half-closed: cancel", |s| half_closed(s, HalfClose::Cancel)),
        ("ended", |s| shown(client_ended(s))),
        ("lost", |s| shown(client_lost(s))),
        ("expired", |s| shown(client_expired(s, false, false))),
        ("expired, too slow", |s| shown(client_expired(s, false, true))),
        ("expired, bytes unsent", |s| shown(client_expired(s, true, false))),
        ("flushed", |s| shown(client_flushed(s))),
    ];
    table(out, "a client: state, event -> what follows", &CLIENT, &columns, |state, column| column(*state));
    let rows = [After::KeepAlive, After::Close, After::Linger];
    let columns = [
        ("all taken", (false, false)),
        ("more unread", (false, true)),
        ("bytes unsent", (true, false)),
        ("bytes unsent, more unread", (true, true)),
    ];
    table(out, "a client after a response: what was meant -> what follows", &rows, &columns, |after, c| {
        shown(client_concluded(*after, c.0, c.1))
    });
}

fn upstream_table(out: &mut String) {
    type Column = fn(UpstreamState) -> String;
    let attempt = Attempt::default();
    let rows = [
        UpstreamState::Connecting { exchange: ID, attempt },
        UpstreamState::Carrying(ID),
        UpstreamState::Tunnel(ID),
        UpstreamState::Idle,
        UpstreamState::Kept(ID),
    ];
    let columns: [(&str, Column); 6] = [
        ("readable", |s| shown(upstream_ready(s, false, false))),
        ("readable, bytes unsent", |s| shown(upstream_ready(s, false, true))),
        ("writable", |s| shown(upstream_ready(s, true, false))),
        ("writable, bytes unsent", |s| shown(upstream_ready(s, true, true))),
        ("expired", |s| shown(upstream_expired(s, None))),
        ("expired, another address", |s| shown(upstream_expired(s, Some(Attempt::default())))),
    ];
    let name = |state: &UpstreamState| match state {
        UpstreamState::Connecting { .. } => "Connecting",
        UpstreamState::Carrying(_) => "Carrying",
        UpstreamState::Tunnel(_) => "Tunnel",
        UpstreamState::Idle => "Idle",
        UpstreamState::Kept(_) => "Kept",
    };
    /// A state by its name alone.
    struct Named(&'static str, UpstreamState);
    impl Debug for Named {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    let rows = rows.map(|state| Named(name(&state), state));
    table(out, "an upstream: state, event -> what follows", &rows, &columns, |row, column| {
        column(row.1).replace("{ first: 0, tried: 0 }", "next").replace("(next)", "")
    });
}

fn tunnel_table(out: &mut String) {
    let rows = [Direction::Open, Direction::Ended];
    let columns = [
        ("Open", (Direction::Open, false, false)),
        ("Ended", (Direction::Ended, false, false)),
        ("client lost", (Direction::Open, true, false)),
        ("upstream lost", (Direction::Open, false, true)),
        ("both lost", (Direction::Open, true, true)),
    ];
    table(out, "a tunnel: to the upstream, to the client -> what follows", &rows, &columns, |up, c| {
        shown(tunnel(*up, c.0, c.1, c.2))
    });
}

#[test]
fn the_transition_tables_are_those_that_were_reviewed() {
    let mut tables = String::new();
    client_tables(&mut tables);
    upstream_table(&mut tables);
    tunnel_table(&mut tables);
    exchange_tables(&mut tables);
    let tables = tables.trim_end().to_owned() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/proxy/rules/tables.txt");
        std::fs::write(path, &tables).expect("the tables can be written");
        return;
    }
    let reviewed = include_str!("tables.txt");
    let changed: Vec<_> = tables.lines().zip(reviewed.lines()).filter(|(now, then)| now != then).collect();
    assert!(
        tables == reviewed,
        "the tables have changed (now, reviewed): {changed:#?}\nif that is meant: UPDATE=1 cargo test rules"
    );
}
