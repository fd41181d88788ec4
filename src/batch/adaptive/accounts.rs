//! What customers have received.
//!
//! Here: [`Accounts`]: a counter per customer, by which the one that has received the least comes first. A customer
//! that had nothing waiting is lifted to the least of those that have, so that being idle earns nothing (Y. Sheng et
//! al., *Fairness in Serving Large Language Models*, OSDI 2024). Of each customer its keys are in order, and customers
//! by the first part of theirs: a charge is one step, however many keys a customer has. Called by `mod.rs`. Floor 1.

use std::collections::BTreeSet;

use super::super::customers::CustomerId;
use super::super::job::KeyId;
use super::super::ranking::Ranking;

/// A customer's account.
#[derive(Default)]
struct Account {
    /// Whose it is; another's once the first is forgotten.
    owner: Option<CustomerId>,
    /// Nanoseconds of the classifier's work over the customer's weight.
    counter_ns: u64,
    /// By key, what the first part that waits takes alone.
    firsts: Ranking<u64, KeyId>,
    /// It was charged while it had parts of several keys, so that lanes may know an older counter.
    strayed: bool,
}

/// The accounts of customers by their index.
#[derive(Default)]
pub(super) struct Accounts {
    accounts: Vec<Account>,
    /// Counters of customers with parts that wait.
    active: BTreeSet<(u64, u32)>,
    /// Their sum.
    sum_ns: u128,
    /// Those customers by the least tag of a part, and the key of that.
    leads: Ranking<(u64, KeyId), u32>,
}

impl Accounts {
    /// A customer is about to have one more part that waits.
    pub(super) fn enter(&mut self, id: CustomerId) {
        let customer = id.index();
        if customer as usize >= self.accounts.len() {
            self.accounts.resize_with(customer as usize + 1, Account::default);
        }
        let least_ns = self.active.first().map_or(0, |&(counter_ns, _)| counter_ns);
        let account = &mut self.accounts[customer as usize];
        if account.owner != Some(id) {
            *account = Account { owner: Some(id), ..Account::default() };
        }
        if account.firsts.is_empty() {
            account.counter_ns = account.counter_ns.max(least_ns);
            account.strayed = false;
        }
    }

    /// What the first part of a customer and a key takes alone; `None` if none waits. To be told after each change, also
    /// of the counter.
    pub(super) fn set_first(&mut self, customer: u32, key: KeyId, own_ns: Option<u64>) {
        let account = &mut self.accounts[customer as usize];
        let was_active = !account.firsts.is_empty();
        account.firsts.set(key, own_ns);
        let counter_ns = account.counter_ns;
        let lead = account.firsts.first().map(|(own_ns, key)| (counter_ns + own_ns, key));
        self.leads.set(customer, lead);
        match (was_active, lead.is_some()) {
            (false, true) => {
                self.active.insert((counter_ns, customer));
                self.sum_ns += u128::from(counter_ns);
            }
            (true, false) => {
                self.active.remove(&(counter_ns, customer));
                self.sum_ns -= u128::from(counter_ns);
            }
            _ => {}
        }
    }

    /// A customer has received so much more.
    pub(super) fn charge(&mut self, customer: u32, ns: u64) {
        let account = &mut self.accounts[customer as usize];
        let before = account.counter_ns;
        account.counter_ns += ns;
        account.strayed |= account.firsts.len() > 1;
        if self.active.remove(&(before, customer)) {
            self.active.insert((account.counter_ns, customer));
            self.sum_ns += u128::from(ns);
        }
    }

    /// What a customer has received, over its weight.
    pub(super) fn counter_ns(&self, customer: u32) -> u64 {
        self.accounts[customer as usize].counter_ns
    }

    /// Whether a lane may have ranked the customer by an older counter.
    pub(super) fn has_strayed(&self, customer: u32) -> bool {
        self.accounts[customer as usize].strayed
    }

    /// The mean of the customers with parts that wait.
    pub(super) fn mean_counter_ns(&self) -> u64 {
        (self.sum_ns / self.active.len().max(1) as u128) as u64
    }

    /// Whose part has the least tag, and its key: of equal tags the lesser key, then the lesser customer.
    pub(super) fn lead(&self) -> Option<(KeyId, u32)> {
        self.leads.first().map(|((_, key), customer)| (key, customer))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::customers::Customers;
    use super::*;

    const KEY: KeyId = KeyId(0);

    #[test]
    fn whoever_takes_the_index_of_a_forgotten_customer_does_not_take_its_account() {
        let mut customers = Customers::new(&[]);
        let ids: Vec<CustomerId> = (0..10_000)
            .map(|i| {
                let id = customers.enter(&format!("c{i}"));
                customers.leave(id);
                id
            })
            .collect();
        let (new, old) = (ids[9_999], ids.iter().find(|id| id.index() == ids[9_999].index()).unwrap());
        assert_ne!(new, *old);
        let mut accounts = Accounts::default();
        let enter = |accounts: &mut Accounts, id: CustomerId| {
            accounts.enter(id);
            accounts.set_first(id.index(), KEY, Some(1));
        };
        enter(&mut accounts, *old);
        accounts.charge(old.index(), 7);
        accounts.set_first(old.index(), KEY, None);
        enter(&mut accounts, *old);
        assert_eq!((accounts.counter_ns(old.index()), accounts.mean_counter_ns()), (7, 7));
        accounts.set_first(old.index(), KEY, None);
        enter(&mut accounts, new);
        assert_eq!((accounts.counter_ns(new.index()), accounts.mean_counter_ns()), (0, 0));
    }
}
