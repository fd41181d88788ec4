//! What comes back to the clients of a virtual world.
//!
//! Here: taking answers apart and judging them. Not here: asking, sending and reading (`clients.rs`). Floor 4.

use super::{Answer, Clients, Turn};
use crate::h1::BodyLength;
use crate::h1::body::BodyReader;
use crate::h1::request::field_space;
use crate::h1::response::ResponseHead;
use crate::slots::SlotId;
use crate::world::clients::habits::Parting;
use crate::world::letter;

impl Clients {
    pub(super) fn take_answers(&mut self, turn: &mut Turn<'_>, id: SlotId) {
        loop {
            let Some(connection) = self.connections.get_mut(id) else { return };
            if let Some(mut answer) = connection.body.take() {
                let Ok(piece) = answer.reader.read(&mut connection.input) else {
                    return self.violate(format!("connection {id:?}: malformed body"));
                };
                if answer.letter.is_some_and(|own| connection.input[piece.data].iter().any(|&b| b != own)) {
                    return self.violate(format!("connection {id:?}: bytes of another body"));
                }
                connection.input.drain(..piece.consumed);
                if !answer.reader.is_done() {
                    connection.body = Some(answer);
                    return;
                }
                self.answered(turn, id, answer.status);
                continue;
            }
            if connection.input.is_empty() {
                return;
            }
            if let Some(tunnel) = &mut connection.tunnel {
                let taken = tunnel.take(&connection.input);
                connection.input.clear();
                return taken.unwrap_or_else(|what| self.violate(what));
            }
            let Some(asked) = connection.asked.front() else {
                let extra = connection.input.escape_ascii().to_string();
                return self.violate(format!("connection {id:?}: an answer to no request: {extra}"));
            };
            let mut space = field_space();
            // Of a request that has not come whole nobody knows the method.
            let to_head = asked.to_head && !connection.input.starts_with(b"HTTP/1.1 408 ");
            match ResponseHead::parse(&connection.input, to_head, &mut space) {
                Ok(None) => return,
                Ok(Some(head)) => {
                    let (len, status, body) = (head.len, head.status, head.body);
                    let serial = head.fields.iter().find(|f| f.name == "X-Serial").map(|f| f.value.to_vec());
                    let own = asked.serial.to_string().into_bytes();
                    if serial.as_ref().is_some_and(|answered| *answered != own) {
                        return self.violate(format!("connection {id:?}: the answer to another request"));
                    }
                    let letter = serial.map(|_| letter(asked.serial));
                    if body == BodyLength::UntilClose {
                        return self.violate(format!("connection {id:?}: an answer without length"));
                    }
                    if head.fields.iter().any(|f| f.name == "X-Poison") {
                        return self.violate(format!("connection {id:?}: a malformed answer was passed on"));
                    }
                    let switch = head.switches_to_websocket();
                    let promised = head.fields.iter().any(|f| f.name == "X-Promised");
                    connection.input.drain(..len);
                    if status == 101 {
                        self.granted(id, switch, promised);
                        self.write(turn, id);
                    } else if status >= 200 {
                        let reader = BodyReader::new(body);
                        connection.body = Some(Answer { reader, status, letter });
                    }
                }
                Err(e) => return self.violate(format!("connection {id:?}: malformed answer: {e}")),
            }
        }
    }

    /// A 101 has come.
    fn granted(&mut self, id: SlotId, switch: bool, promised: bool) {
        let (leaves, size) = (self.fabric.draw(4) == 0, self.fabric.draw(2_000) as usize);
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(mut tunnel) = connection.asked.pop_front().and_then(|asked| asked.tunnel).filter(|_| switch)
        else {
            return self.violate(format!("connection {id:?}: a 101 that nobody asked for"));
        };
        if leaves {
            let (sent, more) = (connection.sent, connection.out.len() + size);
            connection.habits.leaves = Some(Parting::Sending(sent + more));
        }
        // Who does not read for long is not waited for.
        let promised = promised && connection.habits.nap.is_none();
        tunnel.granted(promised, &mut connection.out);
        // What it does not send would not come back.
        connection.habits.holds_back = None;
        connection.tunnel = Some(tunnel);
    }

    fn answered(&mut self, turn: &mut Turn<'_>, id: SlotId, status: u16) {
        let now = turn.now();
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(asked) = connection.asked.pop_front() else { return };
        match status {
            200..300 => {
                self.seen.answers[0] += 1;
                self.seen.latencies_ns.push(now.nanos_since(asked.sent));
            }
            400..500 => self.seen.answers[1] += 1,
            _ => self.seen.answers[2] += 1,
        }
        if !connection.asked.is_empty() {
            return;
        }
        let hasty = asked.tunnel.is_some_and(|tunnel| tunnel.is_hasty());
        let goes_on = connection.goes_on();
        if self.stopping || hasty || !goes_on {
            return self.close(turn, id);
        }
        self.ask(turn, id);
        self.write(turn, id);
    }
}
