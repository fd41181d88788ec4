//! Classifiers that follow a script, and clients that ask for a classification.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Client, Gate, Origin};

/// The sequences of a batch's body.
pub fn sequences(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let sequences = body["sequences"].as_array().expect("sequences");
    sequences.iter().map(|s| s.as_str().expect("a string").to_owned()).collect()
}

/// A classifier whose answer to a batch is its sequences, each with `!` behind it.
pub fn echoing() -> Origin {
    answering(|_, sequences| (200, echo(sequences)))
}

/// The same, which answers no batch before the gate is open.
pub fn gated(gate: &Gate) -> Origin {
    let gate = gate.clone();
    answering(move |_, sequences| {
        gate.pass();
        (200, echo(sequences))
    })
}

pub fn echo(sequences: &[String]) -> String {
    let results: Vec<_> = sequences.iter().map(|s| format!("{s}!")).collect();
    json!({ "results": results }).to_string()
}

/// A classifier with a status and a body for each batch, by how many came before on its connection.
pub fn answering(answer: impl Fn(usize, &[String]) -> (u16, String) + Send + Sync + 'static) -> Origin {
    Origin::start(move |conn| {
        for number in 0.. {
            let Some(request) = conn.read_request() else { return };
            let (status, body) = answer(number, &sequences(&request.body));
            let head = format!(
                "HTTP/1.1 {status} S\r\nContent-Type: application/json; of=classifier\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            conn.send(head + &body);
        }
    })
}

/// A client that has asked for these sequences to be classified.
pub fn asking(address: SocketAddr, customer: &str, sequences: &[&str]) -> Client {
    let mut client = Client::connect(address);
    client.send(classify(
        &format!("X-Customer-Id: {customer}\r\n"),
        &json!({ "sequences": sequences }).to_string(),
    ));
    client
}

/// A request to classify, with these field lines.
pub fn classify(fields: &str, body: &str) -> String {
    post("/proxy_classify", fields, body)
}

pub fn post(target: &str, fields: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: test\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}
