//! Requests to a version whose end is announced, counted by who sends them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use http::request;
use sha2::{Digest, Sha256};

use crate::plan::{Announcement, Service, StickyKey};
use crate::telemetry::{CallerCell, NO_CALLER, OTHER_CALLER, Registry};

/// Most characters of a caller's name.
const MAX_NAME: usize = 128;
/// Digits of a hash that stands for a name.
const HASH_BYTES: usize = 8;

/// Where one worker counts the callers of one service's version.
#[derive(Debug)]
pub(super) struct Callers {
    announced: Announcement,
    service: Arc<str>,
    version: Arc<str>,
    registry: Arc<Registry>,
    unknown: Arc<CallerCell>,
    /// Of names as they came. As many as there may be.
    known: RefCell<HashMap<Box<[u8]>, Arc<CallerCell>>>,
    /// All others, once there are as many.
    others: RefCell<Option<Arc<CallerCell>>>,
    full: Cell<bool>,
}

impl Callers {
    /// For every service of a plan that announces the end of a version; nothing where none does.
    pub(super) fn of_services(services: &[Arc<Service>], registry: &Arc<Registry>) -> Vec<Option<Self>> {
        if services.iter().all(|service| service.deprecation.is_none()) {
            return Vec::new();
        }
        services.iter().map(|service| Self::new(service, registry)).collect()
    }

    fn new(service: &Service, registry: &Arc<Registry>) -> Option<Self> {
        let announced = service.deprecation.as_ref()?.announced.clone();
        let version = Arc::clone(&service.version(announced.version).name);
        let (unknown, _) = registry.caller(&service.name, &version, NO_CALLER, announced.max_callers);
        Some(Self {
            announced,
            service: Arc::clone(&service.name),
            version,
            registry: Arc::clone(registry),
            unknown,
            known: RefCell::default(),
            others: RefCell::default(),
            full: Cell::new(false),
        })
    }

    /// Somebody calls. `find`: looks for the caller's name. Only a caller that was not seen before costs a lock, and no more of
    /// them than are counted by their names.
    pub(super) fn called<'a>(&self, find: impl FnOnce(&Announcement) -> Option<StickyKey<'a>>) {
        let Some(key) = find(&self.announced) else { return self.unknown.called() };
        let name = key.as_bytes();
        if let Some(cell) = self.known.borrow().get(name) {
            return cell.called();
        }
        if self.full.get()
            && let Some(others) = &*self.others.borrow()
        {
            return others.called();
        }
        let (cell, is_own) =
            self.registry.caller(&self.service, &self.version, &self.shown(name), self.announced.max_callers);
        cell.called();
        if is_own {
            self.known.borrow_mut().insert(name.into(), cell);
        } else {
            self.full.set(true);
            *self.others.borrow_mut() = Some(cell);
        }
    }

    /// A caller's name as figures show it.
    fn shown(&self, name: &[u8]) -> String {
        if self.announced.hashed {
            let digest = Sha256::digest(name);
            return digest.iter().take(HASH_BYTES).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        }
        let text: String = String::from_utf8_lossy(name).chars().take(MAX_NAME).collect();
        // Those two mean something else.
        if text == NO_CALLER || text == OTHER_CALLER { format!("\"{text}\"") } else { text }
    }
}

/// The key that tells callers apart.
pub(super) fn caller_key<'a>(
    announced: &Announcement,
    parts: &'a request::Parts,
    address: Option<std::net::IpAddr>,
    identity: Option<&'a crate::tls::Identity>,
) -> Option<StickyKey<'a>> {
    StickyKey::find(&announced.callers, &parts.headers, parts.uri.query(), address, identity)
}
