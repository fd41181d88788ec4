//! A browser without a window: headless Chromium over the DevTools protocol.
//!
//! It listens nowhere: commands go in and events come out through two of its descriptors, as JSON with a NUL behind
//! each (`--remote-debugging-pipe`). What the page asked for and what it complained of is kept.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PATIENCE;

/// Its names on Debian, and elsewhere.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A page in a browser of its own.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    events: Vec<Value>,
    /// Where it keeps what it keeps.
    _profile: TempDir,
}

impl Browser {
    /// An empty page; none, and said so, where there is no browser. In CI that is a failure.
    pub fn start() -> Option<Browser> {
        let found = NAMES.iter().find(|name| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
        });
        let Some(name) = found else {
            assert!(std::env::var_os("CI").is_none(), "no browser: make install-chromium gets one");
            // Past the test's capture, which would hide it.
            let _ = writeln!(std::io::stderr(), "SKIPPED: no browser here; make install-chromium gets one");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder");
        // Its commands are read from descriptor 3 and its events written to 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", name]);
        command.args(["--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"]);
        // Its sandbox is refused to root and in containers; it is shown nothing but our own page.
        command.args(["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let commands = child.stdin.take().expect("its commands");
        let events = BufReader::new(child.stdout.take().expect("its events"));
        let (tell, messages) = channel();
        std::thread::spawn(move || {
            for message in events.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON");
                if tell.send(message).is_err() {
                    break;
                }
            }
        });
        let mut browser = Browser {
            child,
            commands,
            messages,
            last_id: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", attach)["sessionId"].as_str().map(str::to_owned);
        self.session = Some(session.expect("a session"));
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// What the protocol answers to this.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut command = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).expect("the browser lives");
        loop {
            // A call may take PATIENCE in the page, and then some.
            let message = self.messages.recv_timeout(PATIENCE * 2);
            let mut message = message.unwrap_or_else(|e| panic!("no answer to {method}: {e}"));
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Runs this before the scripts of any page.
    pub fn prepare(&mut self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    pub fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url}: {}", opened["errorText"]);
        self.wait_for("a whole page", "document.readyState === 'complete'");
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let mut result = self.call("Runtime.evaluate", parameters);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].take()
    }

    /// Waits until an expression in the page is true of it.
    pub fn wait_for(&mut self, what: &str, expression: &str) {
        let limit = PATIENCE.as_millis();
        let held = self.evaluate(&format!(
            "new Promise((done) => {{
                const end = performance.now() + {limit};
                const look = () => {{
                    if ({expression}) done(true);
                    else if (performance.now() > end) done(false);
                    else setTimeout(look, 20);
                }};
                look();
            }})"
        ));
        if held != true {
            let text = self.evaluate("document.body.innerText");
            panic!("still not so: {what}\n{expression}\n{}", text.as_str().unwrap_or_default());
        }
    }

    /// The text of an element.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({}).textContent", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// A click of the mouse in the middle of the element that this expression gives.
    pub fn click(&mut self, element: &str) {
        let place = self.evaluate(&format!(
            "(() => {{
                const element = {element};
                element.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                const box = element.getBoundingClientRect();
                return {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
            }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let parameters =
                json!({ "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", parameters);
        }
    }

    /// A key, for whatever has the focus.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" && key == "Enter" { "\r" } else { "" };
            let parameters =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", parameters);
        }
    }

    /// Takes the width, in CSS pixels, and the colour scheme `light` or `dark`.
    pub fn look(&mut self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        self.call("Emulation.setScrollbarsHidden", json!({ "hidden": true }));
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// A picture of the whole page, as a PNG file.
    pub fn screenshot(&mut self, path: &Path) {
        let picture = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        let png = BASE64_STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(path, png).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// What the page has asked for since the start, as URLs.
    pub fn requested(&self) -> Vec<&str> {
        self.of("Network.requestWillBeSent").filter_map(|event| event["request"]["url"].as_str()).collect()
    }

    /// What went wrong in the page since the last call: exceptions, warnings and errors, violations of its policy.
    pub fn complaints(&mut self) -> Vec<String> {
        let thrown = self.of("Runtime.exceptionThrown").map(|event| event["exceptionDetails"].to_string());
        let called = self.of("Runtime.consoleAPICalled");
        let called =
            called.filter(|event| ["error", "warning", "assert"].iter().any(|kind| event["type"] == *kind));
        let logged = self.of("Log.entryAdded").map(|event| &event["entry"]);
        let logged = logged.filter(|entry| entry["level"] == "error" || entry["level"] == "warning");
        let all = thrown.chain(called.map(Value::to_string)).chain(logged.map(Value::to_string)).collect();
        self.events.retain(|event| event["method"] == "Network.requestWillBeSent");
        all
    }

    fn of(&self, method: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["method"] == method).map(|event| &event["params"])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to close, it ends its own processes; then its end of the pipe closes.
        self.session = None;
        let _ = self.commands.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        while self.messages.recv_timeout(PATIENCE).is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
