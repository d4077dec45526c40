//! What was made of keys that recur in a document, within bounds.

use std::borrow::Borrow;
use std::hash::{BuildHasher as _, Hash};

use hashbrown::{HashMap, HashSet};

/// Most values that are held at once: each takes several times what the document has of it.
const MAX_HELD: usize = 4_096;

/// Values by key. They are forgotten when there are too many, and then made again; that a key has findings is not, so
/// that they are told where it occurs first and nowhere else.
#[derive(Debug)]
pub(crate) struct Memo<K, V> {
    held: HashMap<K, V>,
    /// Hashes of the keys with findings.
    told: HashSet<u64>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self { held: HashMap::new(), told: HashSet::new() }
    }
}

impl<K: Hash + Eq, V> Memo<K, V> {
    /// What was made of this key, if it is not forgotten.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.held.get(key)
    }

    /// Whether findings of this key were told.
    pub(crate) fn is_told<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        !self.told.is_empty() && self.told.contains(&self.held.hasher().hash_one(key))
    }

    /// Remembers what was made of a key, and whether that gave findings.
    pub(crate) fn insert(&mut self, key: K, value: V, has_findings: bool) {
        if self.held.len() == MAX_HELD {
            self.held.clear();
        }
        if has_findings {
            self.told.insert(self.held.hasher().hash_one(&key));
        }
        self.held.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_are_forgotten_but_not_that_one_was_told() {
        let mut memo = Memo::<String, usize>::default();
        for n in 0..=MAX_HELD {
            memo.insert(n.to_string(), n, n == 7);
            assert_eq!(memo.get(n.to_string().as_str()), Some(&n));
        }
        assert_eq!(memo.get("7"), None);
        assert!(memo.is_told("7") && !memo.is_told("8"));
    }
}
