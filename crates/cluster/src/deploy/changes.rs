//! What an `apply` changed: the objects before are compared with the objects after. `kubectl apply --server-side` itself
//! says the same word of each.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// How many names a summary tells before it only counts.
const NAMES: usize = 12;
/// What controllers and the API server write.
const NOT_OURS: [&str; 5] = ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"];

/// Names of objects, by what became of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) created: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) unchanged: Vec<String>,
}

impl Changes {
    /// Of two answers of kubectl: a list, one object, or nothing.
    pub(super) fn between(before: &Value, after: &Value) -> Self {
        let (before, after) = (objects(before), objects(after));
        let mut changes = Self::default();
        for (name, object) in after {
            match before.get(&name) {
                None => changes.created.push(name),
                Some(old) if *old == object => changes.unchanged.push(name),
                Some(_) => changes.changed.push(name),
            }
        }
        changes
    }

    pub(super) fn add(&mut self, more: Self) {
        self.created.extend(more.created);
        self.changed.extend(more.changed);
        self.unchanged.extend(more.unchanged);
    }

    pub(super) fn is_none(&self) -> bool {
        self.created.is_empty() && self.changed.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return write!(f, "nothing changed, {} objects are as they should be", self.unchanged.len());
        }
        let all = [("created", &self.created), ("changed", &self.changed)];
        let told = all.iter().filter(|(_, names)| !names.is_empty()).map(|(word, names)| {
            let more = names.len().saturating_sub(NAMES);
            let some = names[..names.len() - more].join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{word} {}: {some}{more}", names.len())
        });
        write!(f, "{}; unchanged {}", told.collect::<Vec<_>>().join("; "), self.unchanged.len())
    }
}

/// By kind, namespace and name, without what is not ours to say.
fn objects(answer: &Value) -> BTreeMap<String, Value> {
    let items = match answer["items"].as_array() {
        Some(items) => items.clone(),
        None if answer.is_object() => vec![answer.clone()],
        None => Vec::new(),
    };
    items.into_iter().map(|object| (name(&object), essence(object))).collect()
}

fn name(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = text("/metadata/namespace");
    let slash = if namespace.is_empty() { "" } else { "/" };
    format!("{} {namespace}{slash}{}", text("/kind").to_lowercase(), text("/metadata/name"))
}

fn essence(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        NOT_OURS.iter().for_each(|name| drop(metadata.remove(*name)));
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, version: u64, data: &str) -> Value {
        json!({"kind": "ConfigMap", "data": {"a": data}, "status": {"seen": version},
            "metadata": {"name": name, "namespace": "kafka", "resourceVersion": version.to_string()}})
    }

    #[test]
    fn what_a_controller_writes_is_no_change() {
        let before = json!({"kind": "List", "items": [object("a", 1, "x"), object("b", 1, "x")]});
        let after = json!({"kind": "List",
            "items": [object("a", 2, "x"), object("b", 2, "y"), object("c", 2, "z")]});
        let changes = Changes::between(&before, &after);
        assert_eq!(
            changes.to_string(),
            "created 1: configmap kafka/c; changed 1: configmap kafka/b; unchanged 1"
        );
        let again = Changes::between(&after, &after);
        assert!(again.is_none());
        assert_eq!(again.to_string(), "nothing changed, 3 objects are as they should be");
        assert_eq!(Changes::between(&Value::Null, &object("a", 1, "x")).created, ["configmap kafka/a"]);
    }

    #[test]
    fn many_names_are_counted() {
        let items: Vec<_> = (10..30).map(|at| object(&format!("c{at}"), 1, "")).collect();
        let told = Changes::between(&Value::Null, &json!({"items": items})).to_string();
        assert!(told.starts_with("created 20: ") && told.contains("c21 and 8 more"), "{told}");
    }
}
