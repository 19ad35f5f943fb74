//! Where requests are made: any verb, as anybody, and what came of it.

use anyhow::{Context, Result, anyhow, bail};
use axum::http::{Request, request::Builder};
use kube::Client;
use serde_json::Value;

use crate::stage::Stage;
use crate::who::{AUTOMATION, LISTED};
use crate::world::Person;

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// With whose credentials.
    pub person: Option<Person>,
    /// As whom: user and groups. `system:authenticated` is a matter of course.
    pub impersonating: Option<(String, Vec<String>)>,
}

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// `create`, `put`, `delete`, `merge`, `json`, `strategic`, `apply`, `force`; a collection takes `delete` as well.
    pub verb: String,
    /// `apps/v1/deployments/web/scale`; with `-` before it, of the cluster and not of the namespace.
    pub at: String,
    /// What is sent. For `put`, what is merged into the object as it is.
    pub body: Value,
    /// Throw the outcome away?
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// It passed.
    Through,
    /// Holdfast refused it, in these words.
    Refused(String),
}

/// What everything Holdfast refuses says.
const REFUSED_BY_US: &str = "holdfast.dev\" denied the request";

// === impl Caller ===

impl Caller {
    /// Somebody by their own credentials.
    pub fn person(person: Person) -> Self {
        Self { person: Some(person), impersonating: None }
    }

    /// The administrator as somebody else.
    pub fn named(user: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Self { person: None, impersonating: Some((user.to_owned(), groups)) }
    }

    /// The administrator as a service account, with the groups of one.
    pub fn account(namespace: &str, name: &str) -> Self {
        let own = format!("system:serviceaccounts:{namespace}");
        Self::named(&format!("system:serviceaccount:{namespace}:{name}"), &["system:serviceaccounts", &own])
    }

    /// A person, on call, a controller, Holdfast, somebody in its guise, a program: by the letter the table uses.
    pub fn by(letter: char) -> Self {
        match letter {
            'P' => Self::person(Person::Alice),
            'O' => Self::person(Person::Oncall),
            'C' => Self::account(LISTED, "operator"),
            'H' => Self::person(Person::Holdfast),
            'I' => Self::account("holdfast-system", "holdfast"),
            'A' => Self::account(AUTOMATION, "deployer"),
            letter => unreachable!("the table knows no {letter}"),
        }
    }
}

// === impl Ask ===

impl Ask {
    /// Asks; anything but a pass or our refusal is an error.
    pub async fn by(&self, stage: &Stage, namespace: &str, caller: &Caller) -> Result<Came> {
        let person = caller.person.unwrap_or(Person::Administrator);
        let client = stage.world.client(person).await?;
        let body = if self.verb == "put" { self.replacement(stage, namespace).await? } else { self.body.clone() };
        let body = self.with_options(body);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = self.request(namespace, caller)?.body(body)?;
        match client.request_text(request).await {
            Ok(_) => Ok(Came::Through),
            Err(kube::Error::Api(status)) if status.message.contains(REFUSED_BY_US) => {
                Ok(Came::Refused(status.message))
            }
            Err(error) => Err(anyhow!("{} {} failed otherwise: {error}", self.verb, self.at)),
        }
    }

    /// The options of a deletion are in its body, if it has one, and then what the URL says does not count.
    fn with_options(&self, mut body: Value) -> Value {
        if self.dry_run && self.verb == "delete" && body.is_object() {
            body["dryRun"] = serde_json::json!(["All"]);
        }
        body
    }

    fn request(&self, namespace: &str, caller: &Caller) -> Result<Builder> {
        let (method, content) = self.method()?;
        let (place, query) = self.at.split_once('?').unwrap_or((&self.at, ""));
        let mut query: Vec<_> = query.split('&').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        query.extend(self.dry_run.then(|| "dryRun=All".to_owned()));
        match &*self.verb {
            "apply" => query.push("fieldManager=kubectl".to_owned()),
            "force" => query.extend(["fieldManager=kubectl".to_owned(), "force=true".to_owned()]),
            _ => {}
        }
        let uri = format!("{}?{}", path(place, namespace)?, query.join("&"));
        let mut request = Request::builder().method(method).uri(uri).header("content-type", content);
        if let Some((user, groups)) = &caller.impersonating {
            request = request.header("impersonate-user", user).header("impersonate-group", "system:authenticated");
            request = groups.iter().fold(request, |request, group| request.header("impersonate-group", group));
        }
        Ok(request)
    }

    fn method(&self) -> Result<(&'static str, &'static str)> {
        Ok(match &*self.verb {
            "create" => ("POST", "application/json"),
            "put" => ("PUT", "application/json"),
            "delete" => ("DELETE", "application/json"),
            "merge" => ("PATCH", "application/merge-patch+json"),
            "json" => ("PATCH", "application/json-patch+json"),
            "strategic" => ("PATCH", "application/strategic-merge-patch+json"),
            "apply" | "force" => ("PATCH", "application/apply-patch+yaml"),
            verb => bail!("there is no verb {verb}"),
        })
    }

    /// The object as it is, and changed; without a version, so that whoever writes it meanwhile does no harm.
    async fn replacement(&self, stage: &Stage, namespace: &str) -> Result<Value> {
        let mut object = self.look(&stage.client, namespace).await?;
        merge(&mut object, &self.body);
        object["metadata"].as_object_mut().context("an object has metadata")?.remove("resourceVersion");
        Ok(object)
    }

    /// The object behind the request, as it is; `Null` if there is none.
    pub async fn look(&self, client: &Client, namespace: &str) -> Result<Value> {
        let place = self.at.split('?').next().unwrap_or_default();
        let request = Request::get(path(place, namespace)?).body(Vec::new())?;
        match client.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Value::Null),
            found => Ok(found?),
        }
    }
}

/// `apps/v1/deployments/web` as the API server serves it.
fn path(place: &str, namespace: &str) -> Result<String> {
    let (place, scope) = match place.strip_prefix('-') {
        Some(place) => (place, String::new()),
        None => (place, format!("/namespaces/{namespace}")),
    };
    let mut parts = place.splitn(3, '/');
    let (first, second) =
        (parts.next().unwrap_or_default(), parts.next().context("a place has a version and a resource")?);
    Ok(match parts.next().filter(|_| first != "v1") {
        Some(rest) => format!("/apis/{first}/{second}{scope}/{rest}"),
        None => format!("/api/v1{scope}/{}", place.strip_prefix("v1/").unwrap_or_default()),
    })
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
