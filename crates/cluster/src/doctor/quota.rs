//! Whether what the overlay asks for fits into the quotas of its namespaces, where somebody has set some.

use std::collections::{BTreeMap, BTreeSet};

use super::capacity::Need;
use super::object::{Answer, List, Object};
use super::report::Check;
use crate::quantity::Amount;

const NAME: &str = "quota";
/// What is compared, by the names that a quota may give it.
const COMPARED: [(&str, &[&str]); 3] = [
    ("cpu", &["cpu", "requests.cpu"]),
    ("memory", &["memory", "requests.memory"]),
    ("pods", &["pods", "count/pods"]),
];

/// None where there is no quota.
pub(super) fn checks(
    needs: &[Need],
    namespaces: &BTreeSet<String>,
    quotas: &Answer<List<Object>>,
) -> Vec<Check> {
    match quotas.seen(NAME) {
        Ok(quotas) => {
            let quotas = quotas.map(|list| list.items.as_slice()).unwrap_or_default();
            let ours = quotas.iter().filter(|quota| namespaces.contains(&quota.metadata.namespace));
            ours.map(|quota| of_quota(quota, needs)).collect()
        }
        Err(denied) => vec![denied],
    }
}

fn of_quota(quota: &Object, needs: &[Need]) -> Check {
    let hard: BTreeMap<String, String> = quota.part("/hard");
    let wanted = Wanted::of(needs.iter().filter(|need| need.namespace == quota.metadata.namespace));
    let place = quota.place();
    let remedy = format!(
        "kubectl -n {} describe resourcequota {}     # and raise it, or ask for less by a patch in the overlay",
        quota.metadata.namespace, quota.metadata.name
    );
    let limit = |names: &[&str]| names.iter().find_map(|name| hard.get(*name));
    let compared = COMPARED.map(|(what, names)| (what, limit(names)));
    let short: Vec<_> = compared
        .iter()
        .filter_map(|&(what, limit)| {
            limit.filter(|limit| wanted.is_over(what, limit)).map(|limit| (what, limit))
        })
        .map(|(what, limit)| {
            format!("{what}: {} with all autoscalers at their most, {limit} are allowed", wanted.text(what))
        })
        .collect();
    if !short.is_empty() {
        return Check::problem(NAME, format!("{place}: {}", short.join("; ")), remedy);
    }
    let known: Vec<_> = COMPARED.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let others: Vec<_> = hard.keys().filter(|name| !known.contains(&name.as_str())).cloned().collect();
    if others.is_empty() {
        Check::ok(NAME, format!("{place}: what is asked for fits"))
    } else {
        Check::warning(
            NAME,
            format!("{place} limits {}, too, which is not compared", others.join(", ")),
            remedy,
        )
    }
}

/// At most, in one namespace.
struct Wanted {
    amount: Amount,
    pods: u64,
}

impl Wanted {
    fn of<'a>(needs: impl Iterator<Item = &'a Need>) -> Self {
        let none = Self { amount: Amount::default(), pods: 0 };
        needs.fold(none, |wanted, need| Self {
            amount: wanted.amount + need.each.times(need.at_most),
            pods: wanted.pods + need.at_most,
        })
    }

    fn is_over(&self, what: &str, limit: &str) -> bool {
        if what == "pods" {
            return limit.parse().is_ok_and(|limit: u64| self.pods > limit);
        }
        let limit = Amount::of(&BTreeMap::from([(what.to_owned(), limit.to_owned())]));
        if what == "cpu" {
            self.amount.cpu_millis > limit.cpu_millis
        } else {
            self.amount.memory > limit.memory
        }
    }

    fn text(&self, what: &str) -> String {
        if what == "pods" { self.pods.to_string() } else { self.amount.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::capacity::needs;
    use super::super::report::Verdict;
    use super::*;

    fn verdict(hard: &Value) -> Vec<(Verdict, String)> {
        let containers = json!([{"name": "a", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]);
        let gateway = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "gateway", "namespace": "blackfriday"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": containers}}},
        });
        let objects: Vec<Object> = serde_json::from_value(json!([gateway])).expect("objects");
        let quota = |namespace: &str| {
            json!({
                "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": namespace},
                "spec": {"hard": hard},
            })
        };
        let quotas = json!({"items": [quota("blackfriday"), quota("elsewhere")]});
        let quotas = Answer::Is(serde_json::from_value(quotas).expect("quotas"));
        let found = checks(&needs(&objects), &BTreeSet::from(["blackfriday".to_owned()]), &quotas);
        found.into_iter().map(|check| (check.verdict, check.seen)).collect()
    }

    #[test]
    fn what_is_asked_for_has_to_fit_into_each_quota() {
        let only = |hard: &Value| verdict(hard).remove(0);
        assert_eq!(verdict(&json!({"cpu": "1"})).len(), 1, "the other namespace is not ours");
        assert_eq!(only(&json!({"requests.cpu": "1", "memory": "2Gi", "pods": "2"})).0, Verdict::Ok);
        for (hard, word) in [
            (json!({"requests.cpu": "999m"}), "cpu: 1.00 CPU"),
            (json!({"requests.memory": "2047Mi"}), "memory: "),
            (json!({"count/pods": "1"}), "pods: 2 with"),
        ] {
            let (verdict, seen) = only(&hard);
            assert!(verdict == Verdict::Problem && seen.contains(word), "{seen}");
        }
        let (found, seen) = only(&json!({"limits.cpu": "1", "pods": "9"}));
        assert!(found == Verdict::Warning && seen.contains("limits limits.cpu, too"), "{seen}");
    }

    #[test]
    fn no_quota_is_no_finding() {
        assert!(checks(&[], &BTreeSet::new(), &Answer::Absent).is_empty());
        assert_eq!(checks(&[], &BTreeSet::new(), &Answer::Denied)[0].verdict, Verdict::Warning);
    }
}
