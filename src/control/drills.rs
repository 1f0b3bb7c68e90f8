//! Which drills are in force, so that their begin and end are said aloud. Pure: time is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;

use crate::events::{Event, Kind};
use crate::ledger::Time;
use crate::plan::Plan;
use crate::telemetry::FaultEnd;

/// The faults that were in force at the last look.
#[derive(Debug, Default)]
pub(super) struct Drills(BTreeMap<[Arc<str>; 3], SystemTime>);

/// What changed between two looks.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// A fault came in force, or is in force until another time.
    Began(FaultEnd),
    /// A fault is no longer in force.
    Ended(FaultEnd),
}

impl Drills {
    /// Looks at the faults of `plan` that have not ended at `now`; says what is new since the last look.
    pub(super) fn look(&mut self, plan: &Plan, now: SystemTime) -> Vec<News> {
        let faults = plan.services.iter().flat_map(|service| service.faults.iter().map(move |fault| (service, fault)));
        let in_force: BTreeMap<_, _> = faults
            .filter(|(_, fault)| fault.until > now)
            .map(|(service, fault)| {
                let version = &service.version(fault.version).name;
                ([Arc::clone(&service.name), Arc::clone(version), Arc::clone(&fault.name)], fault.until)
            })
            .collect();
        let ended =
            self.0.iter().filter(|(name, _)| !in_force.contains_key(*name)).map(|known| News::Ended(end(known)));
        let began = in_force.iter().filter(|(name, until)| self.0.get(*name) != Some(until));
        let news = ended.chain(began.map(|new| News::Began(end(new)))).collect();
        self.0 = in_force;
        news
    }

    /// The faults that were in force at the last look.
    pub(super) fn in_force(&self) -> Vec<FaultEnd> {
        self.0.iter().map(end).collect()
    }
}

impl News {
    /// The same for those who follow what happens.
    pub(super) fn told(&self, now: SystemTime) -> Event {
        let (began, end) = match self {
            Self::Began(end) => (true, end),
            Self::Ended(end) => (false, end),
        };
        let until = Time::from(end.until);
        let data = json!({ "version": &*end.version, "fault": &*end.fault, "began": began, "until": until });
        Event::without_entry(Kind::Drill, &end.service, now, data)
    }
}

fn end(([service, version, fault], until): (&[Arc<str>; 3], &SystemTime)) -> FaultEnd {
    let [service, version, fault] = [service, version, fault].map(Arc::clone);
    FaultEnd { service, version, fault, until: *until }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::config::{Source, load};

    fn plan(faults: &str) -> Plan {
        let text = format!(
            "listeners: [{{ address: 127.0.0.1:0 }}]\nservices:\n  shop:\n    versions: {{ new: {{ upstream: http://x }} \
             }}\n    faults: [{faults}]\nroutes: [{{ service: shop }}]\n"
        );
        load(Source { name: "serin.yaml", text: &text }, None).unwrap().plan
    }

    fn fault(name: &str, until: &str) -> String {
        format!("{{ name: {name}, version: new, share: 1%, reset: true, until: 1970-01-01T00:0{until}:00Z }},")
    }

    fn at(minutes: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(60 * minutes)
    }

    fn said(news: Vec<News>) -> Vec<String> {
        let word = |news| match news {
            News::Began(FaultEnd { service, version, fault, .. }) => format!("+{service}/{version}/{fault}"),
            News::Ended(FaultEnd { fault, .. }) => format!("-{fault}"),
        };
        news.into_iter().map(word).collect()
    }

    #[test]
    fn each_begin_and_each_end_is_news_once() {
        let mut drills = Drills::default();
        let both = plan(&(fault("a", "5") + &fault("b", "8")));
        let news = drills.look(&both, at(1));
        let told = &news[0].told(at(1)).json;
        assert!(
            told.contains(r#""timestamp":"1970-01-01T00:01:00.000Z""#) && told.contains(r#""began":true"#),
            "{told}"
        );
        assert_eq!(said(news), ["+shop/new/a", "+shop/new/b"]);
        assert_eq!(said(drills.look(&both, at(4))), [""; 0]);
        assert_eq!(said(drills.look(&both, at(5))), ["-a"], "ended by itself");
        assert_eq!(drills.in_force().len(), 1);
        assert_eq!(said(drills.look(&plan(&fault("b", "9")), at(6))), ["+shop/new/b"], "until another time");
        assert_eq!(said(drills.look(&plan(""), at(6))), ["-b"], "taken out");
        assert_eq!(said(drills.look(&both, at(9))), [""; 0], "over before it was seen");
        assert!(drills.in_force().is_empty());
    }
}
