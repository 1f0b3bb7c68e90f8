//! Whether a change exposes more people to a version that is not the oldest.

use std::sync::Arc;

use super::{Plan, Progress, Service, VersionId};

/// The first service and version that a change from `before` to `after` widens, if any.
///
/// A change **widens** a version that is not the oldest of its service (after the change) if its share of the service's requests is
/// larger than before, where a version that was not there had none. So raising a newer version's weight widens it, and so does taking
/// away from, or removing, a version beside it; giving more to the oldest version, or everything to it, never
/// widens. If the oldest version itself is removed, the next one is the oldest from then on, and is held to what it had:
/// it was not the oldest before. Shares are what weights say; where a version's share goes while it is not healthy does not matter here.
#[must_use]
pub fn widened<'a>(before: &Plan, after: &'a Plan) -> Option<(&'a Service, VersionId)> {
    after.services.iter().find_map(|service| {
        let known = before.service_named(&service.name).map(|(_, known)| &**known);
        Some((&**service, widened_version(known, service)?))
    })
}

/// The first service whose migration is elsewhere after a change than before, if any. There is no way that is the careful one: data
/// is right on one side or the other only because it is known which stages there were.
#[must_use]
pub fn migrated<'a>(before: &Plan, after: &'a Plan) -> Option<&'a Service> {
    let progress = |service: &Service| service.migration.as_ref().map_or(Progress::OFF, |migration| migration.progress);
    let elsewhere = |service: &&Arc<Service>| {
        let known = before.service_named(&service.name).map_or(Progress::OFF, |(_, known)| progress(known));
        known != progress(service)
    };
    after.services.iter().find(elsewhere).map(|service| &**service)
}

/// The first version of `after` that is widened. `before`: the same service before; `None`: there was none.
#[must_use]
pub fn widened_version(before: Option<&Service>, after: &Service) -> Option<VersionId> {
    let was_oldest = |name: &str| before.is_none_or(|before| before.versions.first().is_some_and(|v| *v.name == *name));
    after.versions.iter().enumerate().find_map(|(index, version)| {
        if index == 0 && was_oldest(&version.name) {
            return None;
        }
        let id = VersionId::from_index(index);
        let known = before.and_then(|before| Some((before, before.version_named(&version.name)?)));
        let (now, of) = share(after, id);
        let (then, of_then) = known.map_or((0, 1), |(before, id)| share(before, id));
        // Crosswise, which is exact: a weight is below 2⁴⁰ and a sum of 64 of them below 2⁴⁶.
        (now * of_then > then * of).then_some(id)
    })
}

/// A version's weight and the sum of all, in thousandths.
fn share(service: &Service, version: VersionId) -> (u128, u128) {
    let weights = service.split.weights().iter().map(|weight| u128::from(weight.thousandths()));
    (u128::from(service.split.weights()[version.index()].thousandths()), weights.sum())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Outliers, Protocol, Split, UpstreamSpec, Version, Weight};

    fn service(weights: &[(&str, u32)]) -> Service {
        let names: Vec<Arc<str>> = weights.iter().map(|(name, _)| Arc::from(*name)).collect();
        let numbers = weights.iter().map(|(_, weight)| Weight::from_f64(f64::from(*weight)).unwrap()).collect();
        let version = |name: &Arc<str>| Version {
            name: Arc::clone(name),
            header: HeaderValue::from_str(name).unwrap(),
            upstream: Arc::new(UpstreamSpec { addresses: Vec::new(), protocol: Protocol::Auto, tls: None }),
            health: None,
        };
        Service {
            name: Arc::from("shop"),
            versions: names.iter().map(version).collect(),
            sticky: Vec::new(),
            split: Split::new("shop", 0, &names, numbers).unwrap(),
            version_override: None,
            overload: None,
            fallback: None,
            outliers: Outliers::default(),
            follow: None,
            faults: Vec::new(),
            rollout: None,
            migration: None,
            deprecation: None,
            shadow: None,
            diff: None,
            flags: crate::plan::ServiceFlags::default(),
            control: None,
        }
    }

    fn widens(before: &[(&str, u32)], after: &[(&str, u32)]) -> Option<String> {
        let after = service(after);
        let before = Some(before).filter(|before| !before.is_empty()).map(service);
        widened_version(before.as_ref(), &after).map(|id| after.version(id).name.to_string())
    }

    #[test]
    fn more_for_a_newer_version_is_wider_and_more_for_the_oldest_is_not() {
        let five = [("old", 95), ("new", 5)];
        assert_eq!(widens(&five, &[("old", 94), ("new", 6)]).as_deref(), Some("new"));
        assert_eq!(widens(&five, &[("old", 96), ("new", 4)]), None);
        assert_eq!(widens(&five, &[("old", 100), ("new", 0)]), None);
        assert_eq!(widens(&five, &[("old", 950), ("new", 50)]), None, "the same shares");
        assert_eq!(widens(&five, &[("old", 90), ("new", 5)]).as_deref(), Some("new"), "of less in all");
        assert_eq!(widens(&five, &five), None);
    }

    #[test]
    fn versions_and_services_that_come_and_go_are_held_to_what_they_had() {
        let three = [("old", 90), ("new", 5), ("newer", 5)];
        assert_eq!(widens(&three, &[("old", 90), ("new", 5)]).as_deref(), Some("new"), "shares rise beside a gap");
        assert_eq!(widens(&three, &[("old", 95), ("new", 5)]), None);
        assert_eq!(widens(&three, &[("new", 5), ("newer", 5)]).as_deref(), Some("new"), "the oldest is gone");
        assert_eq!(widens(&[("old", 0), ("new", 1)], &[("new", 1)]), None, "it had everything before");
        assert_eq!(widens(&[("old", 1)], &[("old", 1), ("new", 0)]), None);
        assert_eq!(widens(&[("old", 1)], &[("old", 99), ("new", 1)]).as_deref(), Some("new"));
        assert_eq!(
            widens(&[("old", 1), ("new", 9)], &[("new", 9), ("old", 1)]),
            None,
            "another order, the same shares"
        );
        assert_eq!(widens(&[], &[("old", 1), ("new", 0)]), None);
        assert_eq!(widens(&[], &[("old", 1), ("new", 1)]).as_deref(), Some("new"));
    }

    fn weights() -> impl Strategy<Value = [u32; 3]> {
        [0..20_u32, 0..20_u32, 0..20_u32].prop_filter("a sum above 0", |weights| weights.iter().sum::<u32>() > 0)
    }

    fn named(weights: [u32; 3]) -> Service {
        service(&[("a", weights[0]), ("b", weights[1]), ("c", weights[2])])
    }

    proptest! {
        #[test]
        fn of_a_change_and_its_way_back_one_is_wider_unless_shares_stay(one in weights(), other in weights()) {
            let shares = |service: &Service| [0, 1, 2].map(|index| share(service, VersionId::from_index(index)));
            let (before, after) = (named(one), named(other));
            let there = widened_version(Some(&before), &after);
            let back = widened_version(Some(&after), &before);
            let same = shares(&before).iter().zip(shares(&after)).all(|(one, other)| one.0 * other.1 == other.0 * one.1);
            prop_assert_eq!(there.is_none() && back.is_none(), same);
        }

        #[test]
        fn what_is_not_wider_leaves_the_oldest_no_less(one in weights(), other in weights()) {
            let (before, after) = (named(one), named(other));
            let oldest = VersionId::from_index(0);
            if widened_version(Some(&before), &after).is_none() {
                let (then, now) = (share(&before, oldest), share(&after, oldest));
                prop_assert!(now.0 * then.1 >= then.0 * now.1);
            }
        }

        #[test]
        fn steps_that_are_not_wider_make_no_way_that_is(steps in prop::collection::vec(weights(), 2..8)) {
            let mut now = named(steps[0]);
            let first = now.clone();
            for next in steps.into_iter().map(named) {
                if widened_version(Some(&now), &next).is_none() {
                    now = next;
                }
            }
            prop_assert_eq!(widened_version(Some(&first), &now), None);
        }

        #[test]
        fn everything_to_the_oldest_is_never_wider(one in weights(), all in 1..20_u32) {
            prop_assert_eq!(widened_version(Some(&named(one)), &named([all, 0, 0])), None);
        }
    }
}
