//! What a richer manifest of the same object says and another document does not.

use serde_json::{Map, Value};

/// Something to add.
#[derive(Debug, Clone)]
pub struct Addition {
    /// Where in the poorer document; ends with `/-` where it is an element of a list.
    pub pointer: String,
    /// What.
    pub value: Value,
    /// The way to it in the richer one.
    pub steps: Vec<Step>,
}

/// A step down in the richer document.
#[derive(Debug, Clone)]
pub enum Step {
    /// A field.
    Field(String),
    /// A position.
    Element(usize),
}

/// Fields that tell elements of lists apart, in Kubernetes and in the test's own kinds.
const KEYS: [&str; 9] =
    ["name", "mountPath", "ip", "key", "type", "topologyKey", "devicePath", "containerPort", "port"];

/// Everything in `richer` that is not in `poorer`, or is otherwise there; identity and marks aside.
pub fn additions(poorer: &Value, richer: &Value) -> Vec<Addition> {
    let mut found = Vec::new();
    search(poorer, richer, "", &[], &mut found);
    found.retain(|addition| {
        let identity = ["/apiVersion", "/kind", "/status", "/metadata/name", "/metadata/namespace"];
        !identity.contains(&addition.pointer.as_str()) && addition.pointer != "/metadata"
    });
    found
}

fn search(poorer: &Value, richer: &Value, pointer: &str, way: &[Step], found: &mut Vec<Addition>) {
    match (poorer, richer) {
        (Value::Object(poorer), Value::Object(richer)) => {
            for (name, value) in richer {
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                let steps = [way, &[Step::Field(name.clone())]].concat();
                match poorer.get(name) {
                    Some(there) => search(there, value, &pointer, &steps, found),
                    None => found.push(Addition { pointer, value: value.clone(), steps }),
                }
            }
        }
        (Value::Array(poorer), Value::Array(richer)) => {
            for (position, element) in richer.iter().enumerate() {
                let steps = [way, &[Step::Element(position)]].concat();
                match poorer.iter().position(|there| is_same_element(there, element)) {
                    Some(at) => search(&poorer[at], element, &format!("{pointer}/{at}"), &steps, found),
                    None => found.push(Addition { pointer: format!("{pointer}/-"), value: element.clone(), steps }),
                }
            }
        }
        (poorer, richer) if poorer == richer => {}
        // To add where there is something is to replace it.
        (_, richer) => found.push(Addition { pointer: pointer.to_owned(), value: richer.clone(), steps: way.to_vec() }),
    }
}

fn is_same_element(one: &Value, other: &Value) -> bool {
    let (Value::Object(one_fields), Value::Object(_)) = (one, other) else { return one == other };
    let protocol = |element: &Value| element.get("protocol").cloned().unwrap_or("TCP".into());
    let key = KEYS.iter().find(|key| one_fields.contains_key(**key));
    key.map_or(one == other, |key| one.get(*key) == other.get(*key) && protocol(one) == protocol(other))
}

/// An apply that says nothing but this addition, and what is needed to say where.
pub fn partial(manifest: &Value, richer: &Value, addition: &Addition) -> Option<Value> {
    let mut body = projection(richer, &addition.steps)?;
    let fields = body.as_object_mut()?;
    for name in ["apiVersion", "kind"] {
        fields.insert(name.to_owned(), manifest.get(name)?.clone());
    }
    let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
    for name in ["name", "namespace"] {
        if let Some(value) = manifest.get("metadata")?.get(name) {
            metadata.insert(name.to_owned(), value.clone());
        }
    }
    Some(body)
}

fn projection(value: &Value, steps: &[Step]) -> Option<Value> {
    let Some((first, rest)) = steps.split_first() else { return Some(value.clone()) };
    match first {
        Step::Field(name) => {
            let below = projection(value.get(name)?, rest)?;
            let mut fields: Map<_, _> =
                value.as_object()?.clone().into_iter().filter(|(name, value)| is_key(name, value)).collect();
            fields.insert(name.clone(), below);
            Some(Value::Object(fields))
        }
        Step::Element(at) => Some(Value::Array(vec![projection(value.get(*at)?, rest)?])),
    }
}

fn is_key(name: &str, value: &Value) -> bool {
    (KEYS.contains(&name) || name == "protocol") && !value.is_object() && !value.is_array()
}
