//! What the users of a world under stress send.
//!
//! Here: requests, and what follows them byte by byte. Not here: what comes back (`answers.rs`). Floor 4.

use std::time::Duration;

use super::super::plan::UserKind;
use super::super::script::Script;
use super::{Asked, Timer, Turn, Users, classifying};
use crate::slots::SlotId;
use crate::world::letter;

impl Users {
    /// What a user does first on a connection, and an asking one for each request.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let now = turn.now();
        self.serial += 1;
        let serial = self.serial;
        let Some(connection) = self.connections.get_mut(id) else { return };
        let user = &mut self.users[connection.user];
        match self.groups[user.group].kind {
            UserKind::Asks { script, body, body_after, alone, .. } => {
                user.since.get_or_insert(now);
                let method = if body > 0 { "PUT" } else { "GET" };
                let close = if alone { "Connection: close\r\n" } else { "" };
                let length = if body > 0 { format!("Content-Length: {body}\r\n") } else { String::new() };
                let target = script.target(serial);
                let head = format!("{method} {target} HTTP/1.1\r\nHost: w\r\n{close}{length}\r\n");
                connection.out.extend(head.as_bytes());
                match body_after.filter(|_| body > 0) {
                    Some(after) => {
                        connection.body_due = body;
                        turn.timers.insert(now + after, Timer::Body(id, serial));
                    }
                    None => connection.out.extend(std::iter::repeat_n(letter(serial), body)),
                }
                connection.asked = Some(Asked { serial, sent: now });
            }
            UserKind::Classifies { customer, texts, bytes, .. } => {
                user.since.get_or_insert(now);
                classifying::write(&mut connection.out, customer, serial, texts, bytes);
                connection.asked = Some(Asked { serial, sent: now });
            }
            UserKind::SlowHead(every) => {
                connection.out.extend(b"GET / HTTP/1.1\r\nHost: w\r\nX-Long: ");
                turn.timers.insert(now + every, Timer::Drop(id));
            }
            UserKind::SlowBody(every) => {
                let target = Script::Plain(Duration::ZERO, 1).target(serial);
                let head = format!("PUT {target} HTTP/1.1\r\nHost: w\r\nContent-Length: 1000000\r\n\r\n");
                connection.out.extend(head.as_bytes());
                connection.asked = Some(Asked { serial, sent: now });
                turn.timers.insert(now + every, Timer::Drop(id));
            }
            UserKind::SlowReader(every) => {
                let target = Script::Plain(Duration::ZERO, 1_000_000).target(serial);
                connection.out.extend(format!("GET {target} HTTP/1.1\r\nHost: w\r\n\r\n").as_bytes());
                connection.asked = Some(Asked { serial, sent: now });
                connection.sips = true;
                turn.timers.insert(now + every, Timer::Drop(id));
            }
            UserKind::HalfHead => connection.out.extend(b"GET / HTTP/1.1\r\nHo"),
            UserKind::Silent => {}
        }
        self.write(id);
    }

    /// Sends the body of request `serial`, if that is still under way.
    pub(super) fn send_body(&mut self, id: SlotId, serial: u64) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.asked.as_ref().is_some_and(|asked| asked.serial == serial) {
            let due = std::mem::take(&mut connection.body_due);
            connection.out.extend(std::iter::repeat_n(letter(serial), due));
            self.write(id);
        }
    }

    /// One more drop.
    pub(super) fn drip(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let every = match self.groups[self.users[connection.user].group].kind {
            UserKind::SlowHead(every) => {
                connection.out.push_back(b'a');
                every
            }
            UserKind::SlowBody(every) => {
                let serial = connection.asked.as_ref().map_or(0, |asked| asked.serial);
                connection.out.push_back(letter(serial));
                every
            }
            UserKind::SlowReader(every) => {
                connection.readable = true;
                every
            }
            _ => return,
        };
        turn.timers.insert(turn.now() + every, Timer::Drop(id));
        self.write(id);
        self.read(turn, id);
    }
}
