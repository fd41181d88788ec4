//! What comes back to the users of a world under stress.
//!
//! Here: taking answers apart, and whether each is the right one. Not here: asking (`users.rs`). Floor 4.

use std::time::Duration;

use super::super::plan::{Deceit, UserKind};
use super::{Timer, Turn, Users, classifying};
use crate::h1::body::BodyReader;
use crate::h1::persistence::Persistence;
use crate::h1::request::field_space;
use crate::h1::response::ResponseHead;
use crate::slots::SlotId;
use crate::world::letter;

impl Users {
    pub(super) fn take_answers(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        while self.take_body(turn, id) && self.take_head(id) {}
    }

    /// Reads on in the body of an answer, if there is one under way; whether a head may come.
    fn take_body(&mut self, turn: &mut Turn<'_>, id: SlotId) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let Some((mut reader, status, byte)) = connection.answer.take() else { return true };
        let Ok(piece) = reader.read(&mut connection.input) else {
            self.violate(format!("connection {id:?}: malformed body"));
            return false;
        };
        let group = &self.groups[self.users[connection.user].group];
        let data = &connection.input[piece.data];
        if matches!(group.kind, UserKind::Classifies { .. }) {
            connection.results.extend_from_slice(data);
        } else if status == 200 && data.iter().any(|&b| b != byte) {
            self.violate(format!("connection {id:?}: bytes of another body"));
            return false;
        }
        connection.input.drain(..piece.consumed);
        if !reader.is_done() {
            connection.answer = Some((reader, status, byte));
            return false;
        }
        self.answered(turn, id, status);
        true
    }

    /// Reads a head; whether its body may follow.
    fn take_head(&mut self, id: SlotId) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        if connection.input.is_empty() {
            return false;
        }
        let mut space = field_space();
        let head = match ResponseHead::parse(&connection.input, false, &mut space) {
            Ok(Some(head)) => head,
            Ok(None) => return false,
            Err(e) => {
                self.violate(format!("connection {id:?}: malformed answer: {e}"));
                return false;
            }
        };
        let (len, status, body) = (head.len, head.status, head.body);
        let last = head.persistence == Persistence::Close;
        let serial = head.fields.iter().find(|f| f.name == "X-Serial").map(|f| f.value.to_vec());
        let serial = serial.and_then(|value| String::from_utf8(value).ok()?.parse::<u64>().ok());
        connection.input.drain(..len);
        if status < 200 {
            return true;
        }
        let wrong = match (&connection.asked, serial) {
            // A place may be asked for back from one who says nothing.
            (None, _) if status != 408 => {
                Some(format!("connection {id:?}: an answer to no request, {status}"))
            }
            (Some(asked), Some(other)) if other != asked.serial => {
                let deceit = self.groups[self.users[connection.user].group].deceit;
                let noticed = self.noticed.is_some_and(|at| asked.sent > at);
                let may_be = match deceit {
                    Deceit::None => false,
                    Deceit::NotFirst if connection.answers == 0 => false,
                    Deceit::NotFirst | Deceit::Anybody if !noticed => true,
                    _ => connection.before.contains(&other),
                };
                self.seen.deceived += 1;
                (!may_be).then(|| format!("request {} has got the answer to {other}", asked.serial))
            }
            _ => None,
        };
        connection.last |= last;
        let own = connection.asked.as_ref().map_or(0, |asked| asked.serial);
        connection.answer = Some((BodyReader::new(body), status, letter(serial.unwrap_or(own))));
        wrong.into_iter().for_each(|wrong| self.violate(wrong));
        self.violation.is_none()
    }

    fn answered(&mut self, turn: &mut Turn<'_>, id: SlotId, status: u16) {
        let now = turn.now();
        let Some(connection) = self.connections.get_mut(id) else { return };
        let (number, last) = (connection.user, connection.last);
        connection.answers += 1;
        let asked = connection.asked.take();
        // Whoever has its answer early sends its body nevertheless.
        let (due, serial) =
            (std::mem::take(&mut connection.body_due), asked.as_ref().map_or(0, |a| a.serial));
        connection.out.extend(std::iter::repeat_n(letter(serial), due));
        let deceit = self.groups[self.users[number].group].deceit;
        connection.before.extend(asked.iter().map(|asked| asked.serial).filter(|_| deceit != Deceit::None));
        let user = &mut self.users[number];
        let group = &self.groups[user.group];
        self.seen.answers += 1;
        self.seen.well += u64::from(status == 200);
        let waited = user.since.take().map_or(Duration::ZERO, |since| now - since);
        let (pause, alone) = group.kind.pace();
        if !group.kind.asks() {
            return self.close(turn, id, super::PAUSE);
        }
        let results = std::mem::take(&mut connection.results);
        if let (UserKind::Classifies { texts, .. }, Some(asked), 200) = (group.kind, &asked, status)
            && !classifying::is_answer(&results, asked.serial, texts)
        {
            self.seen.deceived += 1;
            let may_be = group.deceit != Deceit::None && self.noticed.is_none_or(|at| asked.sent <= at);
            let results = String::from_utf8_lossy(&results).into_owned();
            let serial = asked.serial;
            if !may_be {
                return self.violate(format!("request {serial} got the results of another: {results}"));
            }
        }
        if group.served_within.is_some() {
            self.seen.longest_wait = self.seen.longest_wait.max(waited);
        }
        let late = group.served_within.is_some_and(|within| waited > within) && self.proxy_stops.is_none();
        let expected = group.statuses.contains(&status) || self.proxy_stops.is_some();
        user.rests_until = now + pause;
        if let Some(asked) = asked.filter(|_| late || !expected) {
            return self.violate(format!("request {} got {status} after {waited:?}", asked.serial));
        }
        if self.stopping {
            drop(self.connections.remove(id));
        } else if last || alone {
            self.close(turn, id, pause);
        } else if pause > Duration::ZERO {
            turn.timers.insert(now + pause, Timer::Next(id));
        } else {
            self.begin(turn, id);
        }
    }
}
