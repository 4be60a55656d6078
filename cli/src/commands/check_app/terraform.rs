//! A root module of Terraform, with the modules that it names by a path: whose credentials it uses, and what it creates.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use daypass::{names::DEPLOYED_PATH, text::Quoted};

use super::{
    Files, MOST_HCL_BYTES, MOST_JSON_BYTES, Notes, invalid, read,
    rule::AppRule,
    tree::{self, Node, Part, Value},
    unreadable,
    verdict::{self, BOUNDARIES, HOLE, MOST_CHARS, PARTLY, Verdict},
};
use crate::error::Error;

/// How often local values are put into one another.
const MOST_LEVELS: usize = 8;

const OWN_CREDENTIALS: &str =
    "remove it: `daypass exec` gives Terraform the credentials of the deploy role in its environment";
const OTHER_ROLES: &str = "remove it, so that the deploy role itself deploys; or have the platform team make a role below \
                           /fixed-for-daypass/ in the account that is deployed to";
const STATE: &str = "remove it, and let the policy of the state's bucket allow the deploy roles \
                     (docs/deployments-that-assume-roles.md)";

/// Arguments of a provider or of a state by which it uses other credentials than those of its environment.
const CREDENTIALS: [&str; 6] = [
    "profile",
    "access_key",
    "shared_credentials_files",
    "shared_credentials_file",
    "shared_config_files",
    "assume_role_with_web_identity",
];

/// Resources of IAM that a deployment may have, if their paths are right.
const ALLOWED: [&str; 6] = [
    "aws_iam_role_policy",
    "aws_iam_role_policy_attachment",
    "aws_iam_role_policies_exclusive",
    "aws_iam_role_policy_attachments_exclusive",
    "aws_iam_policy_attachment",
    "aws_iam_service_linked_role",
];

/// Arguments by which resources name the role that their service gets.
const PASSED: [&str; 8] = [
    "role",
    "role_arn",
    "iam_role_arn",
    "execution_role_arn",
    "task_role_arn",
    "service_role",
    "service_role_arn",
    "node_role_arn",
];

/// What is found in the Terraform files of a folder. Whether there are any.
///
/// # Errors
/// When a file of them cannot be read.
pub fn examine(folder: &Path, files: &mut Files) -> Result<bool, Error> {
    if sources(folder)?.is_empty() {
        return Ok(false);
    }
    let mut modules = vec![folder.to_owned()];
    while let Some(folder) = modules.pop() {
        module(&folder, &mut modules, files)?;
    }
    Ok(true)
}

/// The files of a module, in the order of their names.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let wrong = |error: std::io::Error| unreadable(folder, &error.to_string());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        // Terraform ignores what editors leave.
        if ends(&[".tf", ".tofu", ".tf.json", ".tofu.json"]) && !name.starts_with('.') {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Judges the files of one module, and adds the modules that it names to `modules`.
fn module(folder: &Path, modules: &mut Vec<PathBuf>, files: &mut Files) -> Result<(), Error> {
    let mut parsed = Vec::new();
    for file in sources(folder)? {
        if files.is_new(&file)? {
            let is_json = file.extension().is_some_and(|extension| extension == "json");
            let source = read(&file, if is_json { MOST_JSON_BYTES } else { MOST_HCL_BYTES })?;
            let root = if is_json { tree::json(&source, tree::template) } else { tree::hcl(&source) };
            let root = root.map_err(|why| invalid(&file, &why))?;
            parsed.push((file, source, root));
        }
    }
    let locals = locals(parsed.iter().map(|(_, _, root)| root));
    for (file, source, root) in &parsed {
        let mut judge = Judge { locals: &locals, notes: Notes::default() };
        judge.file(root);
        for (name, call) in root.entries_of("module") {
            match call.text("source") {
                Some(path) if path.starts_with("./") || path.starts_with("../") => {
                    let path = folder.join(path.trim_start_matches("./"));
                    if !path.is_dir() {
                        let why = format!("module {} is not in {}", Quoted(name), path.display());
                        return Err(invalid(file, &why));
                    }
                    modules.push(path);
                }
                other => {
                    let from = other.map_or_else(String::new, |path| format!(" from {}", Quoted(path)));
                    let message = format!("the module{from} was not read: it is not a folder of this app");
                    let remedy = format!(
                        "check that its roles get the path {DEPLOYED_PATH} and the boundary {}: most modules have variables \
                         for both",
                        BOUNDARIES[0]
                    );
                    judge.notes.add(AppRule::CannotBeTold, &call.at, &format!("module.{name}"), message, remedy);
                }
            }
        }
        files.add(file, source, judge.notes);
    }
    Ok(())
}

/// The local values of a module that are texts.
fn locals<'n>(roots: impl Iterator<Item = &'n Node>) -> BTreeMap<&'n str, String> {
    let all: Vec<_> = roots.flat_map(|root| root.entries_of("locals")).collect();
    let mut known = BTreeMap::new();
    for _ in 0..MOST_LEVELS {
        let more: Vec<_> = all
            .iter()
            .filter(|(name, _)| !known.contains_key(name))
            .filter_map(|(name, node)| Some((*name, rendered(&node.value, |local| known.get(local).cloned())?)))
            .collect();
        if more.is_empty() {
            break;
        }
        known.extend(more);
    }
    known
}

/// A text, with holes where only Terraform knows it; None if it has a local value that is not known.
fn rendered(value: &Value, local: impl Fn(&str) -> Option<String>) -> Option<String> {
    let parts = match value {
        Value::Text(text) => return Some(text.clone()),
        Value::Template(parts) => parts,
        _ => return Some(HOLE.to_string()),
    };
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(more) => text.push_str(more),
            Part::Local(name) => text.push_str(&local(name)?),
            Part::Unknown => text.push(HOLE),
        }
        if text.len() > MOST_CHARS {
            return Some(HOLE.to_string());
        }
    }
    Some(text)
}

struct Judge<'a> {
    locals: &'a BTreeMap<&'a str, String>,
    notes: Notes,
}

impl Judge<'_> {
    fn file(&mut self, root: &Node) {
        for provider in root.all("provider") {
            for provider in provider.all("aws") {
                self.credentials("provider.aws", provider, OTHER_ROLES);
            }
        }
        for terraform in root.all("terraform") {
            for (_, backend) in terraform.entries_of("backend").filter(|(kind, _)| *kind == "s3") {
                self.state("terraform.backend.s3", backend);
            }
        }
        for (_, states) in root.entries_of("data").filter(|(kind, _)| *kind == "terraform_remote_state") {
            for (name, state) in states.entries() {
                for config in state.all("config").filter(|_| state.text("backend") == Some("s3")) {
                    self.state(&format!("data.terraform_remote_state.{name}"), config);
                }
            }
        }
        for (kind, resources) in root.entries_of("resource") {
            for (name, resource) in resources.entries() {
                for resource in resource.items() {
                    self.resource(kind, name, resource);
                }
            }
        }
    }

    fn text(&self, node: &Node) -> String {
        rendered(&node.value, |name| self.locals.get(name).cloned()).unwrap_or_else(|| HOLE.to_string())
    }

    /// The state of Terraform: a backend has the role as an argument of its own, too, in older versions.
    fn state(&mut self, path: &str, config: &Node) {
        if config.get("role_arn").is_some() {
            self.assumed(path, config, STATE);
        }
        self.credentials(path, config, STATE);
    }

    fn credentials(&mut self, path: &str, config: &Node, remedy: &str) {
        for role in config.all("assume_role") {
            self.assumed(path, role, remedy);
        }
        for key in CREDENTIALS {
            let Some(node) =
                config.get(key).filter(|node| !matches!(&node.value, Value::Text(text) if text.is_empty()))
            else {
                continue;
            };
            let why = match key {
                "profile" => "names a profile of AWS, and the command that `daypass exec` runs has none",
                "access_key" => "is a key of somebody else, who would deploy instead of the deploy role",
                "assume_role_with_web_identity" => {
                    "takes a role by a token, and not as the deploy role; the command that `daypass exec` runs has no token"
                }
                _ => "names files with credentials of somebody else, who would deploy instead of the deploy role",
            };
            self.notes.add(AppRule::OtherCredentials, &node.at, path, format!("`{key}` {why}"), OWN_CREDENTIALS);
        }
    }

    fn assumed(&mut self, path: &str, role: &Node, remedy: &str) {
        let node = role.get("role_arn").unwrap_or(role);
        let arn = self.text(node);
        let shown = verdict::shown(&arn);
        match verdict::assumed(&arn, None) {
            // An empty text is none.
            _ if arn.is_empty() => {}
            Verdict::Allowed => self.notes.add(
                AppRule::TrustPolicy,
                &node.at,
                path,
                format!(
                    "the session that assumes {shown} has tags and a source identity, which it hands on; the role has to \
                     be in the account that is deployed to"
                ),
                "allow sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity in the trust policy of the role",
            ),
            Verdict::Refused => self.notes.add(
                AppRule::AssumeRole,
                &node.at,
                path,
                format!("it assumes the role {shown}; the boundary denies that (AssumeOwnRolesOnly)"),
                remedy,
            ),
            Verdict::Unknown => {
                self.notes.add(AppRule::CannotBeTold, &node.at, path, format!("it assumes the role {shown}, {PARTLY}"), remedy);
            }
        }
    }

    fn resource(&mut self, kind: &str, name: &str, resource: &Node) {
        let count = resource.get("count");
        if count.is_some_and(|count| matches!(&count.value, Value::Scalar(number) if number == "0")) {
            return;
        }
        let mut found = Judge { locals: self.locals, notes: Notes::default() };
        found.created(kind, &format!("{kind}.{name}"), resource);
        if count.is_some_and(|count| !matches!(&count.value, Value::Scalar(_))) {
            found.notes.doubt("if `count` is not 0");
        }
        self.notes.0.append(&mut found.notes.0);
    }

    fn created(&mut self, kind: &str, path: &str, resource: &Node) {
        match kind {
            "aws_iam_role" => {
                self.path(AppRule::RolePath, "OwnRolesWithBoundary", path, resource);
                self.boundary(path, resource);
            }
            "aws_iam_policy" | "aws_iam_instance_profile" => {
                self.path(AppRule::PolicyPath, "OwnPoliciesAndProfiles", path, resource);
            }
            "aws_iam_policy_attachment" if ["users", "groups"].iter().any(|key| resource.get(key).is_some()) => {
                self.identity("policies of users and groups", path, resource);
            }
            _ if ALLOWED.contains(&kind) => {}
            _ if kind.starts_with("aws_iam_") => self.identity(kind, path, resource),
            _ if kind.starts_with("aws_") => self.passed(path, resource),
            _ => {}
        }
    }

    fn path(&mut self, rule: AppRule, statement: &str, path: &str, resource: &Node) {
        let text = resource.get("path").map_or_else(|| "/".to_owned(), |node| self.text(node));
        let (rule, message) = match verdict::created(&text) {
            Verdict::Allowed => return,
            Verdict::Refused => {
                (rule, format!("its path is {}; the boundary allows {DEPLOYED_PATH} only ({statement})", Quoted(&text)))
            }
            Verdict::Unknown => {
                (AppRule::CannotBeTold, format!("its path is {}, {PARTLY}", Quoted(&verdict::shown(&text))))
            }
        };
        let at = &resource.get("path").unwrap_or(resource).at;
        self.notes.add(rule, at, path, message, format!("set `path = \"{DEPLOYED_PATH}\"`"));
    }

    fn boundary(&mut self, path: &str, resource: &Node) {
        let arn = resource.get("permissions_boundary").map(|node| (node, self.text(node)));
        let (rule, at, message) = match &arn {
            None => (
                AppRule::RoleBoundary,
                &resource.at,
                "it has no permissions boundary; without it a role cannot be created (OwnRolesWithBoundary)".to_owned(),
            ),
            Some((node, arn)) => {
                let shown = verdict::shown(arn);
                match verdict::bounded(arn, None) {
                    Verdict::Allowed => return,
                    Verdict::Refused => (
                        AppRule::RoleBoundary,
                        &node.at,
                        format!(
                            "its permissions boundary is {shown}, and not the policy {} of the account \
                             (OwnRolesWithBoundary)",
                            BOUNDARIES[0]
                        ),
                    ),
                    Verdict::Unknown => {
                        (AppRule::CannotBeTold, &node.at, format!("its permissions boundary is {shown}, {PARTLY}"))
                    }
                }
            }
        };
        let remedy = format!(
            "set `permissions_boundary` to `arn:aws:iam::${{data.aws_caller_identity.current.account_id}}:policy/{}`",
            BOUNDARIES[0]
        );
        self.notes.add(rule, at, path, message, remedy);
    }

    fn identity(&mut self, what: &str, path: &str, resource: &Node) {
        self.notes.add(
            AppRule::Identity,
            &resource.at,
            path,
            format!("a deployment may not create {what}: the boundary does not allow that (Deploy)"),
            "use a role instead, or have the platform team create it outside of the app",
        );
    }

    /// Only a role that the file names is judged: others are mostly roles of the same module.
    fn passed(&mut self, path: &str, resource: &Node) {
        for (key, node) in resource.entries().iter().filter(|(key, _)| PASSED.contains(&key.as_str())) {
            let arn = self.text(node);
            let is_role = arn.starts_with("arn:") && arn.contains(":role/");
            if is_role && verdict::passed(&arn, None) == Verdict::Refused {
                self.notes.add(
                    AppRule::PassRole,
                    &node.at,
                    path,
                    format!(
                        "`{key}` passes the role {} to a service; the boundary does not allow that (OwnRoles)",
                        verdict::shown(&arn)
                    ),
                    "create the role here, or have the platform team make it below /fixed-for-daypass/",
                );
            }
        }
    }
}
