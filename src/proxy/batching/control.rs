//! `/strategy` and `/docs`.
//!
//! Here: reading and changing the strategy, and the page that says how. Not here: what a strategy does (`batch/`).
//! Floor 3.

use serde::Deserialize;

use super::Ask;
use super::answer::Answer;
use super::intake::excerpt;
use crate::batch::StrategyName;
use crate::h1::request::RequestHead;
use crate::net::Net;
use crate::proxy::{ClientId, Proxy, TicketId, Turn};

/// The page at `/docs`.
const DOCS: &str = include_str!("docs.html");

/// The body of `POST /strategy`: a name, or an object with it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Name(String),
    Object {
        #[serde(alias = "new_strategy")]
        strategy: String,
    },
}

impl<N: Net> Proxy<N> {
    /// Whether this client may change the strategy, and what its query says.
    pub(super) fn ask_for_strategy(
        &self,
        id: ClientId,
        head: &RequestHead<'_, '_>,
        query: Option<&str>,
    ) -> Ask {
        let any = self.batching.as_ref().is_some_and(|b| b.options.strategy_from_any);
        let local = self.clients.get(id).is_some_and(|c| c.address.is_loopback());
        if !local && !any {
            let detail = "the strategy is changed from this machine only; see --strategy-from";
            return Ask::Refused(403, detail.to_owned(), "");
        }
        // Then the address is that of a proxy on this machine, which speaks for anybody.
        if !any && head.was_forwarded() {
            let detail = "the strategy is changed from this machine only, and this was passed on by a proxy; see --strategy-from";
            return Ask::Refused(403, detail.to_owned(), "");
        }
        // A page of another site that runs in a browser here must not reach what only this machine may do.
        if head.is_of_another_origin() {
            return Ask::Refused(403, "a page of another origin may not change the strategy".to_owned(), "");
        }
        let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let named = pairs.filter(|(key, _)| *key == "new_strategy").map(|(_, value)| value.to_owned()).next();
        Ask::SetStrategy(named)
    }

    /// `POST /strategy`.
    pub(super) fn take_strategy(
        &mut self,
        turn: &mut Turn<'_, N>,
        id: TicketId,
        named: Option<String>,
        body: &[u8],
    ) {
        let name = named.map(Ok).unwrap_or_else(|| {
            serde_json::from_slice(body).map(|wanted| match wanted {
                Wanted::Name(strategy) | Wanted::Object { strategy } => strategy,
            })
        });
        let wanted = name.map_err(|_| {
            let names = StrategyName::ALL.map(StrategyName::name).join(", ");
            format!("send a JSON string, or ?new_strategy=NAME; NAME is one of {names}")
        });
        match wanted.and_then(|name| excerpt(&name).parse::<StrategyName>()) {
            Ok(strategy) => {
                self.set_strategy(turn, strategy);
                self.tell_strategy(turn, id);
            }
            Err(detail) => self.answer(turn, id, Answer::refusal(422, &detail)),
        }
    }

    /// `{"active_strategy": …}`.
    pub(super) fn tell_strategy(&mut self, turn: &mut Turn<'_, N>, id: TicketId) {
        let Some(batching) = &self.batching else { return };
        let body = format!("{{\"active_strategy\":\"{}\"}}", batching.queue.strategy());
        self.answer(turn, id, Answer::json(200, body.as_bytes()));
    }

    pub(super) fn tell_docs(&mut self, turn: &mut Turn<'_, N>, id: TicketId) {
        self.answer(turn, id, Answer::whole(200, "text/html; charset=utf-8", DOCS.as_bytes()));
    }
}
