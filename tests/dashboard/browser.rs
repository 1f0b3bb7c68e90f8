//! A browser, driven over `WebDriver` (<https://www.w3.org/TR/webdriver2/>), which is JSON over HTTP.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::client::Raw;

/// Longest that the driver may take: starting a browser on a busy machine is the longest of it.
const DRIVER: Duration = Duration::from_mins(1);

/// Starts the driver, and ends it and its browser when what started it is gone, however that ended.
const STARTER: &str = "chromedriver --port=0 </dev/null 2>/dev/null & driver=$!; read -r end; \
                       kill $(cat /proc/$driver/task/*/children) $driver; wait $driver";
/// Told before anything of a page runs: what its policy forbids.
const WATCHER: &str = "window.forbidden = []; addEventListener('securitypolicyviolation', (event) => \
                       window.forbidden.push(`${event.violatedDirective} ${event.blockedURI}`));";

/// Keys without a letter: <https://www.w3.org/TR/webdriver2/#keyboard-actions>.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";

/// The browser of all tests: starting one takes longer than most of them.
static SHARED: LazyLock<Option<Browser>> = LazyLock::new(Browser::start);
/// Whose turn it is with its window.
static TURN: Mutex<()> = Mutex::new(());

/// A browser with one window. Ends with the tests.
pub(crate) struct Browser {
    /// As long as its standard input is open the browser lives.
    _driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    /// The browser, for one test at a time; `None`, said aloud, where there is none.
    ///
    /// # Panics
    /// If there is none and `CI=true`.
    pub(crate) fn open() -> Option<Turn> {
        let browser = SHARED.as_ref()?;
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        browser.go("about:blank");
        browser.prefer("light");
        browser.narrow(false);
        browser.console();
        Some(Turn { browser, _turn: turn })
    }

    /// A browser of one test's own, for one that takes as long as all others together.
    ///
    /// # Panics
    /// If there is none and `CI=true`.
    pub(crate) fn alone() -> Option<Self> {
        Self::start().inspect(|browser| browser.narrow(false))
    }

    fn start() -> Option<Self> {
        let is_there = |program: &str| {
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        };
        if !is_there("chromedriver") || !is_there("chromium") {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs chromium and chromium-driver: .ci/run");
            eprintln!("SKIPPED: no chromium with chromedriver; apt-get install chromium chromium-driver");
            return None;
        }
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", STARTER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = shell.spawn().expect("a shell");
        let mut lines = BufReader::new(driver.stdout.take().expect("stdout is piped")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok());
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver says its port")));
        std::thread::spawn(move || lines.count());
        let mut browser = Self { _driver: driver, address, session: String::new() };
        let args =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1360,1000"];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": args, "binary": "/usr/bin/chromium" },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let session = browser.ask("POST", "/session", &wanted);
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        browser.tell("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WATCHER }));
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

    /// Waits until an expression in the page is true, or something at all; its value. The page itself looks, again and
    /// again; where the expression throws, it is not true.
    pub(crate) fn until(&self, what: &str, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; const end = Date.now() + {}; const look = () => {{ let value = null; let why = ''; \
             try {{ value = {expression}; }} catch (error) {{ why = String(error); }} \
             if (value) done({{ value }}); else if (Date.now() > end) done({{ why }}); else setTimeout(look, 10); }}; look();",
            PATIENCE.as_millis()
        );
        let mut answer = self.of_session("POST", "/execute/async", &json!({ "script": script, "args": [] }));
        assert!(answer["why"].is_null(), "waited in vain: {what}: {}", answer["why"]);
        answer["value"].take()
    }

    /// Shows a token.
    pub(crate) fn sign_in(&self, token: &str) {
        self.press("Sign in");
        self.fill("dialog [name=token]", token);
        self.run("document.querySelector('dialog [type=submit]').click()");
        self.until("the token to be taken", "!document.querySelector('dialog')");
    }

    /// Types on the keyboard, whatever has the focus.
    pub(crate) fn keys(&self, keys: &str) {
        let press = |key: char| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        let all: Vec<Value> = keys.chars().flat_map(press).collect();
        self.of_session("POST", "/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": all }] }));
    }

    /// That nothing was said on the console, nobody else was asked, the policy was kept, and text stayed text.
    ///
    /// # Panics
    /// If not.
    pub(crate) fn clean(&self) {
        self.clean_but("no status");
    }

    /// The same, where answers of this status were asked for: browsers say those on the console.
    pub(crate) fn clean_but(&self, status: &str) {
        let said: Vec<_> = self.console().into_iter().filter(|line| !line.contains(status)).collect();
        assert_eq!(said, Vec::<String>::new(), "the console");
        let foreign = "performance.getEntriesByType('resource').map((entry) => entry.name).filter((name) => !name.startsWith(location.origin))";
        assert_eq!(self.value(foreign), json!([]), "asked elsewhere");
        assert_eq!(self.value("window.forbidden"), json!([]), "against the policy");
        assert_eq!(self.value("window.hacked ?? null"), Value::Null, "text was run");
        assert_eq!(self.value("document.querySelectorAll('main img, main script, dialog img, svg[onload]').length"), 0);
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
        self.tell("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Has pages be as wide as a phone, or as a window.
    pub(crate) fn narrow(&self, is_phone: bool) {
        let (width, height) = if is_phone { (390, 844) } else { (1360, 1000) };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.tell("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Tells the browser itself: <https://chromedevtools.github.io/devtools-protocol/>.
    fn tell(&self, command: &str, parameters: &Value) {
        self.of_session("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
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
    browser: &'static Browser,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Turn {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        self.browser
    }
}
