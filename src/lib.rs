//! Tidegate: an event-loop HTTP/1.1 load balancer with an experiment lab, and a micro-batching proxy.
//!
//! # The house
//!
//! A room may import only from lower floors; `tests/tidy.rs` checks it.
//!
//! ```text
//! floor 5  door        main.rs  cli  config
//! floor 4  laboratory  lab  world
//! floor 3  handlers    proxy  testbed  load  admin                 (do not know each other)
//! floor 2  machines    reactor  net  server  remote  telemetry     (only rooms that touch kernel, threads, files)
//! floor 1  rules       h1  balance  batch  codec  record  command  plotly  (pure: values in, values out, now as argument)
//! floor 0  ground      time  wheel  deadline  buffer  slots
//! ```
//!
//! # Glossary
//!
//! | word | meaning |
//! | --- | --- |
//! | exchange | a request with its response (RFC 9110 §3) |
//! | client | a connection from the user |
//! | backend | a server to choose from |
//! | upstream | a connection to a backend |
//! | framing | what delimits a message's body (RFC 9112 §6) |
//! | routing mode | how the backend is chosen |
//! | classifier | a server that takes several requests at once |
//! | customer | whose request it is, by `X-Customer-Id` |
//! | job | a request that waits for a batch, as the queue sees it; a ticket, as the proxy does |
//! | batch | sequences of one or more jobs, sent to a classifier as one request |
//! | strategy | which jobs go into the next batch |
//! | turn | one pass of the event loop |
//! | roster | which server has which id, at one moment |
//! | record | what is known of a finished exchange; a row of the CSV |

pub mod admin;
pub mod balance;
pub mod batch;
pub mod buffer;
pub mod cli;
pub mod codec;
pub mod command;
pub mod config;
pub mod deadline;
pub mod h1;
pub mod lab;
pub mod load;
pub mod net;
pub mod plotly;
pub mod proxy;
pub mod reactor;
pub mod record;
pub mod remote;
pub mod server;
pub mod slots;
pub mod telemetry;
pub mod testbed;
pub mod time;
pub mod wheel;
pub mod world;
