//! A script: who says what, and when.
//!
//! All bytes are said by the speaker, but for commands, which begin with a backslash:
//!
//! | command | what follows |
//! | --- | --- |
//! | `\n` | a new client connects, and speaks |
//! | `\c` | the client that connected last speaks |
//! | `\u` | a backend speaks, on its newest connection or the next one |
//! | `\k` | a classifier speaks, likewise |
//! | `\|` | what was said is sent; the rest comes when all is quiet |
//! | `\f` | the speaker ends its side |
//! | `\x` | the speaker leaves; `\r`: with a reset |
//! | `\t` | a second passes; `\T`: a minute |
//! | `\o` and a character | how the proxy and the network are: see `Conditions`; counts where it stands first |
//! | `\\` | a backslash |

/// What the proxy is told, and how the network is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Conditions(u8);

impl Conditions {
    pub(super) fn non_persistent(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn half_close_cancels(self) -> bool {
        self.0 & 2 != 0
    }

    pub(super) fn explains(self) -> bool {
        self.0 & 4 != 0
    }

    /// Connections hold few bytes.
    pub(super) fn narrow(self) -> bool {
        self.0 & 8 != 0
    }

    /// Writes are cut short, segments come in two parts, sockets are reported without need.
    pub(super) fn rough(self) -> bool {
        self.0 & 16 != 0
    }

    /// Requests may be small only, and few on a connection.
    pub(super) fn strict(self) -> bool {
        self.0 & 32 != 0
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    Client,
    Backend,
    Classifier,
}

/// A step.
#[derive(Debug)]
pub(super) enum Step {
    Connect,
    Say(Speaker, Vec<u8>),
    End(Speaker),
    Leave(Speaker, bool),
    /// So many seconds.
    Pass(u64),
}

/// Reads a script.
pub(super) fn read(bytes: &[u8]) -> (Conditions, Vec<Step>) {
    let mut steps = vec![Step::Connect];
    let (mut conditions, mut speaker, mut said) = (None, Speaker::Client, Vec::new());
    let mut left = bytes.iter().copied();
    while let Some(byte) = left.next() {
        let command = if byte == b'\\' { left.next() } else { None };
        let step = match command {
            None => {
                said.push(byte);
                continue;
            }
            Some(b'o') => {
                conditions = conditions.or(left.next().map(Conditions));
                continue;
            }
            Some(b'n') => Some(Step::Connect),
            Some(b'f') => Some(Step::End(speaker)),
            Some(b'x') => Some(Step::Leave(speaker, false)),
            Some(b'r') => Some(Step::Leave(speaker, true)),
            Some(b't') => Some(Step::Pass(1)),
            Some(b'T') => Some(Step::Pass(60)),
            Some(b'|' | b'c' | b'u' | b'k') => None,
            Some(other) => {
                said.push(other);
                continue;
            }
        };
        if !said.is_empty() {
            steps.push(Step::Say(speaker, std::mem::take(&mut said)));
        }
        steps.extend(step);
        speaker = match command {
            Some(b'n' | b'c') => Speaker::Client,
            Some(b'u') => Speaker::Backend,
            Some(b'k') => Speaker::Classifier,
            _ => speaker,
        };
    }
    if !said.is_empty() {
        steps.push(Step::Say(speaker, said));
    }
    (conditions.unwrap_or_default(), steps)
}
