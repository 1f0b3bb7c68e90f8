//! A browser, driven over `WebDriver` (<https://www.w3.org/TR/webdriver2/>), which is JSON over HTTP.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Raw;
use crate::support::eventually;

/// Longest that the driver may take: starting a browser on a busy machine is the longest of it.
const DRIVER: Duration = Duration::from_mins(1);

/// The browser of all tests that run now: starting one takes longer than most of them.
static SHARED: Mutex<Weak<Browser>> = Mutex::new(Weak::new());
/// Whose turn it is with its window.
static TURN: Mutex<()> = Mutex::new(());

/// A browser with one window. Ends when dropped.
pub(crate) struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// The browser, for one test at a time; `None`, said aloud, where there is none.
    ///
    /// # Panics
    /// If there is none and `CI=true`.
    pub(crate) fn open() -> Option<Turn> {
        let browser = {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            let browser = shared.upgrade().map_or_else(|| Self::start().map(Arc::new), Some)?;
            *shared = Arc::downgrade(&browser);
            browser
        };
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        browser.go("about:blank");
        browser.prefer("light");
        browser.console();
        Some(Turn { browser, _turn: turn })
    }

    fn start() -> Option<Self> {
        let started = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let has_browser =
            Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let (Ok(mut driver), Ok(_)) = (started, has_browser) else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs chromium and chromium-driver: .ci/run");
            eprintln!("SKIPPED: no chromium with chromedriver; apt-get install chromium chromium-driver");
            return None;
        };
        let mut lines = BufReader::new(driver.stdout.take().expect("stdout is piped")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok());
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver says its port")));
        std::thread::spawn(move || lines.count());
        let mut browser = Self { driver, address, session: String::new() };
        let args =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1360,1000"];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args, "binary": "/usr/bin/chromium" },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let session = browser.ask("POST", "/session", &wanted);
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        Some(browser)
    }

    /// Opens a page and waits until it is shown and live.
    pub(crate) fn show(&self, url: &str) {
        self.of_session("POST", "/url", &json!({ "url": url }));
        self.until("the page to be live", "document.getElementById('live')?.textContent === 'live'");
    }

    /// Opens a page.
    pub(crate) fn go(&self, url: &str) {
        self.of_session("POST", "/url", &json!({ "url": url }));
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.run(&format!("return {expression};"))
    }

    /// Runs statements in the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.of_session("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a function in the page that gives a promise, and waits for what comes of it.
    pub(crate) fn awaited(&self, promise: &str) -> Value {
        let script = format!("const done = arguments[0]; ({promise}).then(done, (error) => done(String(error)));");
        self.of_session("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression in the page is true, or something at all; its value.
    pub(crate) fn until(&self, what: &str, expression: &str) -> Value {
        eventually(what, || {
            let value = self.value(expression);
            let is_there = !matches!(&value, Value::Null | Value::Bool(false)) && value != "" && value != 0;
            is_there.then_some(value)
        })
    }

    /// Presses the button with this text.
    pub(crate) fn press(&self, text: &str) {
        let find = format!(
            "[...document.querySelectorAll('button')].findLast((b) => b.textContent === {text:?} && !b.disabled)"
        );
        self.until(&format!("a button {text:?} that can be pressed"), &format!("!!{find}"));
        self.run(&format!("{find}.click()"));
    }

    /// Types into a field.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        self.until(selector, &format!("!!document.querySelector({selector:?})"));
        self.run(&format!(
            "const field = document.querySelector({selector:?}); field.value = {text:?}; \
             field.dispatchEvent(new Event('input', {{ bubbles: true }}));"
        ));
    }

    /// Remembers in `window.seen` when an expression first was true, by the page's clock.
    pub(crate) fn watch_for(&self, expression: &str) {
        self.run(&format!(
            "window.seen = null; const look = () => {{ if ({expression}) window.seen ??= Date.now(); }}; \
             new MutationObserver(look).observe(document.body, \
             {{ subtree: true, childList: true, attributes: true, characterData: true }}); look();"
        ));
    }

    /// When what is watched for was seen.
    pub(crate) fn seen(&self, what: &str) -> f64 {
        self.until(what, "window.seen").as_f64().expect("a time")
    }

    /// Has pages be light or dark.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.of_session("POST", "/goog/cdp/execute", &command);
    }

    /// What has been said on the console since it was last asked for.
    pub(crate) fn console(&self) -> Vec<String> {
        let log = self.of_session("POST", "/se/log", &json!({ "type": "browser" }));
        log.as_array().expect("a log").iter().map(|entry| entry["message"].to_string()).collect()
    }

    fn of_session(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut connection = Raw::connect(self.address);
        connection.stream.set_read_timeout(Some(DRIVER)).expect("a timeout");
        connection.send(format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        ));
        let answer = connection.response(false).expect("an answer of the driver");
        let mut value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(answer.status, 200, "{method} {path} {body}: {value:#}");
        value["value"].take()
    }
}

/// The browser, for as long as a test has it.
pub(crate) struct Turn {
    browser: Arc<Browser>,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Turn {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.of_session("DELETE", "", &json!({}));
        }
        // The driver takes its browser with it.
        let _ = Command::new("kill").args(["-TERM", &self.driver.id().to_string()]).status();
        let _ = self.driver.wait();
    }
}
