//! `daypass shield`: what lends a deployment more strength than its boundary leaves, and the tag that keeps deployments from it.

use std::{
    io::{self, BufRead, IsTerminal},
    process::ExitCode,
};

use aws_types::region::Region;
use daypass::text::plain;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use self::{
    account::Account,
    plan::{Item, Place, Plan, Shield, Step, TAG},
};
use crate::{
    client::aws,
    context::{Context, block_on},
    error::{Error, Kind},
    output::Output,
};

pub mod account;
pub mod plan;

/// Updates of stacks at a time.
const UPDATES: usize = 4;

/// What follows `daypass shield`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show what lends deployments a stronger role
    #[command(after_help = PLAN_HELP)]
    Plan(Args),
    /// Set the tag that keeps deployments from it
    #[command(after_help = APPLY_HELP)]
    Apply(ApplyArgs),
}

const PLAN_HELP: &str = "\
Run it as an administrator of a target account, in each region that the account uses, before the first \
deployment there. A role is stronger if its policies let it do something of a known way to more rights that \
the permissions boundary of deployments refuses. What cannot be read counts as stronger.

The credentials need cloudformation:DescribeStacks; lambda:ListFunctions, ListTags; codebuild:ListProjects, \
BatchGetProjects; states:ListStateMachines, DescribeStateMachine, ListTagsForResource; \
iam:ListInstanceProfiles, ListInstanceProfileTags, GetRole, ListAttachedRolePolicies, ListRolePolicies, \
GetRolePolicy, GetPolicy, GetPolicyVersion.

Exit codes: 0 nothing is left to shield; 1 something is, or could not be looked at; 2 wrong usage; 70 or 75 \
failed.";

const APPLY_HELP: &str = "\
The tag is `daypass:protected` = `true`. A stack is updated with its own template, parameters and role. CloudFormation gives the tags of a stack to its \
resources: deployments can no longer touch these either. What is tagged already is not touched. Instances are \
tagged by hand: `daypass shield plan` prints the commands.

Beside what `plan` needs, the credentials need cloudformation:UpdateStack, lambda:TagResource, \
codebuild:UpdateProject and states:TagResource; CodeBuild also asks for iam:PassRole of the project's role.

Exit codes: 0 everything is shielded; 1 something is left to do by hand; 2 wrong usage; 70 something could not \
be shielded; 75 try again.";

/// Which account and region.
#[derive(clap::Args)]
pub struct Args {
    /// An AWS profile of an administrator of the target account [default: the current credentials]
    #[arg(long, value_name = "NAME")]
    target_profile: Option<String>,
    /// The region to look at [default: that of the profile or of the `aws` command]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

/// What may be done.
#[derive(clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    args: Args,
    /// Shield only the resource of this ARN; may be repeated
    #[arg(long, value_name = "ARN")]
    only: Vec<String>,
    /// Shield without asking
    #[arg(long)]
    yes: bool,
}

pub fn run(command: &Command, context: &Context) -> Result<ExitCode, Error> {
    let (Command::Plan(args) | Command::Apply(ApplyArgs { args, .. })) = command;
    block_on(async {
        let account = args.account().await?;
        match command {
            Command::Plan(_) => plan(&account, &context.output).await,
            Command::Apply(args) => apply(args, &account, &context.output).await,
        }
    })
}

impl Args {
    async fn account(&self) -> Result<Account, Error> {
        let mut config = aws::of_profile(self.target_profile.as_deref(), None, &aws::connector()?).await;
        if let Some(region) = &self.region {
            config = config.into_builder().region(Region::new(region.clone())).build();
        }
        Account::of(&config).await
    }
}

async fn read(account: &Account, output: &Output) -> Plan {
    let place = account.place();
    let progress = output.progress(&format!("reading what runs in {} in {}", place.account, place.region));
    Plan::of(&account.facts(|what| progress.goes_on(what)).await)
}

async fn plan(account: &Account, output: &Output) -> Result<ExitCode, Error> {
    let plan = read(account, output).await;
    output.result(&text(&plan), &as_json(&plan))?;
    Ok(if plan.is_done() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What has become of the items that were to be shielded.
#[derive(Default)]
struct Outcome<'a> {
    shielded: Vec<&'a Item>,
    failed: Vec<(&'a Item, String)>,
    /// With why it was not done here.
    left: Vec<(&'a Item, &'a str)>,
}

async fn apply(args: &ApplyArgs, account: &Account, output: &Output) -> Result<ExitCode, Error> {
    let plan = read(account, output).await;
    let is_in_plan = |arn: &&String| plan.items.iter().any(|item| item.lender.arn == **arn);
    if let Some(stranger) = args.only.iter().find(|arn| !is_in_plan(arn)) {
        return Err(Error::usage(format!("{stranger} lends no strength here; nothing was changed"))
            .remedy("`daypass shield plan` shows what can be named with --only"));
    }
    let chosen: Vec<_> =
        plan.left().filter(|item| args.only.is_empty() || args.only.contains(&item.lender.arn)).collect();
    let work: Vec<_> =
        chosen.iter().copied().filter(|item| !matches!(item.step, Step::Nothing | Step::ByHand(_))).collect();
    if !work.is_empty() && !args.yes {
        confirm(&work)?;
    }
    let mut outcome = shield_all(&work, account, output).await;
    outcome.left.extend(chosen.iter().filter_map(|item| match &item.step {
        Step::ByHand(why) => Some((*item, why.as_str())),
        _ => None,
    }));
    let unread = if args.only.is_empty() { plan.unread.as_slice() } else { &[] };
    let printed = output.result(&text_of(&outcome, &plan, unread), &json_of(&outcome, &plan, unread))?;
    match outcome.failed.len() {
        0 if outcome.left.is_empty() && unread.is_empty() => Ok(printed),
        0 => Ok(ExitCode::from(1)),
        failed => Err(Error::new(
            Kind::Failed,
            format!("{failed} of {} could not be shielded", counted(work.len(), "resource")),
        )
        .remedy("correct what the result says of each, and run it again: what is shielded is not touched again")),
    }
}

/// One that fails does not keep the others from being shielded.
async fn shield_all<'a>(work: &[&'a Item], account: &Account, output: &Output) -> Outcome<'a> {
    let mut outcome = Outcome::default();
    let mut note = |item: &'a Item, done: Result<(), String>| match done {
        Ok(()) => {
            output.note(&format!("shielded {}", described(item)));
            outcome.shielded.push(item);
        }
        Err(why) => {
            output.note(&format!("{} is not shielded: {why}", described(item)));
            outcome.failed.push((item, why));
        }
    };
    for item in work.iter().copied().filter(|item| item.step == Step::Tag) {
        note(item, account.tag(&item.lender).await.map_err(|error| Error::from(error).reason().to_owned()));
    }
    let stacks: Vec<_> = work.iter().copied().filter(|item| item.step == Step::Update).collect();
    if !stacks.is_empty() {
        let progress = output.progress(&format!("updating {}", counted(stacks.len(), "stack")));
        let updates = stream::iter(&stacks).map(async |&item| (item, account.update(&item.lender.arn).await));
        let ended: Vec<_> = updates.buffered(UPDATES).collect().await;
        drop(progress);
        for (item, done) in ended {
            note(item, done);
        }
    }
    for &item in work {
        let Step::UpdateOf(root) = &item.step else { continue };
        note(
            item,
            match account.has_tag(&item.lender.arn).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(format!("it gets its tags from the stack {root}, which has not handed this one on")),
                Err(why) => Err(why),
            },
        );
    }
    outcome
}

fn confirm(work: &[&Item]) -> Result<(), Error> {
    if !io::stdin().is_terminal() {
        let names: Vec<_> = work.iter().map(|item| described(item)).collect();
        return Err(Error::usage(format!("it would shield {}", names.join(", "))).remedy("add --yes"));
    }
    for item in work {
        eprintln!("  + {}", described(item));
    }
    eprint!(
        "Shield these? Deployments can no longer touch them, nor what stacks hand the tag to. Type `yes` to confirm: "
    );
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if answer.trim() == "yes" { Ok(()) } else { Err(Error::new(Kind::Failed, "nothing was changed")) }
}

pub fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Kind and name in one line.
pub fn described(item: &Item) -> String {
    format!("{} {}", item.lender.kind.name(), plain(&item.lender.name))
}

/// What `apply` does, in words.
fn told(step: &Step) -> String {
    match step {
        Step::Nothing => "nothing".to_owned(),
        Step::Tag => "sets the tag".to_owned(),
        Step::Update => "updates the stack to set the tag, which its resources get as well".to_owned(),
        Step::UpdateOf(root) => format!("updates the stack that it is a part of, {root}, which hands the tag on"),
        Step::ByHand(why) => format!("nothing; {why}"),
    }
}

fn text(plan: &Plan) -> String {
    let mut lines: Vec<String> = plan.items.iter().map(|item| text_of_item(item, plan)).collect();
    lines.extend(plan.unread.iter().map(|it| format!("? {}\n", plain(it))));
    let (all, left, Place { account, region, .. }) = (plan.items.len(), plan.left().count(), &plan.place);
    lines.push(match all {
        0 => format!("No resource found in {region} of {account} runs with a role stronger than the boundary.\n"),
        _ => format!(
            "{} of {} with a role stronger than the boundary shielded, in {region} of {account}.\n",
            all - left,
            counted(all, "resource")
        ),
    });
    if plan.left().any(|item| !matches!(item.step, Step::ByHand(_))) {
        lines.push(format!("`daypass shield apply` sets the tag {} = {}.\n", TAG.0, TAG.1));
    }
    lines.concat()
}

fn text_of_item(item: &Item, plan: &Plan) -> String {
    let head = match item.shield {
        Shield::None => format!("+ {} is not shielded", described(item)),
        Shield::Tag => format!("= {} is shielded", described(item)),
        Shield::Name => format!("= {} is shielded by its name", described(item)),
    };
    let mut lines = vec![head, format!("    arn: {}", item.lender.arn)];
    if !item.role.is_empty() {
        lines.push(format!("    role: {}", item.role));
    }
    lines.push(format!("    why: {}", item.why));
    if !item.is_shielded() {
        lines.push(format!("    apply: {}", told(&item.step)));
    }
    lines.extend(item.commands(&plan.place.region).iter().map(|command| format!("      {command}")));
    let migration = item.migration(&plan.place);
    if !migration.is_empty() {
        lines.push("    to deploy it through Daypass, give it a fixed role instead:".to_owned());
        lines.extend(migration.iter().map(|command| format!("      {command}")));
    }
    let lines: Vec<_> = lines.iter().map(|line| plain(line)).collect();
    lines.join("\n") + "\n"
}

fn as_json(plan: &Plan) -> Value {
    let each = |item: &Item| {
        let (step, by_hand) = match &item.step {
            Step::Nothing => ("nothing", None),
            Step::Tag => ("tag", None),
            Step::Update => ("update-stack", None),
            Step::UpdateOf(_) => ("update-root-stack", None),
            Step::ByHand(why) => ("by-hand", Some(why)),
        };
        json!({
            "kind": item.lender.kind.name(),
            "name": item.lender.name,
            "arn": item.lender.arn,
            "role": Some(&item.role).filter(|role| !role.is_empty()),
            "why": item.why,
            "shielded": match item.shield {
                Shield::None => None,
                Shield::Tag => Some("tag"),
                Shield::Name => Some("name"),
            },
            "apply": step,
            "by_hand": by_hand,
            "commands": item.commands(&plan.place.region),
            "migration": item.migration(&plan.place),
        })
    };
    json!({
        "account_id": plan.place.account,
        "region": plan.place.region,
        "left": plan.left().count(),
        "resources": plan.items.iter().map(each).collect::<Vec<_>>(),
        "unread": plan.unread,
    })
}

fn text_of(outcome: &Outcome<'_>, plan: &Plan, unread: &[String]) -> String {
    let Outcome { shielded, failed, left } = outcome;
    let failed = failed.iter().map(|(item, why)| format!("! {} is not shielded: {}\n", described(item), plain(why)));
    let left = left.iter().map(|(item, why)| format!("- {} is left to do by hand: {}\n", described(item), plain(why)));
    let unread = unread.iter().map(|it| format!("? {}\n", plain(it)));
    let lines: String = failed.chain(left).chain(unread).collect();
    let before = plan.items.iter().filter(|item| item.is_shielded()).count();
    format!(
        "{lines}{} shielded now, {before} before, in {} of {}.\n",
        shielded.len(),
        plan.place.region,
        plan.place.account
    )
}

fn json_of(outcome: &Outcome<'_>, plan: &Plan, unread: &[String]) -> Value {
    let with_why = |(item, why): (&Item, &str)| json!({"arn": item.lender.arn, "reason": why});
    json!({
        "account_id": plan.place.account,
        "region": plan.place.region,
        "shielded": outcome.shielded.iter().map(|item| &item.lender.arn).collect::<Vec<_>>(),
        "failed": outcome.failed.iter().map(|(item, why)| with_why((item, why))).collect::<Vec<_>>(),
        "by_hand": outcome.left.iter().map(|(item, why)| with_why((item, why))).collect::<Vec<_>>(),
        "unread": unread,
    })
}

#[cfg(test)]
mod tests;
