//! A synthesized CDK app: the roles that the CDK CLI assumes and passes, and what the templates create.

use std::path::{Component, Path, PathBuf};

use daypass::{ids::AccountId, names::DEPLOYED_PATH, text::Quoted};

use super::{
    Files, MOST_JSON_BYTES, Notes, invalid, read,
    rule::AppRule,
    tree::{self, Node, Value},
    verdict::{self, BOUNDARIES, HOLE, MOST_CHARS, PARTLY, Verdict},
};
use crate::error::Error;

/// Stages are assemblies in assemblies.
const MOST_LEVELS: usize = 16;

const NO_ROLES: &str = "use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`, or give the stack \
                        `synthesizer: new CliCredentialsStackSynthesizer()`";
const OWN_ROLES: &str = "use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`: it gives every role \
                         the path and the boundary";

/// Properties by which resources name the role that their service gets.
const PASSED: [&str; 10] = [
    "Role",
    "RoleArn",
    "RoleARN",
    "ExecutionRoleArn",
    "ServiceRole",
    "ServiceRoleArn",
    "ServiceRoleARN",
    "TaskRoleArn",
    "DeliverLogsPermissionArn",
    "NodeRole",
];

/// What is found in the cloud assembly of a folder, or in the folder that is one. Whether there is one.
///
/// # Errors
/// When a file of it cannot be read, or the app is not synthesized.
pub fn examine(folder: &Path, files: &mut Files) -> Result<bool, Error> {
    let is_assembly = |folder: &Path| folder.join("manifest.json").is_file() && folder.join("cdk.out").is_file();
    if is_assembly(folder) {
        assembly(folder, files, MOST_LEVELS)?;
        return Ok(true);
    }
    let config = folder.join("cdk.json");
    let is_app = config.is_file();
    let output = if is_app { output_of(&config)? } else { None };
    let output = output.unwrap_or_else(|| folder.join("cdk.out"));
    if output.join("manifest.json").is_file() {
        assembly(&output, files, MOST_LEVELS)?;
        return Ok(true);
    }
    if is_app || output.exists() {
        let reason = format!("{} has no manifest.json: the CDK app is not synthesized", output.display());
        return Err(Error::usage(reason).remedy("run `cdk synth` first"));
    }
    Ok(false)
}

/// The folder that the app's configuration has `cdk synth` write to.
fn output_of(config: &Path) -> Result<Option<PathBuf>, Error> {
    let root = tree::json(&read(config, MOST_JSON_BYTES)?, Value::Text).map_err(|why| invalid(config, &why))?;
    Ok(root.text("output").map(|output| config.with_file_name(output)))
}

fn assembly(folder: &Path, files: &mut Files, levels: usize) -> Result<(), Error> {
    if !files.is_new(folder)? {
        return Ok(());
    }
    let manifest = folder.join("manifest.json");
    let source = read(&manifest, MOST_JSON_BYTES)?;
    let root = tree::json(&source, Value::Text).map_err(|why| invalid(&manifest, &why))?;
    if root.get("artifacts").is_none() {
        return Err(invalid(&manifest, "has no `artifacts`: it is not the manifest of a cloud assembly"));
    }
    let inside = |name: &str| inside(folder, name).ok_or_else(|| leads_out(&manifest, name));
    let artifacts = |kind: &'static str| {
        root.entries_of("artifacts").filter(move |(_, artifact)| artifact.text("type") == Some(kind))
    };
    let mut notes = Notes::default();
    for (id, artifact) in artifacts("aws:cloudformation:stack") {
        roles_of_stack(id, artifact, &mut notes);
    }
    files.add(&manifest, &source, notes);
    for (_, artifact) in artifacts("aws:cloudformation:stack") {
        if let Some(file) = artifact.get("properties").and_then(|properties| properties.text("templateFile")) {
            template(&inside(file)?, account_of(artifact), files)?;
        }
    }
    for (_, artifact) in artifacts("cdk:asset-manifest") {
        if let Some(file) = artifact.get("properties").and_then(|properties| properties.text("file")) {
            assets(folder, &inside(file)?, files)?;
        }
    }
    for (_, artifact) in artifacts("cdk:cloud-assembly") {
        let Some(name) = artifact.get("properties").and_then(|properties| properties.text("directoryName")) else {
            continue;
        };
        if levels == 0 {
            return Err(invalid(&manifest, &format!("has more than {MOST_LEVELS} assemblies in one another")));
        }
        assembly(&inside(name)?, files, levels - 1)?;
    }
    Ok(())
}

/// A file of the assembly; none that its name would lead to elsewhere.
fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let is_inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    is_inside.then(|| folder.join(name))
}

fn leads_out(manifest: &Path, name: &str) -> Error {
    invalid(manifest, &format!("names {}, which is outside of the cloud assembly", Quoted(name)))
}

/// The account of a stack's environment, such as `aws://222222222222/us-east-1`.
fn account_of(artifact: &Node) -> Option<&str> {
    let account = artifact.text("environment")?.strip_prefix("aws://")?.split('/').next()?;
    account.parse::<AccountId>().is_ok().then_some(account)
}

fn roles_of_stack(id: &str, artifact: &Node, notes: &mut Notes) {
    let Some(properties) = artifact.get("properties") else { return };
    let account = account_of(artifact);
    let lookup = properties.get("lookupRole").and_then(|role| role.get("arn"));
    assumed(id, [properties.get("assumeRoleArn"), lookup].into_iter().flatten(), account, notes);
    let Some(node) = properties.get("cloudFormationExecutionRoleArn") else { return };
    let arn = resolved(node, account).unwrap_or_default();
    let shown = verdict::shown(&arn);
    match verdict::passed(&arn, account) {
        Verdict::Allowed => {}
        Verdict::Refused => notes.add(
            AppRule::PassRole,
            &node.at,
            id,
            format!(
                "the CDK CLI passes the role {shown} to CloudFormation; the boundary does not allow that (OwnRoles)"
            ),
            format!("{NO_ROLES}, or deploy with `cdk deploy --role-arn` and a role below /fixed-for-daypass/"),
        ),
        Verdict::Unknown => {
            let message = format!("the CDK CLI passes the role {shown} to CloudFormation, {PARTLY}");
            notes.add(AppRule::CannotBeTold, &node.at, id, message, NO_ROLES);
        }
    }
}

/// The roles that the CDK CLI assumes for one artifact: each name is reported once.
fn assumed<'n>(id: &str, roles: impl Iterator<Item = &'n Node>, account: Option<&str>, notes: &mut Notes) {
    let mut refused: Vec<(&Node, String)> = Vec::new();
    for node in roles {
        let arn = resolved(node, account).unwrap_or_default();
        let shown = verdict::shown(&arn);
        match verdict::assumed(&arn, account) {
            Verdict::Allowed => trust_policy(notes, node, id, &shown),
            Verdict::Unknown => {
                let message = format!("the CDK CLI assumes the role {shown}, {PARTLY}");
                notes.add(AppRule::CannotBeTold, &node.at, id, message, NO_ROLES);
            }
            Verdict::Refused if refused.iter().any(|(_, other)| *other == shown) => {}
            Verdict::Refused => refused.push((node, shown)),
        }
    }
    let Some((first, _)) = refused.first() else { return };
    let names = refused.iter().map(|(_, shown)| shown.as_str()).collect::<Vec<_>>().join(", ");
    let plural = if refused.len() == 1 { "role" } else { "roles" };
    let message = format!("the CDK CLI assumes the {plural} {names}; the boundary denies that (AssumeOwnRolesOnly)");
    notes.add(AppRule::AssumeRole, &first.at, id, message, NO_ROLES);
}

/// What an allowed role still needs.
fn trust_policy(notes: &mut Notes, node: &Node, path: &str, arn: &str) {
    notes.add(
        AppRule::TrustPolicy,
        &node.at,
        path,
        format!("the session that assumes {arn} has tags and a source identity, which it hands on"),
        "allow sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity in the trust policy of the role",
    );
}

/// The manifest of assets: who uploads them, and the templates of nested stacks among them.
fn assets(folder: &Path, file: &Path, files: &mut Files) -> Result<(), Error> {
    if !files.is_new(file)? {
        return Ok(());
    }
    let source = read(file, MOST_JSON_BYTES)?;
    let root = tree::json(&source, Value::Text).map_err(|why| invalid(file, &why))?;
    let mut notes = Notes::default();
    for kind in ["files", "dockerImages"] {
        let destinations = root.entries_of(kind).flat_map(|(_, asset)| asset.entries_of("destinations"));
        let roles = destinations.filter_map(|(_, destination)| destination.get("assumeRoleArn"));
        assumed(kind, roles, None, &mut notes);
    }
    files.add(file, &source, notes);
    for (_, asset) in root.entries_of("files") {
        let Some(name) = asset.get("source").and_then(|source| source.text("path")) else { continue };
        if name.ends_with(".template.json") {
            template(&inside(folder, name).ok_or_else(|| leads_out(file, name))?, None, files)?;
        }
    }
    Ok(())
}

/// What a template creates.
fn template(file: &Path, account: Option<&str>, files: &mut Files) -> Result<(), Error> {
    if !files.is_new(file)? {
        return Ok(());
    }
    let source = read(file, MOST_JSON_BYTES)?;
    let root = tree::json(&source, Value::Text).map_err(|why| invalid(file, &why))?;
    let mut notes = Notes::default();
    for (id, resource) in root.entries_of("Resources") {
        let mut found = Notes::default();
        self::resource(id, resource, account, &mut found);
        if resource.get("Condition").is_some() {
            found.doubt("if its condition holds");
        }
        notes.0.append(&mut found.0);
    }
    files.add(file, &source, notes);
    Ok(())
}

fn resource(id: &str, resource: &Node, account: Option<&str>, notes: &mut Notes) {
    let Some(kind) = resource.text("Type") else { return };
    let property =
        |name: &str| resource.get("Properties").and_then(|all| all.get(name)).and_then(|node| resolved(node, account));
    match kind {
        "AWS::IAM::Role" => {
            path(AppRule::RolePath, "OwnRolesWithBoundary", id, resource, property("Path"), notes);
            boundary(id, resource, property("PermissionsBoundary").as_deref(), account, notes);
        }
        "AWS::IAM::ManagedPolicy" | "AWS::IAM::InstanceProfile" => {
            path(AppRule::PolicyPath, "OwnPoliciesAndProfiles", id, resource, property("Path"), notes);
        }
        // Inline policies of roles, and roles that AWS itself defines.
        "AWS::IAM::RolePolicy" | "AWS::IAM::ServiceLinkedRole" => {}
        "AWS::IAM::Policy" => {
            let of_people = |key: &&str| resource.get("Properties").is_some_and(|all| all.get(key).is_some());
            if ["Users", "Groups"].iter().any(of_people) {
                identity(id, resource, "policies of users and groups", notes);
            }
        }
        _ if kind.starts_with("AWS::IAM::") => identity(id, resource, kind, notes),
        _ => {
            for (name, node) in resource.get("Properties").map_or(&[][..], Node::entries) {
                if PASSED.contains(&name.as_str()) {
                    passed(id, node, account, notes);
                }
            }
        }
    }
}

/// Only a role that the file names is judged: others are mostly roles of the same template.
fn passed(id: &str, node: &Node, account: Option<&str>, notes: &mut Notes) {
    let Some(arn) = resolved(node, account).filter(|arn| arn.starts_with("arn:")) else { return };
    if verdict::passed(&arn, account) == Verdict::Refused && arn.contains(":role/") {
        let message = format!(
            "it passes the role {} to a service; the boundary does not allow that (OwnRoles)",
            verdict::shown(&arn)
        );
        let remedy = "let the app create the role, or have the platform team make it below /fixed-for-daypass/";
        notes.add(AppRule::PassRole, &node.at, id, message, remedy);
    }
}

fn path(rule: AppRule, statement: &str, id: &str, node: &Node, path: Option<String>, notes: &mut Notes) {
    let path = path.unwrap_or_else(|| "/".to_owned());
    let found = match verdict::created(&path) {
        Verdict::Allowed => return,
        Verdict::Refused => {
            (rule, format!("its path is {}; the boundary allows {DEPLOYED_PATH} only ({statement})", Quoted(&path)))
        }
        Verdict::Unknown => {
            (AppRule::CannotBeTold, format!("its path is {}, {PARTLY}", Quoted(&verdict::shown(&path))))
        }
    };
    notes.add(found.0, &node.at, id, found.1, OWN_ROLES);
}

fn boundary(id: &str, node: &Node, arn: Option<&str>, account: Option<&str>, notes: &mut Notes) {
    let found = match arn {
        None => (
            AppRule::RoleBoundary,
            "it has no permissions boundary; without it a role cannot be created (OwnRolesWithBoundary)".to_owned(),
        ),
        Some(arn) => match verdict::bounded(arn, account) {
            Verdict::Allowed => return,
            Verdict::Refused => (
                AppRule::RoleBoundary,
                format!(
                    "its permissions boundary is {}, and not the policy {} of the account (OwnRolesWithBoundary)",
                    verdict::shown(arn),
                    BOUNDARIES[0]
                ),
            ),
            Verdict::Unknown => {
                (AppRule::CannotBeTold, format!("its permissions boundary is {}, {PARTLY}", verdict::shown(arn)))
            }
        },
    };
    notes.add(found.0, &node.at, id, found.1, OWN_ROLES);
}

fn identity(id: &str, node: &Node, what: &str, notes: &mut Notes) {
    let message = format!("a deployment may not create {what}: the boundary does not allow that (Deploy)");
    let remedy = "use a role instead, or have the platform team create it outside of the app";
    notes.add(AppRule::Identity, &node.at, id, message, remedy);
}

/// The text of a value; with holes where only the deployment knows it. None for `AWS::NoValue`.
fn resolved(node: &Node, account: Option<&str>) -> Option<String> {
    let hole = || Some(HOLE.to_string());
    let entries = match &node.value {
        Value::Text(text) => return Some(pseudo(text, account, |_| None)),
        Value::Object(entries) => entries,
        _ => return hole(),
    };
    let [(function, argument)] = entries.as_slice() else { return hole() };
    let text = match (function.as_str(), &argument.value) {
        ("Ref", Value::Text(name)) => match name.as_str() {
            "AWS::NoValue" => return None,
            "AWS::AccountId" => account.map_or_else(|| HOLE.to_string(), str::to_owned),
            _ => HOLE.to_string(),
        },
        ("Fn::Sub", Value::Text(text)) => pseudo(text, account, |_| None),
        ("Fn::Sub", Value::List(items)) => match items.as_slice() {
            [Node { value: Value::Text(text), .. }, variables] => {
                let values: Vec<(&str, String)> = variables
                    .entries()
                    .iter()
                    .map(|(name, node)| (name.as_str(), resolved(node, account).unwrap_or_else(|| HOLE.to_string())))
                    .collect();
                let value =
                    |name: &str| values.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
                pseudo(text, account, value)
            }
            _ => HOLE.to_string(),
        },
        ("Fn::Join", Value::List(items)) => match items.as_slice() {
            [Node { value: Value::Text(separator), .. }, Node { value: Value::List(parts), .. }] => {
                let parts: Vec<String> = parts.iter().filter_map(|part| resolved(part, account)).collect();
                parts.join(separator)
            }
            _ => HOLE.to_string(),
        },
        _ => HOLE.to_string(),
    };
    Some(if text.len() > MOST_CHARS { HOLE.to_string() } else { text })
}

/// A text in which `${…}` is replaced: in `Fn::Sub`, and in the manifest for the account and the like.
fn pseudo(text: &str, account: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, (name, after))) = rest.split_once("${").and_then(|(a, b)| Some((a, b.split_once('}')?))) {
        whole.push_str(before);
        match name.strip_prefix('!') {
            Some(literal) => whole.extend(["${", literal, "}"]),
            None => match (variable(name), name, account) {
                (Some(value), ..) => whole.push_str(&value),
                (None, "AWS::AccountId", Some(account)) => whole.push_str(account),
                _ => whole.push(HOLE),
            },
        }
        rest = after;
        if whole.len() > MOST_CHARS {
            return HOLE.to_string();
        }
    }
    whole + rest
}
