//! Whether a role may do more than the permissions boundary of deployments lets them: whoever can make it act has its strength.

use daypass::policy::{Effect, OneOrMany, Policy, Statement};
use serde_json::Value;
use wildmatch::WildMatch;

use crate::{
    boundary,
    evaluate::{Request, evaluate},
    methods::{Method, Step},
};

/// Something of a known way to more rights that a role may do, and that the boundary refuses.
#[derive(Clone, Debug)]
pub struct Excess<'m> {
    pub method: &'m Method,
    pub action: &'m str,
    /// What it is done to: the method's example, or what the role's own policies name.
    pub resource: String,
}

/// What a role may do.
#[derive(Clone, Debug)]
pub struct Strength {
    policies: Vec<Policy>,
    /// The role's own permissions boundary.
    limit: Option<Policy>,
}

impl Strength {
    /// Of a role with these inline and attached policies, within this permissions boundary.
    #[must_use]
    pub fn new(policies: Vec<Policy>, limit: Option<Policy>) -> Self {
        Self { policies, limit }
    }

    /// What the role may do in `account` beyond the boundary of deployments: the first thing of each method, in the methods' order.
    /// One step of a method is enough, since a deployment may be able to do the others itself.
    #[must_use]
    pub fn beyond_boundary<'m>(&self, partition: &str, account: &str, methods: &'m [Method]) -> Vec<Excess<'m>> {
        let boundary = boundary(partition, account);
        let of_method = |method: &'m Method| {
            method.steps.iter().find_map(|step| {
                let mut requests = self.requests(step, partition, account).into_iter();
                let request = requests.find(|it| self.may(it) && !evaluate([&boundary], it).is_possible())?;
                Some(Excess { method, action: &step.action, resource: request.resource().to_owned() })
            })
        };
        methods.iter().filter_map(of_method).collect()
    }

    /// Whether the role may do it, as far as is known.
    #[must_use]
    pub fn may(&self, request: &Request) -> bool {
        evaluate(&self.policies, request).is_possible()
            && self.limit.as_ref().is_none_or(|limit| evaluate([limit], request).is_possible())
    }

    /// The step as the method has it, and the same done to whatever the role's policies name for its action: a method's resources
    /// are examples. A step that is about the shield has its own resource only: whether another is shielded is not known here.
    fn requests(&self, step: &Step, partition: &str, account: &str) -> Vec<Request> {
        let example = step.request(partition, account);
        if step.is_shielded() || step.sets_shield() {
            return vec![example];
        }
        let allowing = self.policies.iter().flat_map(Policy::statements).filter(|it| allows(it, &step.action));
        let named = allowing.filter_map(|it| it.resource.as_ref()).flat_map(OneOrMany::as_slice);
        let mut others: Vec<String> = named.filter(|it| is_alike(it, example.resource())).map(|it| some(it)).collect();
        others.sort();
        others.dedup();
        let others: Vec<_> = others.iter().map(|resource| example.on(resource)).collect();
        [example].into_iter().chain(others).collect()
    }
}

fn allows(statement: &Statement, action: &str) -> bool {
    let names =
        |actions: &OneOrMany| actions.as_slice().iter().any(|it| WildMatch::new_case_insensitive(it).matches(action));
    let is_about =
        statement.action.as_ref().is_some_and(names) || statement.not_action.as_ref().is_some_and(|it| !names(it));
    statement.effect == Effect::Allow && is_about
}

/// Whether a pattern of a policy names resources of the kind of the example: of the same service and type. An example `*` stands
/// for those of every kind.
fn is_alike(pattern: &str, example: &str) -> bool {
    let kind = |arn: &str| {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, _, service, _, _, resource] = parts[..] else { return None };
        let is_typed = resource.contains(['/', ':']) && service != "s3";
        let of_type = is_typed.then(|| resource.split(['/', ':']).next().unwrap_or_default());
        Some((service.to_owned(), of_type.map(str::to_owned)))
    };
    match (kind(pattern), kind(example)) {
        (Some(_), None) => example == "*",
        (Some((service, of_type)), Some((other, other_type))) => service == other && of_type == other_type,
        (None, _) => false,
    }
}

/// One of the resources that a pattern matches. A variable of a policy stays as it is: what it stands for is not known.
fn some(pattern: &str) -> String {
    pattern.replace(['*', '?'], "x")
}

/// A document in any form that IAM keeps: one statement or a list of them, either version of the language, with or without an
/// id, and numbers or booleans as values of conditions.
///
/// In the older version `${…}` is no variable but text. Read as a variable its value is not known, which never decides that
/// something is refused.
///
/// # Errors
/// When it is no policy, in words.
pub fn read(document: &str) -> Result<Policy, String> {
    let mut document: Value = serde_json::from_str(document).map_err(|error| format!("is no JSON: {error}"))?;
    let Some(members) = document.as_object_mut() else { return Err("is no JSON object".to_owned()) };
    members.remove("Id");
    if matches!(members.get("Version"), None | Some(Value::String(_))) {
        let version = members.insert("Version".to_owned(), "2012-10-17".into());
        if let Some(version) = version.filter(|it| it != "2012-10-17" && it != "2008-10-17") {
            return Err(format!("is of the unknown version {version}"));
        }
    }
    if let Some(one) = members.get_mut("Statement").filter(|it| it.is_object()) {
        *one = Value::Array(vec![one.take()]);
    }
    let statements = members.get_mut("Statement").and_then(Value::as_array_mut);
    for condition in statements.into_iter().flatten().filter_map(|it| it.get_mut("Condition")) {
        as_texts(condition);
    }
    serde_json::from_value(document).map_err(|error| format!("is no policy: {error}"))
}

fn as_texts(value: &mut Value) {
    match value {
        Value::Bool(_) | Value::Number(_) => *value = Value::String(value.to_string()),
        Value::Array(items) => items.iter_mut().for_each(as_texts),
        Value::Object(members) => members.values_mut().for_each(as_texts),
        Value::Null | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
