//! What customers have received.
//!
//! Here: [`Accounts`]: a counter per customer, by which the one that has received the least comes first. A customer
//! that had nothing waiting is lifted to the least of those that have, so that being idle earns nothing (Y. Sheng et
//! al., *Fairness in Serving Large Language Models*, OSDI 2024). Called by `mod.rs`. Floor 1.

use std::collections::BTreeSet;

use super::super::customers::CustomerId;
use super::super::job::KeyId;

/// A customer's account.
#[derive(Default)]
struct Account {
    /// Whose it is; another's once the first is forgotten.
    owner: Option<CustomerId>,
    /// Nanoseconds of the classifier's work over the customer's weight.
    counter_ns: u64,
    /// By key, how many parts wait; few keys.
    waiting: Vec<(KeyId, usize)>,
}

/// The accounts of customers by their index.
#[derive(Default)]
pub(super) struct Accounts {
    accounts: Vec<Account>,
    /// Counters of customers with parts that wait.
    active: BTreeSet<(u64, u32)>,
    /// Their sum.
    sum_ns: u128,
}

impl Accounts {
    /// A customer has one more part of a key that waits.
    pub(super) fn enter(&mut self, id: CustomerId, key: KeyId) {
        let customer = id.index();
        if customer as usize >= self.accounts.len() {
            self.accounts.resize_with(customer as usize + 1, Account::default);
        }
        let least_ns = self.active.first().map_or(0, |&(counter_ns, _)| counter_ns);
        let account = &mut self.accounts[customer as usize];
        if account.owner != Some(id) {
            *account = Account { owner: Some(id), ..Account::default() };
        }
        if account.waiting.is_empty() {
            account.counter_ns = account.counter_ns.max(least_ns);
            self.active.insert((account.counter_ns, customer));
            self.sum_ns += u128::from(account.counter_ns);
        }
        match account.waiting.iter_mut().find(|(other, _)| *other == key) {
            Some((_, parts)) => *parts += 1,
            None => account.waiting.push((key, 1)),
        }
    }

    /// A part of a customer waits no longer.
    pub(super) fn leave(&mut self, customer: u32, key: KeyId) {
        let account = &mut self.accounts[customer as usize];
        let index = account.waiting.iter().position(|(other, _)| *other == key).expect("it waited");
        account.waiting[index].1 -= 1;
        if account.waiting[index].1 == 0 {
            account.waiting.swap_remove(index);
        }
        if account.waiting.is_empty() {
            self.active.remove(&(account.counter_ns, customer));
            self.sum_ns -= u128::from(account.counter_ns);
        }
    }

    /// A customer has received so much more.
    pub(super) fn charge(&mut self, customer: u32, ns: u64) {
        let account = &mut self.accounts[customer as usize];
        let before = account.counter_ns;
        account.counter_ns += ns;
        if self.active.remove(&(before, customer)) {
            self.active.insert((account.counter_ns, customer));
            self.sum_ns += u128::from(ns);
        }
    }

    /// What a customer has received, over its weight.
    pub(super) fn counter_ns(&self, customer: u32) -> u64 {
        self.accounts[customer as usize].counter_ns
    }

    /// The mean of the customers with parts that wait.
    pub(super) fn mean_counter_ns(&self) -> u64 {
        (self.sum_ns / self.active.len().max(1) as u128) as u64
    }

    /// The keys of which a customer has parts that wait.
    pub(super) fn keys(&self, customer: u32) -> impl Iterator<Item = KeyId> {
        self.accounts[customer as usize].waiting.iter().map(|&(key, _)| key)
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
        accounts.enter(*old, KEY);
        accounts.charge(old.index(), 7);
        accounts.leave(old.index(), KEY);
        accounts.enter(*old, KEY);
        assert_eq!(accounts.counter_ns(old.index()), 7);
        accounts.leave(old.index(), KEY);
        accounts.enter(new, KEY);
        assert_eq!((accounts.counter_ns(new.index()), accounts.mean_counter_ns()), (0, 0));
    }
}
