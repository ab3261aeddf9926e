//! Sums over what was counted, the way the API shows them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Amount, Kind};

/// Of all services together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) services: BTreeSet<String>,
    pub(crate) users: BTreeSet<String>,
    pub(crate) counts: Counts,
}

/// Of one service.
pub(crate) type ByService = Totals;

/// Requests by kind, and processor time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sync: u64,
    pub(crate) asynchronous: u64,
    pub(crate) exposed: u64,
    pub(crate) cpu_us: u64,
}

/// Of one user: how many requests.
pub(crate) type ByUser = BTreeMap<String, u64>;

impl Counts {
    pub(crate) fn requests(&self) -> u64 {
        self.sync
            .saturating_add(self.asynchronous)
            .saturating_add(self.exposed)
    }

    fn add(&mut self, amount: &Amount) {
        let counter = match amount.kind {
            Kind::Sync => &mut self.sync,
            Kind::Async => &mut self.asynchronous,
            Kind::Exposed => &mut self.exposed,
            Kind::Cpu => &mut self.cpu_us,
        };
        *counter = counter.saturating_add(amount.sum);
    }
}

impl Totals {
    fn add(&mut self, amount: &Amount) {
        self.counts.add(amount);
        if amount.kind == Kind::Cpu {
            return;
        }
        self.services.insert(amount.service.clone());
        if !amount.user.is_empty() {
            self.users.insert(amount.user.clone());
        }
    }
}

/// Everything in one.
pub(crate) fn totals<'a>(amounts: impl IntoIterator<Item = &'a Amount>) -> Totals {
    let mut totals = Totals::default();
    for amount in amounts {
        totals.add(amount);
    }
    totals
}

/// One entry for each service that was asked.
pub(crate) fn by_service<'a>(
    amounts: impl IntoIterator<Item = &'a Amount>,
) -> BTreeMap<String, ByService> {
    let mut services: BTreeMap<String, ByService> = BTreeMap::new();
    for amount in amounts.into_iter().filter(|it| it.kind != Kind::Cpu) {
        services
            .entry(amount.service.clone())
            .or_default()
            .add(amount);
    }
    services
}

/// One entry for each known user.
pub(crate) fn by_user<'a>(amounts: impl IntoIterator<Item = &'a Amount>) -> ByUser {
    let mut users = ByUser::new();
    let asked = |it: &&Amount| it.kind != Kind::Cpu && !it.user.is_empty();
    for amount in amounts.into_iter().filter(asked) {
        let counter = users.entry(amount.user.clone()).or_default();
        *counter = counter.saturating_add(amount.sum);
    }
    users
}
