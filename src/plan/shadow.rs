//! Copies of requests for a version that answers nobody yet, and how its answers are compared. Pure.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::{Share, Split, VersionId, Weight};
use crate::diff::Rules;

/// The header of a copy: `service/version`, the version being the one it is for. What clients send under this name is
/// removed unless they are trusted.
pub const SHADOW_HEADER: HeaderName = HeaderName::from_static("x-serin-shadow");

/// Which requests of a service are copied to one of its versions, and within what bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Shadow {
    /// The version that gets the copies; its own requests are not copied.
    pub to: VersionId,
    /// The part of the requests that is copied.
    pub sample: Sample,
    /// The methods of requests that are copied.
    pub methods: Vec<Method>,
    /// Most bytes of a request's body that are kept for its copy, and of a copy's answer that are read.
    pub max_body: usize,
    /// Most copies in flight, over all workers.
    pub max_in_flight: u32,
    /// How long a copy may take once the request's body is there.
    pub timeout: Duration,
    /// What copies carry as [`SHADOW_HEADER`].
    pub header: HeaderValue,
}

/// How answers of two versions are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffPlan {
    /// What is compared, and how exactly.
    pub rules: Rules,
    /// The part of the copied requests that also goes a second time to the version that answers the client, so that noise
    /// is known. Only requests with a safe method do.
    pub noise: Share,
    /// Most bytes of an answer's body that are kept; of longer ones only the rest is compared.
    pub max_body: usize,
}

/// A part of all requests, sticky where they have keys: the same keys on every serin, and more of them, never others, as
/// the share grows.
#[derive(Debug, Clone)]
pub struct Sample {
    share: Share,
    name: Arc<str>,
    /// There unless the share is none or all.
    split: Option<Split>,
}

impl PartialEq for Sample {
    /// The split follows from name and share.
    fn eq(&self, other: &Self) -> bool {
        (self.share, &self.name) == (other.share, &other.name)
    }
}

impl Sample {
    /// The `share` of requests that is called `name`; samples of different names have nothing to do with each other. By
    /// [`Split`]'s function with `name` as salt: the version `in` has the share, `out` the rest.
    #[must_use]
    pub fn new(name: &str, share: Share) -> Self {
        let weight = |hundredths: u32| Weight::from_f64(f64::from(hundredths)).unwrap_or(Weight::ZERO);
        let inside = share.hundredths();
        let weights = vec![weight(inside), weight(Share::ALL.hundredths() - inside)];
        let is_all_or_nothing = share == Share::NONE || share == Share::ALL;
        // Two names, two weights, a sum above 0: this cannot fail.
        let split = Split::new(name, 0, &["in".into(), "out".into()], weights).ok();
        Self { share, name: name.into(), split: split.filter(|_| !is_all_or_nothing) }
    }

    /// How much of all it is.
    #[must_use]
    pub fn share(&self) -> Share {
        self.share
    }

    /// Whether everything belongs to it, or nothing: then neither key nor draw matters.
    #[must_use]
    pub fn constant(&self) -> Option<bool> {
        self.split.is_none().then_some(self.share == Share::ALL)
    }

    /// Whether requests with this key belong to it.
    #[must_use]
    pub fn holds_key(&self, key: &[u8]) -> bool {
        self.split.as_ref().map_or(self.share == Share::ALL, |split| split.pick_key(key).index() == 0)
    }

    /// Whether a request without a key belongs to it; `random` is uniform over all of `u64`.
    #[must_use]
    pub fn holds_draw(&self, random: u64) -> bool {
        self.split.as_ref().map_or(self.share == Share::ALL, |split| split.pick_draw(random).index() == 0)
    }
}

impl Shadow {
    /// Most bytes of bodies where nothing is said.
    pub const MAX_BODY: usize = 64 * 1024;
    /// Most copies in flight where nothing is said.
    pub const MAX_IN_FLIGHT: u32 = 128;
    /// How long a copy may take where nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(2);

    /// The copies of GET and HEAD requests of a service for one of its versions, with default bounds. `None` where a name
    /// cannot stand in a header, which no configured name is.
    #[must_use]
    pub fn new(service: &str, version: &str, to: VersionId, share: Share) -> Option<Self> {
        Some(Self {
            to,
            sample: Sample::new(&format!("{service}/shadow"), share),
            methods: vec![Method::GET, Method::HEAD],
            max_body: Self::MAX_BODY,
            max_in_flight: Self::MAX_IN_FLIGHT,
            timeout: Self::TIMEOUT,
            header: HeaderValue::from_str(&format!("{service}/{version}")).ok()?,
        })
    }
}

impl DiffPlan {
    /// Most bytes of an answer's body where nothing is said.
    pub const MAX_BODY: usize = 64 * 1024;
    /// The part of copied requests that go twice to the old version where nothing is said.
    pub const NOISE: u32 = 1_000;

    /// Whether old is asked twice at times. Where it never is, nothing is known as noise and every difference counts.
    #[must_use]
    pub fn learns_noise(&self) -> bool {
        self.noise > Share::NONE
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_greater_share_holds_all_keys_of_a_smaller_one(
            small in 0_u32..=10_000, more in 0_u32..=10_000, keys in proptest::collection::vec(".{1,12}", 1..50)
        ) {
            let [small, large] = [small, (small + more).min(10_000)].map(|h| Sample::new("shop/shadow", Share::from_hundredths(h)));
            for key in keys {
                prop_assert!(!small.holds_key(key.as_bytes()) || large.holds_key(key.as_bytes()), "{key:?}");
            }
        }
    }

    #[test]
    fn a_sample_is_as_large_as_its_share() {
        let sample = Sample::new("shop/shadow", Share::from_hundredths(1_000));
        let keys = (0..100_000_u32).filter(|key| sample.holds_key(&key.to_le_bytes())).count();
        assert!((9_600..10_400).contains(&keys), "{keys}");
        let mut rng = fastrand::Rng::with_seed(7);
        let draws = (0..100_000).filter(|_| sample.holds_draw(rng.u64(..))).count();
        assert!((9_600..10_400).contains(&draws), "{draws}");
    }

    #[test]
    fn all_and_nothing_need_neither_key_nor_draw() {
        for (share, all) in [(Share::ALL, true), (Share::NONE, false)] {
            let sample = Sample::new("shop/shadow", share);
            assert_eq!(sample.constant(), Some(all));
            assert_eq!((sample.holds_key(b"ada"), sample.holds_draw(u64::MAX)), (all, all));
        }
    }

    #[test]
    fn which_keys_are_sampled_has_nothing_to_do_with_which_version_they_get() {
        let names = ["old".into(), "new".into()];
        let split = Split::new("shop", 0, &names, vec![Weight::ONE, Weight::ONE]).unwrap();
        let sample = Sample::new("shop/shadow", Share::from_hundredths(5_000));
        let keys = (0..40_000_u32).map(u32::to_le_bytes).filter(|key| split.pick_key(key).index() == 0);
        let (inside, outside): (Vec<_>, Vec<_>) = keys.partition(|key| sample.holds_key(key));
        let ratio = inside.len() as f64 / outside.len() as f64;
        assert!((0.95..1.05).contains(&ratio), "{ratio}");
    }
}
