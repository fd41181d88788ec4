//! What follows from what: the transition tables of client, upstream and exchange.
//!
//! Here: pure rules, a column of a table each, and a test that prints the tables into `rules/tables.txt`, so that a change of
//! any cell is seen. Not here: noticing an event (`client.rs`, `upstream.rs`, `response.rs`) and carrying out what
//! follows (`exchange.rs`). Floor 3.

use super::client::{After, ClientState};
use super::failure::Failure;
use super::target::Attempt;
use super::tunnel::Direction;
use super::upstream::UpstreamState;
use super::{ExchangeId, HalfClose, TicketId, exchange::RequestSide};

/// What has befallen an exchange. Progress is none: bytes are just passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// No address of the backend takes a connection.
    Refused,
    /// This machine has no socket left for a connection.
    NoSocket,
    /// The last address of the backend has not answered in time.
    ConnectExpired,
    /// The backend has closed the connection in good order.
    UpstreamClosed,
    /// The connection to the backend is lost.
    UpstreamReset,
    /// The backend has let the time for a head, for taking bytes of the request, or for the whole answer to a batch pass.
    UpstreamExpired,
    /// A response has stood still after its head.
    StreamIdle,
    ResponseHeadMalformed,
    ResponseBodyMalformed,
    RequestBodyMalformed,
    /// The client has sent more of its body than is taken.
    RequestBodyTooLarge,
    /// The client has closed its side in the middle of its body.
    ClientClosed,
    /// The client's connection is lost.
    ClientLost,
    /// The client owes bytes of its body, and sends none.
    ClientSendsNothing,
    /// The client sends its body more slowly than is borne.
    ClientTooSlow,
    /// The client is owed bytes of the response, and takes none.
    ClientTakesNothing,
    /// The time for draining is over.
    DrainLimit,
}

/// How far the response has come, as far as it matters to what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// No byte of it has come, and the request, which is kept, went out on a connection that may have been closed before.
    Stale,
    /// No byte of it has come, and the request is kept, or was never sent: another backend may get it.
    Movable,
    /// No final head has come.
    Pending,
    /// The same, while further copies of the request are under way.
    Raced,
    /// The head has gone to the client; the body's end is told by its coding.
    Framed,
    /// The head has gone to the client; the body ends when the backend closes.
    UntilClose,
    /// A 101 has gone to the client.
    Tunnel,
}

/// What follows for the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The response is whole.
    Complete,
    /// The request goes out once more, on a fresh connection (RFC 9112 §9.3.1).
    SendAgain,
    /// The request goes to another backend, if there is one and the budget for it is not used up; else it has failed so.
    SendElsewhere(Failure),
    /// A further copy takes the place of what has failed so.
    DropAttempt(Failure),
    /// Whatever befalls a tunnel ends it; its 101 was answer enough.
    EndTunnel,
    Fail(Failure),
}

/// What an event means for an exchange.
pub(super) const fn exchange(event: Event, progress: Progress) -> Effect {
    match (event, progress) {
        (_, Progress::Tunnel) => Effect::EndTunnel,
        (Event::UpstreamClosed, Progress::UntilClose) => Effect::Complete,
        (Event::UpstreamClosed | Event::UpstreamReset, Progress::Raced) => {
            Effect::DropAttempt(Failure::UpstreamResetBeforeHead)
        }
        (Event::Refused, Progress::Raced) => Effect::DropAttempt(Failure::UpstreamRefused),
        (Event::NoSocket, Progress::Raced) => Effect::DropAttempt(Failure::NoSocket),
        (Event::ConnectExpired, Progress::Raced) => Effect::DropAttempt(Failure::ConnectTimeout),
        (Event::UpstreamExpired, Progress::Raced) => Effect::DropAttempt(Failure::UpstreamTimeout),
        (Event::ResponseHeadMalformed, Progress::Raced) => {
            Effect::DropAttempt(Failure::UpstreamHeadMalformed)
        }
        (Event::UpstreamClosed | Event::UpstreamReset, Progress::Stale) => Effect::SendAgain,
        (Event::UpstreamClosed | Event::UpstreamReset, Progress::Movable) => {
            Effect::SendElsewhere(Failure::UpstreamResetBeforeHead)
        }
        (Event::Refused, Progress::Movable) => Effect::SendElsewhere(Failure::UpstreamRefused),
        (Event::ConnectExpired, Progress::Movable) => Effect::SendElsewhere(Failure::ConnectTimeout),
        (Event::UpstreamClosed | Event::UpstreamReset, Progress::Pending) => {
            Effect::Fail(Failure::UpstreamResetBeforeHead)
        }
        (Event::UpstreamClosed | Event::UpstreamReset, _) => Effect::Fail(Failure::UpstreamTruncatedBody),
        (Event::Refused, _) => Effect::Fail(Failure::UpstreamRefused),
        (Event::NoSocket, _) => Effect::Fail(Failure::NoSocket),
        (Event::ConnectExpired, _) => Effect::Fail(Failure::ConnectTimeout),
        (Event::UpstreamExpired, _) => Effect::Fail(Failure::UpstreamTimeout),
        (Event::StreamIdle, _) => Effect::Fail(Failure::StreamIdle),
        (Event::ResponseHeadMalformed, _) => Effect::Fail(Failure::UpstreamHeadMalformed),
        (Event::ResponseBodyMalformed, _) => Effect::Fail(Failure::UpstreamBodyMalformed),
        (Event::RequestBodyMalformed, _) => Effect::Fail(Failure::ClientBodyMalformed),
        (Event::RequestBodyTooLarge, _) => Effect::Fail(Failure::ClientBodyTooLarge),
        (Event::ClientSendsNothing, _) => Effect::Fail(Failure::ClientBodyTimeout),
        (Event::ClientTooSlow, _) => Effect::Fail(Failure::ClientTooSlow),
        (Event::ClientClosed | Event::ClientLost | Event::ClientTakesNothing, _) => {
            Effect::Fail(Failure::ClientGone)
        }
        (Event::DrainLimit, _) => Effect::Fail(Failure::DrainLimit),
    }
}

/// What the client gets of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing: it has left.
    Silence,
    /// A response of ours, and then this.
    Reply(After),
    /// Its connection ends in mid-body, which tells that the response is not whole (RFC 9112 §8).
    Close,
    /// The same where the end of the connection would be the body's: a reset.
    Reset,
}

/// How a failed exchange ends. `keep`: the client's connection may be kept. `ends_at_close`: for the client, the end
/// of the connection is the end of the body.
pub(super) const fn ending(
    failure: Failure,
    request: RequestSide,
    head_sent: bool,
    ends_at_close: bool,
    keep: bool,
) -> Ending {
    match (failure, request) {
        (Failure::ClientGone, _) => Ending::Silence,
        (_, _) if head_sent && ends_at_close => Ending::Reset,
        (_, _) if head_sent => Ending::Close,
        (_, RequestSide::Done) if keep => Ending::Reply(After::KeepAlive),
        (_, RequestSide::Done) => Ending::Reply(After::Close),
        (_, RequestSide::Body { .. } | RequestSide::Abandoned) => Ending::Reply(After::Linger),
    }
}

/// What bytes of a client are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Head,
    Body(ExchangeId),
    /// The body of a request that is ours to answer.
    Ask(TicketId),
    /// They are passed over.
    Discard,
    /// They stay in the socket.
    NotNow,
}

/// A client's connection has bytes to read. `wants_body`: those of a request body can be passed on now.
pub(super) const fn client_readable(state: ClientState, wants_body: bool) -> Reading {
    match state {
        ClientState::Idle | ClientState::Head => Reading::Head,
        ClientState::Busy(exchange) if wants_body => Reading::Body(exchange),
        ClientState::Asking(ticket) if wants_body => Reading::Ask(ticket),
        // Who sends all of its request before it reads would never read our last word.
        ClientState::Flushing(After::Linger) | ClientState::Lingering => Reading::Discard,
        ClientState::Busy(_) | ClientState::Tunnel(_) | ClientState::Asking(_) | ClientState::Flushing(_) => {
            Reading::NotNow
        }
    }
}

/// What follows for a client's connection from its end or its silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// It still gets what waits for it.
    Nothing,
    Close,
    /// It closes, unless its next request waits in the socket.
    CloseUnlessUnread,
    /// This befalls the exchange, and the connection closes.
    TellAndClose(ExchangeId, Event),
    /// This befalls the exchange, which answers the client.
    Tell(ExchangeId, Event),
    /// 408, and then the connection closes.
    RequestTimeout,
    /// A request of ours to answer is wanted no longer, and the connection closes.
    Abandon(TicketId),
    /// The time of a request of ours to answer is over.
    AskExpired(TicketId),
}

/// The end of a client's stream has been read. Only a body is read while an exchange is in flight: this one will never
/// be complete.
pub(super) const fn client_ended(state: ClientState) -> Departure {
    match state {
        ClientState::Busy(exchange) | ClientState::Tunnel(exchange) => {
            Departure::TellAndClose(exchange, Event::ClientClosed)
        }
        ClientState::Asking(ticket) => Departure::Abandon(ticket),
        ClientState::Flushing(_) => Departure::Nothing,
        ClientState::Idle | ClientState::Head | ClientState::Lingering => Departure::Close,
    }
}

/// A client sends no more, and nothing of it is to be read now. One whose request is forwarded may only have
/// half-closed, and what that means is an option. One that waits for a batch is taken to have left: work for it would
/// take the place of others'.
pub(super) const fn client_half_closed(state: ClientState, meaning: HalfClose) -> Option<Departure> {
    match (state, meaning) {
        (ClientState::Busy(exchange), HalfClose::Cancel) => {
            Some(Departure::TellAndClose(exchange, Event::ClientClosed))
        }
        (ClientState::Asking(ticket), _) => Some(Departure::Abandon(ticket)),
        _ => None,
    }
}

/// A client's connection is lost.
pub(super) const fn client_lost(state: ClientState) -> Departure {
    match state {
        ClientState::Busy(exchange) | ClientState::Tunnel(exchange) => {
            Departure::TellAndClose(exchange, Event::ClientLost)
        }
        ClientState::Asking(ticket) => Departure::Abandon(ticket),
        _ => Departure::Close,
    }
}

/// A client's deadline has passed. `unsent`: bytes wait for it. `too_slow`: its body came, but too slowly.
pub(super) const fn client_expired(state: ClientState, unsent: bool, too_slow: bool) -> Departure {
    match state {
        ClientState::Head => Departure::RequestTimeout,
        ClientState::Busy(id) if unsent => Departure::TellAndClose(id, Event::ClientTakesNothing),
        ClientState::Busy(exchange) if too_slow => Departure::Tell(exchange, Event::ClientTooSlow),
        ClientState::Busy(exchange) => Departure::Tell(exchange, Event::ClientSendsNothing),
        ClientState::Tunnel(exchange) => Departure::Tell(exchange, Event::ClientSendsNothing),
        ClientState::Asking(ticket) => Departure::AskExpired(ticket),
        ClientState::Idle => Departure::CloseUnlessUnread,
        ClientState::Flushing(_) | ClientState::Lingering => Departure::Close,
    }
}

/// What goes on when a client has taken all that waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resumption {
    /// The response's last bytes have gone.
    Conclude(After),
    /// More of the response may come.
    ReadOn(ExchangeId),
    Nothing,
}

/// A client has taken all that waited for it.
pub(super) const fn client_flushed(state: ClientState) -> Resumption {
    match state {
        ClientState::Flushing(after) => Resumption::Conclude(after),
        ClientState::Busy(exchange) => Resumption::ReadOn(exchange),
        ClientState::Idle
        | ClientState::Head
        | ClientState::Tunnel(_)
        | ClientState::Asking(_)
        | ClientState::Lingering => Resumption::Nothing,
    }
}

/// What becomes of a client's connection once a response is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// Some of it waits for the client to take it.
    Flush,
    /// The next request may come.
    Idle,
    Close,
    /// We say no more, but hear the client out: a plain close would reset the connection and could take the response
    /// with it (RFC 9112 §9.6).
    Linger,
}

/// The response has been handed over. `unsent`: not all of it is taken. `unread`: the client has sent more. Who was not told
/// that the connection closes may have sent its next request.
pub(super) const fn client_concluded(after: After, unsent: bool, unread: bool) -> Conclusion {
    match after {
        _ if unsent => Conclusion::Flush,
        After::KeepAlive => Conclusion::Idle,
        After::Close if !unread => Conclusion::Close,
        After::Close | After::Linger => Conclusion::Linger,
    }
}

/// What an upstream connection's readiness or silence is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpstreamStep {
    /// The first write tells whether it stands.
    TryFirstWrite(ExchangeId, Attempt),
    /// What it says is kept for later.
    Wait,
    Relay,
    /// The request first, then the response.
    FlushAndRelay(ExchangeId),
    /// Both ways, untouched.
    Tunnel(ExchangeId),
    /// An idle connection must say nothing: whatever it says, even the end, it cannot be used again.
    CheckIdle,
}

/// Something may have changed on an upstream connection. `writable`: it takes bytes, or the attempt to connect has
/// ended. `unsent`: bytes wait for it.
pub(super) const fn upstream_ready(state: UpstreamState, writable: bool, unsent: bool) -> UpstreamStep {
    match state {
        UpstreamState::Connecting { exchange, attempt } if writable => {
            UpstreamStep::TryFirstWrite(exchange, attempt)
        }
        UpstreamState::Connecting { .. } => UpstreamStep::Wait,
        UpstreamState::Carrying(exchange) if writable && unsent => UpstreamStep::FlushAndRelay(exchange),
        UpstreamState::Carrying(_) => UpstreamStep::Relay,
        UpstreamState::Tunnel(exchange) => UpstreamStep::Tunnel(exchange),
        UpstreamState::Idle | UpstreamState::Kept(_) => UpstreamStep::CheckIdle,
    }
}

/// What follows from an upstream connection's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The backend's next address.
    NextAddress(ExchangeId, Attempt),
    Tell(ExchangeId, Event),
    Close,
}

/// An upstream's deadline has passed. `next`: there is a further address, and the whole request to send.
pub(super) const fn upstream_expired(state: UpstreamState, next: Option<Attempt>) -> Silence {
    match (state, next) {
        (UpstreamState::Connecting { exchange, .. }, Some(next)) => Silence::NextAddress(exchange, next),
        (UpstreamState::Connecting { exchange, .. }, None) => Silence::Tell(exchange, Event::ConnectExpired),
        (UpstreamState::Carrying(exchange) | UpstreamState::Tunnel(exchange), _) => {
            Silence::Tell(exchange, Event::UpstreamExpired)
        }
        (UpstreamState::Idle | UpstreamState::Kept(_), _) => Silence::Close,
    }
}

/// How a tunnel goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TunnelStep {
    GoOn,
    /// The client's connection is lost: nobody is left to tell anything, and what waits for the backend is not
    /// worth a wait.
    ClientLost,
    /// The backend's connection is lost: what it said before still goes to the client.
    UpstreamLost,
    /// Both directions have ended.
    Over,
}

/// A tunnel's two directions have moved as far as they could. `client_lost`, `upstream_lost`: reading it failed.
pub(super) const fn tunnel(
    to_upstream: Direction,
    to_client: Direction,
    client_lost: bool,
    upstream_lost: bool,
) -> TunnelStep {
    match (to_upstream, to_client) {
        _ if client_lost => TunnelStep::ClientLost,
        _ if upstream_lost => TunnelStep::UpstreamLost,
        (Direction::Ended, Direction::Ended) => TunnelStep::Over,
        _ => TunnelStep::GoOn,
    }
}

#[cfg(test)]
mod tests;
