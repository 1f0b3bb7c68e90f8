//! Flags resolved for the routes of a plan: what is asked for a request, and what follows from the answers. Pure.
//!
//! Every flag is asked once for a request, whatever it is for. So the header that the upstream sees, the version that is
//! picked and the cell that is written always go by the same variant.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::attached::{RouteFlag, flag_header_value};
use super::{Plan, Service, Split, VersionId, VersionSet};
use crate::flags::{Context, Evaluation, EvaluationError, Flag, FlagId, FlagSet, evaluate};

/// The flags of all routes, by the routes' positions.
#[derive(Debug, Default)]
pub struct Steering {
    /// Empty where no route has any.
    routes: Vec<Option<Arc<Attached>>>,
}

/// The flags that have to do with the requests of one route.
#[derive(Debug)]
pub struct Attached {
    set: Arc<FlagSet>,
    /// No flag twice; first those that steer.
    asked: Vec<Asked>,
    /// How many of them steer.
    steering: usize,
    /// The place of the flag whose variant is the version, and the versions by variant.
    version_from: Option<(usize, Box<[Option<VersionId>]>)>,
    /// Versions, the places of their kill switches, and which variants are true.
    kill_switches: Vec<(VersionId, usize, Box<[bool]>)>,
    /// The place of the flag that is measured by.
    measure_by: Option<usize>,
    /// Whether any of them has a rule, which may ask for the time.
    has_rules: bool,
}

/// One flag that is asked.
#[derive(Debug)]
struct Asked {
    id: FlagId,
    /// The header that carries its value, by variant; where there is one.
    header: Option<(HeaderName, Box<[Option<HeaderValue>]>)>,
}

/// The variants that the flags of a request have, in the order in which they were asked. `None`: it has none.
#[derive(Debug, Clone, Default)]
pub struct Answers(Vec<Option<u32>>);

/// The variant that a request is measured by, as an index among those of its flag. `None`: the flag has none for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredBy(pub Option<usize>);

/// The end of an evaluation.
pub type Evaluated<'a> = Result<Evaluation<'a>, EvaluationError>;

impl Steering {
    /// Finds the flags that the routes and services of a plan name in its flag set. Those that it does not have have no
    /// value.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let attached = |route: &super::Route| {
            let service = route.service.map(|id| &**plan.service(id))?;
            let attached = Attached::new(&plan.flags, &route.flags, service);
            (!attached.asked.is_empty()).then(|| Arc::new(attached))
        };
        let routes: Vec<_> = plan.routes.routes().iter().map(attached).collect();
        Self { routes: if routes.iter().any(Option::is_some) { routes } else { Vec::new() } }
    }

    /// The flags of a route, by its position. `None`: none.
    #[must_use]
    pub fn of_route(&self, position: usize) -> Option<&Arc<Attached>> {
        self.routes.get(position)?.as_ref()
    }
}

impl Attached {
    /// The flags of a route that leads to this service.
    #[must_use]
    pub fn new(set: &Arc<FlagSet>, route: &[RouteFlag], service: &Service) -> Self {
        let mut attached = Self {
            set: Arc::clone(set),
            asked: Vec::new(),
            steering: 0,
            version_from: None,
            kill_switches: Vec::new(),
            measure_by: None,
            has_rules: false,
        };
        let flags = &service.flags;
        if let Some((place, flag)) = flags.version_from.as_ref().and_then(|key| attached.ask(key)) {
            let versions = set.flag(flag).variants().iter().map(|variant| version_of(service, variant)).collect();
            attached.version_from = Some((place, versions));
        }
        for (version, key) in &flags.kill_switches {
            if let Some((place, flag)) = attached.ask(key) {
                let kills = set.flag(flag).variants().iter().map(|variant| variant.value == Value::Bool(true));
                attached.kill_switches.push((*version, place, kills.collect()));
            }
        }
        attached.steering = attached.asked.len();
        for RouteFlag { key, header } in route {
            if let Some((place, flag)) = attached.ask(key) {
                let values = set.flag(flag).variants().iter().map(|variant| flag_header_value(&variant.value));
                attached.asked[place].header = Some((header.clone(), values.collect()));
            }
        }
        attached.measure_by = flags.measure_by.as_ref().and_then(|key| attached.ask(key)).map(|(place, _)| place);
        attached.has_rules = attached.asked.iter().any(|asked| set.flag(asked.id).constant().is_none());
        attached
    }

    /// The place where a flag is asked, which it gets if it has none. `None`: there is no such flag.
    fn ask(&mut self, key: &str) -> Option<(usize, FlagId)> {
        let id = self.set.get(key)?;
        let place = self.asked.iter().position(|asked| asked.id == id).unwrap_or_else(|| {
            self.asked.push(Asked { id, header: None });
            self.asked.len() - 1
        });
        Some((place, id))
    }

    /// The set that its flags are of.
    #[must_use]
    pub fn set(&self) -> &Arc<FlagSet> {
        &self.set
    }

    /// Whether any of the flags has a rule: otherwise neither context nor time matters.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// Whether any of the flags steers.
    #[must_use]
    pub fn steers(&self) -> bool {
        self.steering > 0
    }

    /// Whether any of the flags that steer has a rule.
    #[must_use]
    pub fn steers_by_rules(&self) -> bool {
        self.asked[..self.steering].iter().any(|asked| self.set.flag(asked.id).constant().is_none())
    }

    /// Asks the flags that steer; `evaluated` is told how each ended. `now`: in seconds of Unix time.
    #[must_use]
    pub fn ask_steering(
        &self,
        context: &dyn Context,
        now: u64,
        evaluated: &mut dyn FnMut(FlagId, &Evaluated<'_>),
    ) -> Answers {
        let mut answers = Answers(Vec::with_capacity(self.asked.len()));
        self.ask_all(&self.asked[..self.steering], &mut answers, context, now, evaluated);
        answers
    }

    /// Asks all others, once it is known which version the request goes to.
    pub fn ask_others(
        &self,
        answers: &mut Answers,
        context: &dyn Context,
        now: u64,
        evaluated: &mut dyn FnMut(FlagId, &Evaluated<'_>),
    ) {
        self.ask_all(&self.asked[self.steering..], answers, context, now, evaluated);
    }

    fn ask_all(
        &self,
        asked: &[Asked],
        answers: &mut Answers,
        context: &dyn Context,
        now: u64,
        evaluated: &mut dyn FnMut(FlagId, &Evaluated<'_>),
    ) {
        for asked in asked {
            let result = evaluate(&self.set, asked.id, context, now);
            evaluated(asked.id, &result);
            // A file of at most 10 MB has fewer variants than fit.
            answers.0.push(result.ok().and_then(|evaluation| evaluation.index).map(|index| index as u32));
        }
    }

    /// The version that a flag names for the request.
    #[must_use]
    pub fn version(&self, answers: &Answers) -> Option<VersionId> {
        let (place, versions) = self.version_from.as_ref()?;
        *versions.get(answers.variant(*place)?)?
    }

    /// The versions that no kill switch takes away from the request.
    #[must_use]
    pub fn alive(&self, answers: &Answers) -> VersionSet {
        let killed = self.kill_switches.iter().filter(|(_, place, kills)| {
            answers.variant(*place).and_then(|variant| kills.get(variant)).is_some_and(|kills| *kills)
        });
        killed.fold(VersionSet::ALL, |alive, (version, _, _)| alive.without(*version))
    }

    /// What the request is measured by. `None`: no flag is measured by.
    #[must_use]
    pub fn measured(&self, answers: &Answers) -> Option<MeasuredBy> {
        Some(MeasuredBy(answers.variant(self.measure_by?)))
    }

    /// The flag that is measured by.
    #[must_use]
    pub fn measures(&self) -> Option<&Flag> {
        Some(self.set.flag(self.asked[self.measure_by?].id))
    }

    /// Puts the values of the flags among the headers of a request.
    pub fn tell(&self, answers: &Answers, headers: &mut HeaderMap) {
        for (asked, variant) in self.asked.iter().zip(&answers.0) {
            if let (Some((name, values)), Some(variant)) = (&asked.header, variant)
                && let Some(value) = &values[*variant as usize]
            {
                headers.insert(name, value.clone());
            }
        }
    }
}

impl Answers {
    fn variant(&self, place: usize) -> Option<usize> {
        self.0.get(place).copied().flatten().map(|variant| variant as usize)
    }
}

/// The version that a variant stands for: the one of its name, else the one that its value names.
#[must_use]
pub fn version_of(service: &Service, variant: &crate::flags::Variant) -> Option<VersionId> {
    service.version_named(&variant.name).or_else(|| service.version_named(variant.value.as_str()?))
}

/// What decides among the versions that can take a request, where nothing else does.
#[derive(Debug, Clone, Copy)]
pub enum Lot<'a> {
    /// Its sticky key.
    Key(&'a [u8]),
    /// A number, uniform over all of `u64`.
    Draw(u64),
}

/// The version that the weights give a request among those that are `up` and `alive`. A version that is not alive gets
/// nothing, even where that means one that is not up, or whose weight is 0: then it is the oldest that is alive, and where
/// none is the oldest there is.
#[must_use]
pub fn weigh(split: &Split, lot: Lot<'_>, up: VersionSet, alive: VersionSet) -> VersionId {
    let pick = |among: VersionSet| match lot {
        Lot::Key(key) => split.pick_key_among(key, among),
        Lot::Draw(random) => split.pick_draw_among(random, among),
    };
    if alive == VersionSet::ALL {
        return pick(up);
    }
    let count = split.weights().len();
    let both = up.and(alive);
    if split.has_share_among(both) {
        pick(both)
    } else if split.has_share_among(alive) {
        pick(alive)
    } else {
        (0..count).map(VersionId::from_index).find(|id| alive.contains(*id)).unwrap_or(VersionId::from_index(0))
    }
}

#[cfg(test)]
mod tests;
