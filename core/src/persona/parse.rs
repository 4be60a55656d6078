//! The rules of `personas.json`, section by section.
//!
//! `personas.schema.json` tells editors the same, as far as a schema can: what one section says about another is known
//! here only. `tests/cases.json` holds the two together.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use wildmatch::WildMatch;

use super::{
    Account, Entitlement, Environment, GUARD_POLICY_CHARS, Location, MAX_ROLE_TTL, Persona, Personas, Piece, Problem,
    Repository, Rule,
    json::{Fields, Json, Place, Problems},
};
use crate::{
    branch::is_branch_pattern,
    ids::IdError,
    issuer::Provider,
    policy::{Effect, OneOrMany, Policy, Statement},
    text::Quoted,
};

/// IAM's default quota "managed policies attached to a role".
const MAX_MANAGED_POLICIES: usize = 10;
/// IAM's limit on the inline policies of a role together, less what the guard needs.
const MAX_CUSTOM_POLICY_CHARS: usize = 10_240 - GUARD_POLICY_CHARS;
/// With company, organisation and persona of 64 characters each, group names stay far below Identity Center's 1,024.
const MAX_GROUP_NAME_CHARS: usize = 256;
/// The operators of IAM's policy language that `ForAllValues:`, `ForAnyValue:` and `…IfExists` go with: all but `Null`.
const CONDITION_OPERATORS: [&str; 26] = [
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "BinaryEquals",
    "Bool",
    "DateEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateNotEquals",
    "IpAddress",
    "NotIpAddress",
    "NumericEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericNotEquals",
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
];

/// What can be read, and every problem. When there is one, what it is about is missing from what was read, or wrong.
pub(super) fn survey(text: &str) -> (Option<Personas>, Vec<Problem>) {
    let tree: Json = match serde_json::from_str(text) {
        Ok(tree) => tree,
        Err(error) => return (None, vec![not_json(&error)]),
    };
    let problems = Problems::default();
    let personas = file(&Place::root(&tree, &problems));
    (personas, problems.into_inner())
}

fn not_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    Problem {
        at: Location::Text { line: error.line(), column: error.column() },
        rule: Rule::Json,
        message: format!("is not JSON: {text}"),
        remedy: "correct the text there".to_owned(),
    }
}

/// A section that is missing counts as empty, so that no problem hides another.
fn file(root: &Place<'_>) -> Option<Personas> {
    let fields = root.fields(&[
        "$schema",
        "organization",
        "group_name",
        "default_group_type",
        "environments",
        "personas",
        "accounts",
    ])?;
    fields.optional("$schema").and_then(|place| place.text());
    let organization = fields.required("organization", "the company and org that group names begin with");
    let organization = organization.and_then(|place| organization_of(&place));
    let group_name =
        fields.required("group_name", "the pattern of group names, {company}_{org}_{account_id}_{persona}");
    let group_name = group_name.and_then(|place| group_name_of(&place, organization));
    let environments = Section::of(&fields, "environments", "an object of environments by name");
    let personas = Section::of(&fields, "personas", "an object of personas by name");
    let accounts = fields.required("accounts", "the list of target accounts");
    let default_group_type = fields.required("default_group_type", "the group type of requests that name none");

    let parsed_environments: Vec<Environment> =
        environments.0.iter().filter_map(|(name, place)| environment(name, place)).collect();
    // Every persona answers to its own name, whatever group types others list.
    let mut owners: Owners<'_> = personas.0.iter().map(|(name, _)| (*name, *name)).collect();
    let parsed_personas: Vec<Persona> =
        personas.0.iter().filter_map(|(name, place)| persona(name, place, &environments, &mut owners)).collect();
    let accounts = accounts
        .and_then(|place| accounts_of(&place, &environments, &parsed_environments, &personas))
        .unwrap_or_default();
    let default_group_type = default_group_type.and_then(|place| {
        let name = place.text()?;
        if !owners.contains_key(name) {
            let mut known: Vec<&str> = owners.keys().copied().collect();
            known.sort_unstable();
            place.problem(Rule::UnknownReference, format!("{} names no persona", Quoted(name)), use_one_of(known));
        }
        Some(name.to_owned())
    });
    Some(Personas {
        default_group_type: default_group_type.unwrap_or_default(),
        group_name: group_name.unwrap_or_default(),
        environments: parsed_environments,
        all: parsed_personas,
        accounts,
    })
}

/// Which persona answers to which group type.
type Owners<'a> = HashMap<&'a str, &'a str>;

/// An object of named things. Its names count as known even if what they name has problems, lest those bring others.
struct Section<'a>(Vec<(&'a str, Place<'a>)>);

impl<'a> Section<'a> {
    fn of(fields: &Fields<'a>, key: &'static str, what: &str) -> Self {
        let entries = fields.required(key, what).and_then(|place| place.entries()).unwrap_or_default();
        for (name, place) in &entries {
            check_name(name, place);
        }
        Self(entries)
    }

    /// Notes a problem at `place` unless something here has the name.
    fn check_has(&self, name: &str, place: &Place<'_>, kind: &str) {
        if !self.0.iter().any(|(known, _)| *known == name) {
            let known = self.0.iter().map(|(known, _)| *known).collect();
            let message = format!("{} is not defined as {kind} in this file", Quoted(name));
            place.problem(Rule::UnknownReference, message, use_one_of(known));
        }
    }
}

fn use_one_of(known: Vec<&str>) -> String {
    match known[..] {
        [] => "there is none yet: add it".to_owned(),
        _ => {
            format!("use one of {}", known.into_iter().map(|it| Quoted(it).to_string()).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Personas, environments and group types have names that stay what they are in tags, paths and log lines.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn check_name(name: &str, place: &Place<'_>) {
    if !is_name(name) {
        let remedy = "write up to 64 of A-Z, a-z, 0-9, _ and -, beginning with a letter";
        place.problem(Rule::Name, format!("{} is not a valid name", Quoted(name)), remedy);
    }
}

/// The values that were met so far, and where.
type Firsts<'a> = HashMap<&'a str, Place<'a>>;

/// Notes a problem when `value`, which only one may have, was met before.
fn check_first<'a>(value: &'a str, place: &Place<'a>, firsts: &mut Firsts<'a>) {
    if let Some(first) = firsts.get(value) {
        place.problem(
            Rule::Repetition,
            format!("{} is used at {} already", Quoted(value), first.path()),
            "use it once",
        );
    } else {
        firsts.insert(value, place.clone());
    }
}

/// The texts of a list that may be empty, each with its place.
fn texts<'a>(list: &Place<'a>) -> Option<Vec<(Place<'a>, &'a str)>> {
    let texts = list.items()?.into_iter().filter_map(|place| place.text().map(|text| (place, text)));
    let texts: Vec<(Place<'_>, &str)> = texts.collect();
    for (i, (place, text)) in texts.iter().enumerate() {
        if texts[..i].iter().any(|(_, earlier)| earlier == text) {
            place.problem(Rule::Repetition, format!("{} is in the list already", Quoted(text)), "remove it");
        }
    }
    Some(texts)
}

/// The texts of a list that may not be empty; `remedy` says what to do when it is.
fn some_texts<'a>(list: &Place<'a>, remedy: &str) -> Option<Vec<(Place<'a>, &'a str)>> {
    if list.items()?.is_empty() {
        list.problem(Rule::Empty, "is empty", remedy);
    }
    texts(list)
}

fn is_group_name_char(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b" _.@&+-".contains(&b)
}

fn organization_of<'a>(place: &Place<'a>) -> Option<(&'a str, &'a str)> {
    let fields = place.fields(&["company", "org"])?;
    let part = |key, what| {
        let place = fields.required(key, what)?;
        let part = place.text()?;
        let valid = (1..=64).contains(&part.len())
            && part.bytes().all(is_group_name_char)
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric());
        if !valid {
            place.problem(
                Rule::GroupName,
                format!("{} cannot be part of a group name", Quoted(part)),
                "write 1 to 64 of A-Z, a-z, 0-9, space and _.@&+-, with a letter or digit at both ends",
            );
        }
        Some(part)
    };
    let (company, org) = (part("company", "the name of the company"), part("org", "the name of the organisation"));
    company.zip(org)
}

/// The pattern in its pieces. Each placeholder stands in it at most once, and an account id has a fixed length: no two
/// pairs of account and persona have the same group.
fn group_name_of(place: &Place<'_>, organization: Option<(&str, &str)>) -> Option<Vec<Piece>> {
    let pattern = place.text()?;
    let (company, org) = organization.unwrap_or_default();
    let (mut pieces, mut rest) = (Vec::new(), pattern);
    while !rest.is_empty() {
        let (text, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        if !text.bytes().all(is_group_name_char) {
            let message = format!("{} cannot be in a group name", Quoted(text));
            place.problem(Rule::GroupName, message, "use A-Z, a-z, 0-9, space and _.@&+-");
        }
        pieces.push(Piece::Text(text.to_owned()));
        let (placeholder, after) = after.split_at(after.find('}').map_or(after.len(), |end| end + 1));
        match placeholder {
            "" => {}
            "{company}" => pieces.push(Piece::Text(company.to_owned())),
            "{org}" => pieces.push(Piece::Text(org.to_owned())),
            "{account_id}" => pieces.push(Piece::AccountId),
            "{persona}" => pieces.push(Piece::Persona),
            unknown => place.problem(
                Rule::GroupName,
                format!("{} is not a placeholder", Quoted(unknown)),
                "use {company}, {org}, {account_id} and {persona}",
            ),
        }
        rest = after;
    }
    for (placeholder, needed) in [("{company}", false), ("{org}", false), ("{account_id}", true), ("{persona}", true)] {
        match pattern.matches(placeholder).count() {
            0 if needed => {
                let remedy = "add it, so that each group is for one only";
                place.problem(Rule::GroupName, format!("lacks {placeholder}"), remedy);
            }
            0 | 1 => {}
            _ => place.problem(Rule::GroupName, format!("has {placeholder} more than once"), "keep one"),
        }
    }
    if pattern.len() > MAX_GROUP_NAME_CHARS {
        place.problem(Rule::GroupName, "is too long", format!("write at most {MAX_GROUP_NAME_CHARS} characters"));
    }
    if pattern.starts_with(' ') || pattern.ends_with(' ') {
        place.problem(Rule::GroupName, "begins or ends with a space", "remove it");
    }
    Some(pieces)
}

fn environment(name: &str, place: &Place<'_>) -> Option<Environment> {
    let fields = place.fields(&["branches", "identity_token", "protected_ref", "max_role_ttl_hours"])?;
    let max_role_ttl = max_role_ttl(&fields);
    let requires_proof = fields.optional("identity_token").and_then(|place| requires_proof(&place)).unwrap_or(true);
    let protected = fields.optional("protected_ref").and_then(|place| place.flag());
    let place =
        fields.required("branches", "the patterns of the branches that may deploy, such as main or release/*")?;
    let patterns = some_texts(&place, "add a pattern, such as main or release/*")?;
    for (place, pattern) in &patterns {
        let message = format!("{} matches no branch", Quoted(pattern));
        if pattern.is_empty() || pattern.contains(|c: char| c.is_whitespace() || c.is_control()) {
            place.problem(Rule::BranchPattern, message, "write one without white space, such as main");
        } else if pattern.starts_with("refs/") {
            place.problem(Rule::BranchPattern, message, "write it without refs/heads/");
        } else if !is_branch_pattern(pattern) {
            let remedy =
                "write one that git allows as a branch (`git help check-ref-format`), with * and ? as wildcards";
            place.problem(Rule::BranchPattern, message, remedy);
        }
    }
    let branches = patterns.into_iter().map(|(_, pattern)| WildMatch::new(pattern)).collect();
    Some(Environment {
        name: name.to_owned(),
        branches,
        requires_proof,
        // Where nobody has to prove anything, the ref of who does it is no better than one that is only said.
        requires_protected_ref: protected.unwrap_or(requires_proof),
        max_role_ttl,
    })
}

fn requires_proof(place: &Place<'_>) -> Option<bool> {
    match place.text()? {
        "required" => Some(true),
        "optional" => Some(false),
        other => {
            let message = format!("{} is neither required nor optional", Quoted(other));
            place.problem(
                Rule::IdentityToken,
                message,
                "write required or optional, or leave it out: it is required then",
            );
            None
        }
    }
}

fn max_role_ttl(fields: &Fields<'_>) -> Duration {
    let Some(place) = fields.optional("max_role_ttl_hours") else { return MAX_ROLE_TTL };
    let Some(hours) = place.number() else { return MAX_ROLE_TTL };
    let ttl = Duration::try_from_secs_f64(hours * 3600.0).unwrap_or_default();
    if ttl.is_zero() || ttl > MAX_ROLE_TTL {
        let most = MAX_ROLE_TTL.as_secs() / 3600;
        let remedy = format!(
            "write more than 0 and at most {most} hours (a week: what is needed for longer should not be a temporary \
             role)"
        );
        place.problem(Rule::RoleTtl, "is not a valid cap", remedy);
    }
    ttl
}

fn persona<'a>(
    name: &'a str,
    place: &Place<'a>,
    environments: &Section<'_>,
    owners: &mut Owners<'a>,
) -> Option<Persona> {
    let fields =
        place.fields(&["group_types", "managed_policies", "custom_policy", "max_role_ttl_hours", "environments"])?;
    let group_types = fields.optional("group_types").and_then(|place| texts(&place)).unwrap_or_default();
    for (place, group_type) in &group_types {
        check_name(group_type, place);
        match owners.insert(group_type, name) {
            Some(_) if *group_type == name => {
                place.problem(Rule::GroupType, "is the persona's own name, which it answers to anyway", "remove it");
            }
            Some(owner) if owner != name => {
                let message = format!("{} belongs to the persona {}", Quoted(group_type), Quoted(owner));
                place.problem(Rule::GroupType, message, "choose another");
            }
            // New; or a repetition, which the list has reported.
            _ => {}
        }
    }
    let group_types = group_types.into_iter().map(|(_, group_type)| group_type.to_owned()).collect();
    let max_role_ttl = max_role_ttl(&fields);
    let base = entitlement(place, &fields, &Entitlement::default());
    let overrides = fields.optional("environments").and_then(|place| place.entries()).unwrap_or_default();
    let overrides = overrides.into_iter().filter_map(|(environment, place)| {
        environments.check_has(environment, &place, "environment");
        let fields = place.fields(&["managed_policies", "custom_policy"])?;
        Some((environment.to_owned(), entitlement(&place, &fields, &base)))
    });
    let overrides: BTreeMap<String, Entitlement> = overrides.collect();
    Some(Persona { name: name.to_owned(), group_types, entitlement: base, overrides, max_role_ttl })
}

/// What `fields` say, and for a list that is absent what `base` says.
fn entitlement(place: &Place<'_>, fields: &Fields<'_>, base: &Entitlement) -> Entitlement {
    let problems_before = place.problem_count();
    let entitlement = Entitlement {
        managed_policies: match fields.optional("managed_policies") {
            Some(place) => managed_policies(&place).unwrap_or_default(),
            None => base.managed_policies.clone(),
        },
        custom_policy: match fields.optional("custom_policy") {
            Some(place) => custom_policy(&place),
            None => base.custom_policy.clone(),
        },
    };
    if !entitlement.grants_something() && place.problem_count() == problems_before {
        let remedy = "add managed_policies, or a statement to custom_policy that allows something";
        place.problem(Rule::NoRights, "grants nothing", remedy);
    }
    entitlement
}

fn managed_policies(place: &Place<'_>) -> Option<Vec<String>> {
    let arns = texts(place)?;
    for (place, arn) in &arns {
        if !is_aws_managed_policy_arn(arn) {
            place.problem(
                Rule::ManagedPolicyArn,
                format!("{} is not the ARN of an AWS-managed policy", Quoted(arn)),
                "write it with its path, such as arn:aws:iam::aws:policy/job-function/NetworkAdministrator (rights of \
                 your own go into custom_policy)",
            );
        }
    }
    if arns.len() > MAX_MANAGED_POLICIES {
        let (count, most) = (arns.len(), MAX_MANAGED_POLICIES);
        let message = format!("has {count} policies, and IAM attaches at most {most} to a role");
        place.problem(Rule::ManagedPolicyQuota, message, "keep the needed ones");
    }
    Some(arns.into_iter().map(|(_, arn)| arn.to_owned()).collect())
}

fn is_aws_managed_policy_arn(arn: &str) -> bool {
    let part_char = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, "iam", "", "aws", resource] = parts[..] else { return false };
    let Some(path_and_name) = resource.strip_prefix("policy/") else { return false };
    partition.starts_with("aws")
        && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        && path_and_name.split('/').all(|part| (1..=128).contains(&part.len()) && part.bytes().all(part_char))
}

fn custom_policy(place: &Place<'_>) -> Option<Policy> {
    let mut sids = HashMap::new();
    let statements: Vec<Statement> = place.items()?.iter().filter_map(|place| statement(place, &mut sids)).collect();
    if statements.is_empty() {
        return None;
    }
    let policy = Policy::new(statements);
    let chars = policy.to_json().chars().count();
    if chars > MAX_CUSTOM_POLICY_CHARS {
        let message =
            format!("is {chars} characters long as a policy, and a role has room for {MAX_CUSTOM_POLICY_CHARS}");
        let remedy = "join statements, use wildcards, or use a managed policy";
        place.problem(Rule::CustomPolicySize, message, remedy);
    }
    Some(policy)
}

/// One statement; `sids` are those of the statements before it.
fn statement<'a>(place: &Place<'a>, sids: &mut Firsts<'a>) -> Option<Statement> {
    let fields = place.fields(&["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"])?;
    let sid = fields.optional("Sid").and_then(|place| sid(&place, sids));
    let effect = fields.required("Effect", "Allow or Deny").and_then(|place| match place.text()? {
        "Allow" => Some(Effect::Allow),
        "Deny" => Some(Effect::Deny),
        other => {
            place.problem(Rule::Statement, format!("{} is not an effect", Quoted(other)), "write Allow or Deny");
            None
        }
    });
    let (action, not_action) = one_of_two(place, &fields, "Action", "NotAction", &|text| {
        let remedy = "write service:Action, such as s3:GetObject or ec2:Describe*, or *";
        (!is_action(text)).then_some(("is not an action", remedy))
    });
    let (resource, not_resource) = one_of_two(place, &fields, "Resource", "NotResource", &|text| {
        (!is_resource(text)).then_some(("is not a resource", "write an ARN, such as arn:aws:s3:::bucket/*, or *"))
    });
    let condition = fields.optional("Condition").and_then(|place| condition(&place)).unwrap_or_default();
    Some(Statement { sid, effect: effect?, principal: None, action, not_action, resource, not_resource, condition })
}

fn sid<'a>(place: &Place<'a>, sids: &mut Firsts<'a>) -> Option<String> {
    let sid = place.text()?;
    if sid.is_empty() || !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let message = format!("{} is not a valid statement id", Quoted(sid));
        place.problem(Rule::Statement, message, "write letters and digits only");
    }
    check_first(sid, place, sids);
    Some(sid.to_owned())
}

/// Why a text cannot stand where it does, and what to write instead; nothing when it can.
type Objection<'f> = &'f dyn Fn(&str) -> Option<(&'static str, &'static str)>;

/// Of two keys exclude each other, one is needed.
fn one_of_two(
    place: &Place<'_>,
    fields: &Fields<'_>,
    key: &str,
    not_key: &str,
    objection: Objection<'_>,
) -> (Option<OneOrMany>, Option<OneOrMany>) {
    let (yes, not) = (fields.optional(key), fields.optional(not_key));
    match (&yes, &not) {
        (Some(_), Some(_)) => place.problem(Rule::Statement, format!("has both {key} and {not_key}"), "keep one"),
        (None, None) => place.problem(Rule::Statement, format!("has neither {key} nor {not_key}"), "add one"),
        _ => {}
    }
    let read = |place: Option<Place<'_>>| place.and_then(|place| one_or_many(&place, objection));
    (read(yes), read(not))
}

fn one_or_many(place: &Place<'_>, objection: Objection<'_>) -> Option<OneOrMany> {
    let check = |place: &Place<'_>, text: &str| {
        if let Some((objection, remedy)) = objection(text) {
            place.problem(Rule::Statement, format!("{} {objection}", Quoted(text)), remedy);
        } else if !text.chars().all(is_policy_char) {
            let message = format!("{} has characters that IAM refuses", Quoted(text));
            place.problem(Rule::Statement, message, "write Latin-1 text");
        }
    };
    if !place.is_list() {
        let text = place.text()?;
        check(place, text);
        return Some(text.into());
    }
    let items = some_texts(place, "add what the statement is about, or remove it")?;
    for (place, text) in &items {
        check(place, text);
    }
    Some(OneOrMany::Many(items.into_iter().map(|(_, text)| text.to_owned()).collect()))
}

/// What IAM takes in a policy document, less line breaks and tabs.
fn is_policy_char(c: char) -> bool {
    (' '..='\u{ff}').contains(&c)
}

fn is_action(text: &str) -> bool {
    text == "*"
        || text.split_once(':').is_some_and(|(service, action)| {
            !service.is_empty()
                && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !action.is_empty()
                && action.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?".contains(&b))
        })
}

fn is_resource(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    text == "*"
        || matches!(parts[..], ["arn", partition, service, _, _, resource]
            if !partition.is_empty() && !service.is_empty() && !resource.is_empty())
}

fn condition(place: &Place<'_>) -> Option<BTreeMap<String, BTreeMap<String, OneOrMany>>> {
    let mut condition = BTreeMap::new();
    for (operator, place) in non_empty(place)? {
        if !is_condition_operator(operator) {
            let message = format!("{} is not an IAM operator", Quoted(operator));
            place.problem(Rule::Condition, message, "write one, such as StringEquals");
        }
        let mut keys = BTreeMap::new();
        for (key, place) in non_empty(&place).unwrap_or_default() {
            if !is_condition_key(key) {
                let message = format!("{} is not a condition key", Quoted(key));
                place.problem(Rule::Condition, message, "write one, such as aws:SourceVpc");
            }
            if let Some(values) = one_or_many(&place, &|_| None) {
                keys.insert(key.to_owned(), values);
            }
        }
        condition.insert(operator.to_owned(), keys);
    }
    Some(condition)
}

fn non_empty<'a>(place: &Place<'a>) -> Option<Vec<(&'a str, Place<'a>)>> {
    let entries = place.entries()?;
    if entries.is_empty() {
        place.problem(Rule::Empty, "is empty", "remove it, or add what it should compare");
    }
    Some(entries)
}

fn is_condition_key(key: &str) -> bool {
    let two_parts = key.split_once(':').is_some_and(|(prefix, name)| !prefix.is_empty() && !name.is_empty());
    two_parts && key.chars().all(is_policy_char)
}

fn is_condition_operator(operator: &str) -> bool {
    let set = operator.strip_prefix("ForAllValues:").or_else(|| operator.strip_prefix("ForAnyValue:"));
    let base = set.unwrap_or(operator);
    operator == "Null" || CONDITION_OPERATORS.contains(&base.strip_suffix("IfExists").unwrap_or(base))
}

fn accounts_of(
    place: &Place<'_>,
    environments: &Section<'_>,
    parsed_environments: &[Environment],
    personas: &Section<'_>,
) -> Option<Vec<Account>> {
    let (mut ids, mut names) = (HashMap::new(), HashMap::new());
    let mut accounts = Vec::new();
    for place in place.items()? {
        let Some(fields) = place.fields(&["id", "name", "environment", "personas", "repositories"]) else { continue };
        let id = fields.required("id", "the 12 digits of the account").and_then(|place| {
            let id = place.text()?;
            check_first(id, &place, &mut ids);
            id.parse()
                .map_err(|error: IdError| {
                    place.problem(Rule::AccountId, error.to_string(), "write the digits, and nothing else");
                })
                .ok()
        });
        let name = fields.required("name", "the name of the account").and_then(|place| {
            let name = place.text()?;
            let edge = |c: char| c.is_ascii_graphic();
            let valid = (1..=50).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
                && name.starts_with(edge)
                && name.ends_with(edge);
            if !valid {
                let message = format!("{} is not a valid account name", Quoted(name));
                place.problem(Rule::Name, message, "write 1 to 50 characters of ASCII");
            }
            check_first(name, &place, &mut names);
            Some(name)
        });
        let environment = fields.required("environment", "the name of the account's environment").and_then(|place| {
            let name = place.text()?;
            environments.check_has(name, &place, "environment");
            parsed_environments.iter().find(|environment| environment.name == name)
        });
        let open = fields.required("personas", "the personas that may deploy there").and_then(|place| {
            let open = some_texts(&place, "add a persona, or remove the account")?;
            for (place, persona) in &open {
                personas.check_has(persona, place, "persona");
            }
            Some(open.into_iter().map(|(_, persona)| persona.to_owned()).collect())
        });
        let repositories = fields.optional("repositories").and_then(|place| repositories(&place)).unwrap_or_default();
        if let (Some(id), Some(name), Some(environment), Some(personas)) = (id, name, environment, open) {
            let (name, environment) = (name.to_owned(), environment.clone());
            accounts.push(Account { id, name, environment, personas, repositories });
        }
    }
    Some(accounts)
}

fn repositories(list: &Place<'_>) -> Option<Vec<Repository>> {
    let items = list.items()?;
    if items.is_empty() {
        list.problem(
            Rule::Empty,
            "is empty",
            "add a repository, or leave the list out: then no proven run may deploy there",
        );
    }
    let mut known: Vec<Repository> = Vec::new();
    for place in items {
        let Some(repository) = repository(&place) else { continue };
        if known.iter().any(|other| other.is_the_same(&repository)) {
            place.problem(Rule::Repetition, format!("{repository} is in the list already"), "remove it");
        }
        known.push(repository);
    }
    Some(known)
}

fn repository(place: &Place<'_>) -> Option<Repository> {
    let fields = place.fields(&["provider", "issuer", "id", "name"])?;
    let provider = fields.required("provider", "github, gitlab or other").and_then(|place| {
        let name = place.text()?;
        let provider = Provider::named(name);
        if provider.is_none() {
            let remedy = "write github, gitlab or other, as the issuer has it in the deployment's configuration";
            place.problem(Rule::Repository, format!("{} is not a kind of issuer", Quoted(name)), remedy);
        }
        provider
    });
    let issuer = fields.optional("issuer").and_then(|place| {
        let url = place.text()?;
        let is_url = url.split_once("://").is_some_and(|(scheme, rest)| {
            matches!(scheme, "https" | "http") && !rest.is_empty() && url.bytes().all(|b| b.is_ascii_graphic())
        });
        if !is_url {
            let remedy = "write the issuer's URL exactly as its tokens have it in `iss`";
            place.problem(Rule::Repository, format!("{} is not a URL", Quoted(url)), remedy);
        }
        Some(url.to_owned())
    });
    let id = fields.optional("id").and_then(|place| Some((place.text()?, place)));
    let name = fields.required("name", "the repository's name, such as example/payments, for people to read")?;
    let pattern = name.text()?;
    let is_text = |text: &str| !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic());
    let numbered = provider.is_some_and(Provider::numbers_repositories);
    if let Some((id, place)) = &id {
        let fits = if numbered { id.bytes().all(|b| b.is_ascii_digit()) } else { true };
        if !is_text(id) || !fits {
            let remedy = "write the number that the issuer knows the repository by, in quotes";
            place.problem(Rule::Repository, format!("{} is not a valid repository id", Quoted(id)), remedy);
        }
    }
    // With an id the name is for people; without one, it is what counts.
    if !is_text(pattern) || (id.is_some() && pattern.contains(['*', '?'])) {
        let remedy =
            "write it as the issuer does, such as example/payments; * and ? are wildcards where there is no id";
        name.problem(Rule::Repository, format!("{} is not a valid repository name", Quoted(pattern)), remedy);
    } else if numbered && !could_have_owner(pattern) {
        let message = format!("{} matches no repository", Quoted(pattern));
        name.problem(Rule::Repository, message, "write it with its owner or group, such as example/payments");
    }
    Some(Repository::new(provider?, issuer, id.map(|(id, _)| id.to_owned()), pattern))
}

/// Whether a name, or one that the pattern matches, has an owner and a name of its own.
fn could_have_owner(pattern: &str) -> bool {
    pattern.contains('*') || pattern.split_once('/').is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty())
}
