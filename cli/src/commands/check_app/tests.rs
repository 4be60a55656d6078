//! Small folders of apps, and what is found in them.

use std::{os::unix::fs::symlink, process};

use super::*;
use crate::error::Kind;

/// A folder of this test's own, which is removed with this value.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn with(test: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("daypass-check-app-{}-{test}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self(folder)
    }

    /// What is printed of it, without the place of the folder.
    fn found(&self) -> String {
        let examined = examine(&self.0).unwrap();
        text(&self.0, &examined).replace(&self.0.display().to_string(), "DIR")
    }

    fn refused(&self) -> String {
        let error = examine(&self.0).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        error.line().replace(&self.0.display().to_string(), "DIR")
    }
}

const ROLES: &str = r#"
    "assumeRoleArn": "arn:${AWS::Partition}:iam::222222222222:role/cdk-hnb659fds-deploy-role-222222222222-us-east-1",
    "cloudFormationExecutionRoleArn": "arn:${AWS::Partition}:iam::222222222222:role/cdk-hnb659fds-cfn-exec-role-222222222222-us-east-1",
    "lookupRole": { "arn": "arn:${AWS::Partition}:iam::222222222222:role/cdk-hnb659fds-lookup-role-222222222222-us-east-1" },"#;

/// The manifest of an app with one stack, and its assets.
fn manifest(roles: &str) -> String {
    let artifacts = format!(
        r#"
  "Shop.assets": {{ "type": "cdk:asset-manifest", "properties": {{ "file": "Shop.assets.json" }} }},
  "Shop": {{ "type": "aws:cloudformation:stack", "environment": "aws://222222222222/us-east-1", "properties": {{ {roles}
    "templateFile": "Shop.template.json" }} }},
  "Tree": {{ "type": "cdk:tree", "properties": {{ "file": "tree.json" }} }}"#
    );
    format!(r#"{{ "version": "55.0.0", "artifacts": {{ {artifacts} }} }}"#)
}

/// An app with this template, and without roles of `cdk bootstrap`.
fn app(test: &str, resources: &str) -> Folder {
    Folder::with(
        test,
        &[
            ("cdk.out/manifest.json", &manifest("")),
            ("cdk.out/Shop.assets.json", "{}"),
            ("cdk.out/Shop.template.json", &format!("{{ \"Resources\": {{\n{resources}\n}} }}")),
        ],
    )
}

#[test]
fn the_roles_of_the_default_synthesizer_are_refused() {
    let assets = r#"{ "files": {
  "a": { "source": { "path": "Shop.template.json" }, "destinations": {
    "x": { "assumeRoleArn": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/cdk-hnb659fds-file-publishing-role-a" },
    "y": { "assumeRoleArn": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/cdk-hnb659fds-file-publishing-role-a" } } } },
 "dockerImages": { "b": { "destinations": {
    "x": { "assumeRoleArn": "arn:aws:iam::222222222222:role/cdk-hnb659fds-image-publishing-role-a" } } } } }"#;
    let folder = Folder::with(
        "default-synthesizer",
        &[
            ("cdk.out/manifest.json", &manifest(ROLES)),
            ("cdk.out/Shop.assets.json", assets),
            ("cdk.out/Shop.template.json", "{}"),
        ],
    );
    insta::assert_snapshot!(folder.found(), @r#"
    DIR/cdk.out/manifest.json:4:5: error [assume-role]
        Shop: the CDK CLI assumes the roles arn:*:iam::222222222222:role/cdk-hnb659fds-deploy-role-222222222222-us-east-1, arn:*:iam::222222222222:role/cdk-hnb659fds-lookup-role-222222222222-us-east-1; the boundary denies that (AssumeOwnRolesOnly)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`, or give the stack `synthesizer: new CliCredentialsStackSynthesizer()`
    DIR/cdk.out/manifest.json:5:5: error [pass-role]
        Shop: the CDK CLI passes the role arn:*:iam::222222222222:role/cdk-hnb659fds-cfn-exec-role-222222222222-us-east-1 to CloudFormation; the boundary does not allow that (OwnRoles)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`, or give the stack `synthesizer: new CliCredentialsStackSynthesizer()`, or deploy with `cdk deploy --role-arn` and a role below /fixed-for-daypass/
    DIR/cdk.out/Shop.assets.json:3:12: error [assume-role]
        files: the CDK CLI assumes the role arn:*:iam::*:role/cdk-hnb659fds-file-publishing-role-a; the boundary denies that (AssumeOwnRolesOnly)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`, or give the stack `synthesizer: new CliCredentialsStackSynthesizer()`
    DIR/cdk.out/Shop.assets.json:6:12: error [assume-role]
        dockerImages: the CDK CLI assumes the role arn:aws:iam::222222222222:role/cdk-hnb659fds-image-publishing-role-a; the boundary denies that (AssumeOwnRolesOnly)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`, or give the stack `synthesizer: new CliCredentialsStackSynthesizer()`
    DIR: 4 errors
    "#);
}

#[test]
fn an_app_that_deploys_as_the_deploy_role_has_no_findings() {
    let boundary = r#""PermissionsBoundary": { "Fn::Join": ["", ["arn:", { "Ref": "AWS::Partition" }, ":iam::",
        { "Ref": "AWS::AccountId" }, ":policy/daypass-workloads"]] }"#;
    let folder = app(
        "own-roles",
        &format!(
            r#""Role": {{ "Type": "AWS::IAM::Role", "Properties": {{ "Path": "/deployed-by-daypass/", {boundary} }} }},
               "Policy": {{ "Type": "AWS::IAM::Policy", "Properties": {{ "Roles": [{{ "Ref": "Role" }}] }} }},
               "Function": {{ "Type": "AWS::Lambda::Function",
                 "Properties": {{ "Role": {{ "Fn::GetAtt": ["Role", "Arn"] }} }} }},
               "Linked": {{ "Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": {{ "ServiceRoleARN":
                 "arn:aws:iam::222222222222:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling" }} }}"#
        ),
    );
    assert_eq!(folder.found(), "DIR: no findings\n");
}

#[test]
fn roles_and_people_of_a_template_are_judged() {
    let folder = app(
        "template",
        r#""Plain": { "Type": "AWS::IAM::Role", "Properties": { "PermissionsBoundary": { "Ref": "AWS::NoValue" } } },
"Other": { "Type": "AWS::IAM::Role", "Properties": { "Path": "/service-role/",
  "PermissionsBoundary": { "Fn::Sub": "arn:${AWS::Partition}:iam::444444444444:policy/daypass-workloads" } } },
"Asked": { "Type": "AWS::IAM::Role", "Properties": { "Path": { "Ref": "RolePath" },
  "PermissionsBoundary": { "Fn::Sub": ["arn:aws:iam::${Owner}:policy/${Name}", { "Owner": { "Ref": "AWS::AccountId" } }] } } },
"Maybe": { "Type": "AWS::IAM::User", "Condition": "HasUser" },
"Key": { "Type": "AWS::IAM::AccessKey", "Properties": { "UserName": "ci" } },
"Issuer": { "Type": "AWS::IAM::OIDCProvider" },
"Profile": { "Type": "AWS::IAM::InstanceProfile", "Properties": { "Roles": ["a"] } },
"Policy": { "Type": "AWS::IAM::Policy", "Properties": { "Groups": ["a"] } },
"Function": { "Type": "AWS::Lambda::Function", "Properties": { "Role": "arn:aws:iam::222222222222:role/lambda" } }"#,
    );
    insta::assert_snapshot!(folder.found(), @r#"
    DIR/cdk.out/Shop.template.json:2:1: error [role-path]
        Plain: its path is `/`; the boundary allows /deployed-by-daypass/ only (OwnRolesWithBoundary)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`: it gives every role the path and the boundary
    DIR/cdk.out/Shop.template.json:2:1: error [role-boundary]
        Plain: it has no permissions boundary; without it a role cannot be created (OwnRolesWithBoundary)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`: it gives every role the path and the boundary
    DIR/cdk.out/Shop.template.json:3:1: error [role-path]
        Other: its path is `/service-role/`; the boundary allows /deployed-by-daypass/ only (OwnRolesWithBoundary)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`: it gives every role the path and the boundary
    DIR/cdk.out/Shop.template.json:3:1: error [role-boundary]
        Other: its permissions boundary is arn:*:iam::444444444444:policy/daypass-workloads, and not the policy daypass-workloads of the account (OwnRolesWithBoundary)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`: it gives every role the path and the boundary
    DIR/cdk.out/Shop.template.json:5:1: note [cannot-be-told]
        Asked: its path is `*`, where * is known to the deployment only
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`: it gives every role the path and the boundary
    DIR/cdk.out/Shop.template.json:5:1: note [cannot-be-told]
        Asked: its permissions boundary is arn:aws:iam::222222222222:policy/*, where * is known to the deployment only
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`: it gives every role the path and the boundary
    DIR/cdk.out/Shop.template.json:7:1: note [cannot-be-told]
        Maybe: a deployment may not create AWS::IAM::User: the boundary does not allow that (Deploy), if its condition holds
        use a role instead, or have the platform team create it outside of the app
    DIR/cdk.out/Shop.template.json:8:1: error [identity]
        Key: a deployment may not create AWS::IAM::AccessKey: the boundary does not allow that (Deploy)
        use a role instead, or have the platform team create it outside of the app
    DIR/cdk.out/Shop.template.json:9:1: error [identity]
        Issuer: a deployment may not create AWS::IAM::OIDCProvider: the boundary does not allow that (Deploy)
        use a role instead, or have the platform team create it outside of the app
    DIR/cdk.out/Shop.template.json:10:1: error [policy-path]
        Profile: its path is `/`; the boundary allows /deployed-by-daypass/ only (OwnPoliciesAndProfiles)
        use `new DaypassApp()` of examples/cdk/daypass.ts instead of `new cdk.App()`: it gives every role the path and the boundary
    DIR/cdk.out/Shop.template.json:11:1: error [identity]
        Policy: a deployment may not create policies of users and groups: the boundary does not allow that (Deploy)
        use a role instead, or have the platform team create it outside of the app
    DIR/cdk.out/Shop.template.json:12:64: error [pass-role]
        Function: it passes the role arn:aws:iam::222222222222:role/lambda to a service; the boundary does not allow that (OwnRoles)
        let the app create the role, or have the platform team make it below /fixed-for-daypass/
    DIR: 9 errors, 3 notes
    "#);
}

#[test]
fn stages_and_nested_stacks_are_read() {
    let user = r#"{ "Resources": { "Ci": { "Type": "AWS::IAM::User" } } }"#;
    let stage = r#"{ "artifacts": { "assembly-Live": { "type": "cdk:cloud-assembly",
        "properties": { "directoryName": "assembly-Live" } } } }"#;
    let nested = r#"{ "files": { "a": { "source": { "path": "Nested.nested.template.json" }, "destinations": {} } } }"#;
    let folder = Folder::with(
        "stages",
        &[
            ("cdk.json", r#"{ "app": "x", "output": "build/assembly" }"#),
            ("build/assembly/manifest.json", stage),
            ("build/assembly/assembly-Live/manifest.json", &manifest("")),
            ("build/assembly/assembly-Live/Shop.assets.json", nested),
            ("build/assembly/assembly-Live/Shop.template.json", "{}"),
            ("build/assembly/assembly-Live/Nested.nested.template.json", user),
        ],
    );
    insta::assert_snapshot!(folder.found(), @r#"
    DIR/build/assembly/assembly-Live/Nested.nested.template.json:1:18: error [identity]
        Ci: a deployment may not create AWS::IAM::User: the boundary does not allow that (Deploy)
        use a role instead, or have the platform team create it outside of the app
    DIR: 1 error
    "#);
}

const TERRAFORM: &str = r#"
locals {
  path     = "/deployed-by-daypass/"
  boundary = "arn:aws:iam::${local.account}:policy/daypass-workloads"
  account  = data.aws_caller_identity.current.account_id
}

terraform {
  backend "s3" {
    bucket      = "state"
    profile     = "central"
    assume_role = { role_arn = "arn:aws:iam::444444444444:role/state" }
  }
}

provider "aws" {
  assume_role {
    role_arn = "arn:aws:iam::222222222222:role/deployed-by-daypass/eks"
  }
}

provider "aws" {
  alias = "other"
  assume_role { role_arn = var.role }
  assume_role_with_web_identity { role_arn = "arn:aws:iam::222222222222:role/ci" }
}

resource "aws_iam_role" "fine" {
  path                 = local.path
  permissions_boundary = local.boundary
}

resource "aws_iam_role" "plain" {
  name = "plain"
}

resource "aws_iam_role" "asked" {
  path                 = var.path
  permissions_boundary = null
}

resource "aws_iam_instance_profile" "web" {
  path = "/web/"
}

resource "aws_iam_user" "ci" {
  count = var.has_user ? 1 : 0
}

resource "aws_iam_access_key" "none" {
  count = 0
}

resource "aws_lambda_function" "a" {
  role = "arn:aws:iam::222222222222:role/lambda"
}

data "terraform_remote_state" "network" {
  backend = "s3"
  config  = { bucket = "state", role_arn = "arn:aws:iam::444444444444:role/state" }
}

module "local" {
  source = "./modules/local"
}

module "vpc" {
  source = "terraform-aws-modules/vpc/aws"
}
"#;

#[test]
fn terraform_is_judged() {
    let module = r#"{ "resource": [{ "aws_iam_policy": { "p": [{ "path": "${local.path}" }] } },
        { "aws_iam_group": { "g": {} } }], "locals": { "path": "/x/" } }"#;
    let folder = Folder::with("terraform", &[("main.tf", TERRAFORM), ("modules/local/main.tf.json", module)]);
    insta::assert_snapshot!(folder.found(), @r#"
    DIR/main.tf:11:5: error [other-credentials]
        terraform.backend.s3: `profile` names a profile of AWS, and the command that `daypass exec` runs has none
        remove it: `daypass exec` gives Terraform the credentials of the deploy role in its environment
    DIR/main.tf:12:21: error [assume-role]
        terraform.backend.s3: it assumes the role arn:aws:iam::444444444444:role/state; the boundary denies that (AssumeOwnRolesOnly)
        remove it, and let the policy of the state's bucket allow the deploy roles (docs/deployments-that-assume-roles.md)
    DIR/main.tf:18:5: note [trust-policy]
        provider.aws: the session that assumes arn:aws:iam::222222222222:role/deployed-by-daypass/eks has tags and a source identity, which it hands on; the role has to be in the account that is deployed to
        allow sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity in the trust policy of the role
    DIR/main.tf:24:17: note [cannot-be-told]
        provider.aws: it assumes the role *, where * is known to the deployment only
        remove it, so that the deploy role itself deploys; or have the platform team make a role below /fixed-for-daypass/ in the account that is deployed to
    DIR/main.tf:25:3: error [other-credentials]
        provider.aws: `assume_role_with_web_identity` takes a role by a token, and not as the deploy role; the command that `daypass exec` runs has no token
        remove it: `daypass exec` gives Terraform the credentials of the deploy role in its environment
    DIR/main.tf:33:25: error [role-path]
        aws_iam_role.plain: its path is `/`; the boundary allows /deployed-by-daypass/ only (OwnRolesWithBoundary)
        set `path = "/deployed-by-daypass/"`
    DIR/main.tf:33:25: error [role-boundary]
        aws_iam_role.plain: it has no permissions boundary; without it a role cannot be created (OwnRolesWithBoundary)
        set `permissions_boundary` to `arn:aws:iam::${data.aws_caller_identity.current.account_id}:policy/daypass-workloads`
    DIR/main.tf:37:25: error [role-boundary]
        aws_iam_role.asked: it has no permissions boundary; without it a role cannot be created (OwnRolesWithBoundary)
        set `permissions_boundary` to `arn:aws:iam::${data.aws_caller_identity.current.account_id}:policy/daypass-workloads`
    DIR/main.tf:38:3: note [cannot-be-told]
        aws_iam_role.asked: its path is `*`, where * is known to the deployment only
        set `path = "/deployed-by-daypass/"`
    DIR/main.tf:43:3: error [policy-path]
        aws_iam_instance_profile.web: its path is `/web/`; the boundary allows /deployed-by-daypass/ only (OwnPoliciesAndProfiles)
        set `path = "/deployed-by-daypass/"`
    DIR/main.tf:46:25: note [cannot-be-told]
        aws_iam_user.ci: a deployment may not create aws_iam_user: the boundary does not allow that (Deploy), if `count` is not 0
        use a role instead, or have the platform team create it outside of the app
    DIR/main.tf:55:3: error [pass-role]
        aws_lambda_function.a: `role` passes the role arn:aws:iam::222222222222:role/lambda to a service; the boundary does not allow that (OwnRoles)
        create the role here, or have the platform team make it below /fixed-for-daypass/
    DIR/main.tf:60:33: error [assume-role]
        data.terraform_remote_state.network: it assumes the role arn:aws:iam::444444444444:role/state; the boundary denies that (AssumeOwnRolesOnly)
        remove it, and let the policy of the state's bucket allow the deploy roles (docs/deployments-that-assume-roles.md)
    DIR/main.tf:67:8: note [cannot-be-told]
        module.vpc: the module from `terraform-aws-modules/vpc/aws` was not read: it is not a folder of this app
        check that its roles get the path /deployed-by-daypass/ and the boundary daypass-workloads: most modules have variables for both
    DIR/modules/local/main.tf.json:1:46: error [policy-path]
        aws_iam_policy.p: its path is `/x/`; the boundary allows /deployed-by-daypass/ only (OwnPoliciesAndProfiles)
        set `path = "/deployed-by-daypass/"`
    DIR/modules/local/main.tf.json:2:30: error [identity]
        aws_iam_group.g: a deployment may not create aws_iam_group: the boundary does not allow that (Deploy)
        use a role instead, or have the platform team create it outside of the app
    DIR: 11 errors, 5 notes
    "#);
}

#[test]
fn findings_are_one_object_with_a_report_for_each_file() {
    let folder = Folder::with("json", &[("main.tf", "resource \"aws_iam_group\" \"g\" {}\n")]);
    let json = as_json(Path::new("app"), &examine(&folder.0).unwrap());
    let mut json = serde_json::to_string_pretty(&json).unwrap();
    json = json.replace(&folder.0.display().to_string(), "DIR");
    insta::assert_snapshot!(json, @r#"
    {
      "folder": "app",
      "files": [
        {
          "file": "DIR/main.tf",
          "findings": [
            {
              "path": "aws_iam_group.g",
              "rule": "identity",
              "severity": "error",
              "message": "a deployment may not create aws_iam_group: the boundary does not allow that (Deploy)",
              "remedy": "use a role instead, or have the platform team create it outside of the app",
              "line": 1,
              "column": 26,
              "end_line": 1,
              "end_column": 29
            }
          ],
          "counts": {
            "errors": 1,
            "warnings": 0,
            "notes": 0
          }
        }
      ],
      "counts": {
        "errors": 1,
        "warnings": 0,
        "notes": 0
      }
    }
    "#);
}

#[test]
fn a_folder_without_an_app_names_what_is_missing() {
    let folder = Folder::with("empty", &[("README.md", "")]);
    insta::assert_snapshot!(folder.refused(), @r#"DIR has neither cdk.out nor .tf files (run `cdk synth` first; or give the folder that has cdk.out or the .tf files of the root module)"#);
    let folder = Folder::with("not-synthesized", &[("cdk.json", "{}"), ("main.tf", "")]);
    insta::assert_snapshot!(folder.refused(), @r#"DIR/cdk.out has no manifest.json: the CDK app is not synthesized (run `cdk synth` first)"#);
    let error = examine(Path::new("/missing")).unwrap_err();
    assert!(error.reason().starts_with("/missing: cannot be read"), "{error:?}");
}

#[test]
fn a_hostile_folder_is_an_error_with_the_name_of_the_file() {
    let deep = |open: &str, close: &str| format!("a = {}{}\n", open.repeat(10_000), close.repeat(10_000));
    let large = format!("# {}\n", "x".repeat(usize::try_from(MOST_HCL_BYTES).unwrap()));
    for (test, text) in [
        ("lists", deep("[", "]")),
        ("objects", deep("{ a = ", "}")),
        ("calls", deep("f(", ")")),
        ("templates", deep("\"${", "}\"")),
        ("operators", deep("!", "")),
        ("conditionals", deep("a ? ", " : b")),
        ("blocks", "a {\n".repeat(10_000)),
        ("large", large),
        ("broken", "resource {{{".to_owned()),
    ] {
        let folder = Folder::with(test, &[("main.tf", &text)]);
        let refused = folder.refused();
        assert!(refused.starts_with("DIR/main.tf: "), "{test}: {refused}");
    }
    let out = "cdk.out/manifest.json";
    for (test, manifest) in [
        ("not-json", "{"),
        ("no-manifest", "[]"),
        (
            "outside",
            r#"{ "artifacts": { "a": { "type": "aws:cloudformation:stack", "properties": { "templateFile": "../x" } } } }"#,
        ),
        (
            "absolute",
            r#"{ "artifacts": { "a": { "type": "cdk:cloud-assembly", "properties": { "directoryName": "/etc" } } } }"#,
        ),
        ("device", r#"{ "artifacts": { "a": { "type": "cdk:asset-manifest", "properties": { "file": "device" } } } }"#),
        (
            "missing",
            r#"{ "artifacts": { "a": { "type": "cdk:asset-manifest", "properties": { "file": "missing" } } } }"#,
        ),
    ] {
        let folder = Folder::with(test, &[(out, manifest)]);
        symlink("/dev/zero", folder.0.join("cdk.out/device")).unwrap();
        let refused = folder.refused();
        assert!(refused.starts_with("DIR/cdk.out/"), "{test}: {refused}");
    }
}

/// No template is that deep: the depth is not judged, and nothing recurses into it.
#[test]
fn deep_json_does_not_end_the_command() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let folder = app("deep", &format!(r#""User": {{ "Type": "AWS::IAM::User", "Properties": {{ "Tags": {deep} }} }}"#));
    assert!(folder.found().ends_with("DIR: 1 error\n"));
}

#[test]
fn links_that_lead_in_circles_end() {
    let call = "module \"again\" {\n  source = \"./again\"\n}\n";
    let folder = Folder::with("circle", &[("main.tf", call)]);
    symlink(".", folder.0.join("again")).unwrap();
    assert_eq!(folder.found(), "DIR: no findings\n");
    fs::remove_file(folder.0.join("main.tf")).unwrap();
    symlink("main.tf", folder.0.join("main.tf")).unwrap();
    assert!(folder.refused().starts_with("DIR/main.tf: cannot be read: "));
    let stage =
        r#"{ "artifacts": { "a": { "type": "cdk:cloud-assembly", "properties": { "directoryName": "again" } } } }"#;
    let folder = Folder::with("stages-in-a-circle", &[("cdk.out/manifest.json", stage)]);
    symlink(".", folder.0.join("cdk.out/again")).unwrap();
    assert_eq!(folder.found(), "DIR: no findings\n");
}

#[test]
fn names_that_move_a_cursor_are_escaped() {
    let folder = Folder::with("names", &[("a\u{1b}[2J.tf", "resource \"aws_iam_group\" \"\\u001b[2J\" {}\n")]);
    let found = folder.found();
    assert!(!found.contains('\u{1b}'), "{found:?}");
}

#[test]
fn every_rule_is_in_the_documentation() {
    let page = include_str!("../../../../docs/deployments-that-assume-roles.md");
    for rule in AppRule::ALL.map(AppRule::rule) {
        let row = format!("| `{}` | {} | {} |\n", rule.id, rule.severity.name(), rule.summary);
        assert!(page.contains(&row), "docs/deployments-that-assume-roles.md should have {row}");
    }
}
