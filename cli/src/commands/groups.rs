//! `daypass groups`: the groups of Identity Center that personas.json wants, one for each account and persona.

use std::{
    fs,
    io::{self, BufRead, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use aws_config::retry::RetryConfig;
use daypass::{ids::AccountId, persona::Personas, text::plain};
use daypass_aws::AwsError;
use serde_json::{Value, json};

use self::{
    difference::{Difference, ExistingGroup, Renamed, Reused, Wanted},
    store::{Done, GroupStore},
};
use crate::{
    client::aws,
    context::{Context, block_on},
    error::{Error, Kind},
    output::Output,
    settings::{IdentityStoreArgs, Key, Settings},
};

mod difference;
mod store;

/// A large organisation has thousands of groups, and Identity Center takes some 20 calls each second.
const ATTEMPTS: u32 = 8;

/// What follows `daypass groups`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show the groups that are missing, to be renamed or left over
    #[command(after_help = PLAN_HELP)]
    Plan(Args),
    /// Create the groups that are missing, and rename those under former names
    #[command(after_help = APPLY_HELP)]
    Apply(ApplyArgs),
}

const PLAN_HELP: &str = "\
`daypass` calls Identity Center with the credentials and the region of the `aws` command. They must be of the \
account that Identity Center is managed from, and need ListGroups and ListGroupMemberships of the identity \
store.

Exit codes: 0 no difference; 1 groups are missing, to be renamed or left over; 2 wrong usage; 70 or 75 the \
difference is unknown.";

const APPLY_HELP: &str = "\
The credentials need ListGroups, ListGroupMemberships, GetGroupId and CreateGroup of the identity store, \
UpdateGroup with --renamed-from, and DeleteGroup with --prune.

Exit codes: 0 every group exists; 2 wrong usage; 70 refused or failed; 75 try again.";

/// Where the groups are wanted, and where they are.
#[derive(clap::Args)]
pub struct Args {
    /// The personas.json to use
    #[arg(long, value_name = "FILE", default_value = "personas.json")]
    file: PathBuf,
    /// The former personas.json: a group that is named by it is renamed and keeps its members
    #[arg(long, value_name = "FILE")]
    renamed_from: Option<PathBuf>,
    #[command(flatten)]
    identity_store: IdentityStoreArgs,
}

/// What may be done.
#[derive(clap::Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    args: Args,
    /// Delete the groups that are left over, if they have no members
    #[arg(long)]
    prune: bool,
    /// Delete without asking
    #[arg(long, requires = "prune")]
    yes: bool,
    /// Change groups although another directory provisions groups to the identity store
    #[arg(long)]
    allow_scim: bool,
}

pub fn run(command: &Command, context: &mut Context) -> Result<ExitCode, Error> {
    let (Command::Plan(args) | Command::Apply(ApplyArgs { args, .. })) = command;
    let (personas, settings) = (args.personas()?, context.settings(&args.identity_store.flags())?);
    // What no store could make right is told before one is asked.
    personas.difference(Vec::new())?;
    block_on(async {
        let store = store(&settings).await?;
        match command {
            Command::Plan(_) => plan(&personas, &store, &context.output).await,
            Command::Apply(args) => apply(args, &personas, &store, &context.output).await,
        }
    })
}

async fn plan(personas: &Versions, store: &GroupStore, output: &Output) -> Result<ExitCode, Error> {
    let difference = difference(personas, store, output).await?;
    output.result(&text(&difference), &as_json(store, &difference))?;
    if let Some(directories) = directories(&difference) {
        output.note(&format!("{directories}: `daypass groups apply` needs --allow-scim"));
    }
    Ok(if difference.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn apply(args: &ApplyArgs, personas: &Versions, store: &GroupStore, output: &Output) -> Result<ExitCode, Error> {
    let difference = difference(personas, store, output).await?;
    let doomed = if args.prune { difference.extra.as_slice() } else { &[] };
    let has_work = !difference.missing.is_empty() || !difference.renamed.is_empty() || !doomed.is_empty();
    if let Some(directories) = directories(&difference).filter(|_| has_work && !args.allow_scim) {
        return Err(refused(format!("{directories}; nothing was changed")).remedy(
            "create or rename the groups in that directory, which then provisions them with their members; --allow-scim \
             changes them here anyway",
        ));
    }
    let lived_in: Vec<_> = doomed.iter().filter(|group| group.members != Some(0)).map(described).collect();
    if !lived_in.is_empty() {
        let groups = lived_in.join(", ");
        return Err(refused(format!("groups that are left over have members ({groups}); nothing was changed"))
            .remedy("remove the members first, or omit --prune"));
    }
    if !doomed.is_empty() && !args.yes {
        confirm(doomed)?;
    }
    let mut renamed = Vec::new();
    for it in &difference.renamed {
        let done = store.rename(it).await.map_err(explained)?;
        let (from, to) = (plain(&it.group.name), &it.wanted.name);
        output.note(&match done {
            Done::Here => format!("renamed {from} to {to}"),
            Done::Elsewhere => format!("{from} was renamed to {to} by another process in the meantime"),
        });
        renamed.extend((done == Done::Here).then_some(it));
    }
    let mut created = Vec::new();
    for wanted in &difference.missing {
        let done = store.create(wanted).await.map_err(explained)?;
        output.note(&match done {
            Done::Here => format!("created {}", wanted.name),
            Done::Elsewhere => format!("{} was created by another process in the meantime", wanted.name),
        });
        created.extend((done == Done::Here).then_some(wanted));
    }
    let mut deleted = Vec::new();
    for group in doomed {
        // Somebody may have been put in since.
        if store.members(group).await.map_err(explained)? > 0 {
            return Err(refused(format!("{} has members now; it was not deleted", group.name)));
        }
        let done = store.delete(group).await.map_err(explained)?;
        output.note(&match done {
            Done::Here => format!("deleted {}", group.name),
            Done::Elsewhere => format!("{} was deleted by another process in the meantime", group.name),
        });
        deleted.extend((done == Done::Here).then_some(group));
    }
    let all = difference.wanted();
    let left = if args.prune { &[] } else { difference.extra.as_slice() };
    let pruned = if args.prune { format!(", {} deleted", deleted.len()) } else { String::new() };
    let moved = if args.args.renamed_from.is_some() { format!(", {} renamed", renamed.len()) } else { String::new() };
    let mut lines = vec![format!("All {all} groups exist; {} created{moved}{pruned}.\n", created.len())];
    lines.extend(difference.doubled.iter().map(doubled));
    if !left.is_empty() {
        let left: Vec<_> = left.iter().map(described).collect();
        lines.push(format!("Left over, not deleted: {}.\n", left.join(", ")));
    }
    let names = |groups: &[&ExistingGroup]| groups.iter().map(|group| group.name.clone()).collect::<Vec<_>>();
    let result = json!({
        "identity_store_id": store.id(),
        "groups": all,
        "created": created.iter().map(|wanted| &wanted.name).collect::<Vec<_>>(),
        "renamed": renamed.iter().map(|it| json!({"from": it.group.name, "group": it.wanted.name})).collect::<Vec<_>>(),
        "doubled": difference.doubled.iter().map(|it| &it.group.name).collect::<Vec<_>>(),
        "deleted": names(&deleted),
        "extra": names(&left.iter().collect::<Vec<_>>()),
    });
    output.result(&lines.concat(), &result)
}

/// What is wanted, and what was wanted when the groups were named.
struct Versions {
    now: Personas,
    former: Option<Personas>,
}

impl Versions {
    fn difference(&self, groups: Vec<ExistingGroup>) -> Result<Difference, Error> {
        Difference::between(&self.now, self.former.as_ref(), groups).map_err(|Reused { name, before, now }| {
            let of = |(account, persona): (AccountId, String)| format!("{persona} in {account}");
            let reason = format!("{name} was the group of {}, and is to be that of {}", of(before), of(now));
            let remedy = "rename in two steps, with a `group_name` in between that has no name in common with either";
            Error::usage(reason).remedy(remedy)
        })
    }
}

impl Args {
    fn personas(&self) -> Result<Versions, Error> {
        let former = self.renamed_from.as_deref().map(|file| read(file, "--renamed-from")).transpose()?;
        Ok(Versions { now: read(&self.file, "--file")?, former })
    }
}

fn read(path: &Path, flag: &str) -> Result<Personas, Error> {
    let file = path.display();
    let json = fs::read_to_string(path).map_err(|error| {
        Error::usage(format!("{file} cannot be read: {error}")).remedy(format!("name the personas.json with {flag}"))
    })?;
    Personas::parse(&json).map_err(|error| {
        Error::usage(format!("{file} has {} errors", error.problems.len()))
            .remedy(format!("`daypass personas check {file}` shows them"))
    })
}

async fn store(settings: &Settings) -> Result<GroupStore, Error> {
    let id = settings.required(Key::IdentityStoreId)?.value.clone();
    let config = aws::of_profile(None, None, &aws::connector()?).await;
    let config = aws_sdk_identitystore::config::Builder::from(&config)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    Ok(GroupStore::new(aws_sdk_identitystore::Client::from_conf(config.build()), id))
}

/// What differs, with the members of what is left over.
async fn difference(personas: &Versions, store: &GroupStore, output: &Output) -> Result<Difference, Error> {
    let _progress = output.progress(&format!("reading the groups of {}", store.id()));
    let mut difference = personas.difference(store.groups().await.map_err(explained)?)?;
    let renamed = difference.renamed.iter_mut().chain(&mut difference.doubled).map(|it| &mut it.group);
    for group in renamed.chain(&mut difference.extra) {
        group.members = Some(store.members(group).await.map_err(explained)?);
    }
    Ok(difference)
}

/// Other directories that feed the store with groups, in words. Nothing in the API says who feeds a store. But only a
/// directory gives its groups ids of its own, so that it finds them again; groups that people make here have none.
fn directories(difference: &Difference) -> Option<String> {
    let directories: Vec<_> =
        difference.directories.iter().map(|(issuer, count)| format!("{issuer} ({count})")).collect();
    let names = directories.join(", ");
    (!directories.is_empty()).then(|| format!("the groups of this identity store come from another directory: {names}"))
}

fn confirm(doomed: &[ExistingGroup]) -> Result<(), Error> {
    if !io::stdin().is_terminal() {
        let names: Vec<_> = doomed.iter().map(described).collect();
        return Err(Error::usage(format!("--prune would delete {}", names.join(", "))).remedy("add --yes"));
    }
    for group in doomed {
        eprintln!("  - {}", plain(&group.name));
    }
    eprint!("Delete these groups and their assignments in Identity Center? Type `yes` to confirm: ");
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if answer.trim() == "yes" { Ok(()) } else { Err(refused("nothing was changed")) }
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(Kind::Failed, reason)
}

/// What an answer of Identity Center means here, where the caller has to be one of its administrators.
fn explained(error: AwsError) -> Error {
    let is_denied = error.is_access_denied();
    let has_changed = error.code() == Some("ConflictException");
    let error = Error::from(error);
    match () {
        () if is_denied => error.remedy(
            "use credentials of the account that Identity Center is managed from, with the permissions that --help \
             lists",
        ),
        () if has_changed => error.remedy("groups were changed by another process: run it again"),
        () => error,
    }
}

fn described(group: &ExistingGroup) -> String {
    let name = plain(&group.name);
    match group.members {
        None | Some(0) => name,
        Some(1) => format!("{name} with 1 member"),
        Some(members) => format!("{name} with {members} members"),
    }
}

/// A group that is left alone, because the one that is wanted exists beside it.
fn doubled(Renamed { group, wanted }: &Renamed) -> String {
    format!(
        "! {} is left alone, because {} exists: put its members into that group, then delete it\n",
        described(group),
        wanted.name
    )
}

fn text(difference: &Difference) -> String {
    let Difference { present, missing, renamed, doubled: both, extra, .. } = difference;
    let moved =
        renamed.iter().map(|Renamed { group, wanted }| format!("~ {} becomes {}\n", described(group), wanted.name));
    let missed = missing
        .iter()
        .map(|Wanted { name, account, persona, .. }| format!("+ {name} is missing: {persona} in {account}\n"));
    let left = extra
        .iter()
        .map(|group| format!("- {} is left over: no account is open to such a persona\n", described(group)));
    let mut lines: Vec<_> = moved.chain(both.iter().map(doubled)).chain(missed).chain(left).collect();
    let unwanted = if extra.is_empty() { String::new() } else { format!("; {} are left over", extra.len()) };
    let former = if renamed.is_empty() { String::new() } else { format!("; {} under former names", renamed.len()) };
    lines.push(format!("{} of {} groups exist{former}{unwanted}.\n", present.len(), difference.wanted()));
    if !renamed.is_empty() {
        lines.push(
            "`daypass groups apply` with the same --renamed-from renames them; they keep their members. Until the hub \
             is deployed with the new personas.json, requests are denied.\n"
                .to_owned(),
        );
    }
    if !missing.is_empty() {
        lines.push("`daypass groups apply` creates the missing groups.\n".to_owned());
        // Those that exist may have been renamed before a rename was interrupted.
        if renamed.is_empty() {
            lines.push(
                "If they exist under former names, add `--renamed-from` with the former file, which renames them: \
                 without it they are created a second time, without their members.\n"
                    .to_owned(),
            );
        }
    }
    if !extra.is_empty() {
        lines.push(
            "`daypass groups apply --prune` deletes the groups that are left over, if they have no members.\n"
                .to_owned(),
        );
    }
    lines.concat()
}

fn as_json(store: &GroupStore, difference: &Difference) -> Value {
    let wanted = |all: &[Wanted]| {
        let each = |it: &Wanted| json!({"group": it.name, "account": it.account, "account_id": it.account_id, "persona": it.persona});
        all.iter().map(each).collect::<Vec<_>>()
    };
    let renamed = |Renamed { group, wanted: it }: &Renamed| {
        json!({
            "group": it.name, "from": group.name, "group_id": group.id, "members": group.members,
            "account": it.account, "account_id": it.account_id, "persona": it.persona,
        })
    };
    let extra = |it: &ExistingGroup| json!({"group": it.name, "group_id": it.id, "members": it.members});
    json!({
        "identity_store_id": store.id(),
        "difference": !difference.is_none(),
        "missing": wanted(&difference.missing),
        "present": wanted(&difference.present),
        "renamed": difference.renamed.iter().map(renamed).collect::<Vec<_>>(),
        "doubled": difference.doubled.iter().map(renamed).collect::<Vec<_>>(),
        "extra": difference.extra.iter().map(extra).collect::<Vec<_>>(),
        "directories": difference.directories,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever makes groups in the store names them.
    #[test]
    fn a_group_has_one_line_whatever_its_name() {
        let name = "PwC_GP_222222222222_x\n::add-mask::y\u{202e}".to_owned();
        let group = ExistingGroup { id: "1".to_owned(), name, members: Some(2), ..ExistingGroup::default() };
        let text = text(&Difference { extra: vec![group], ..Difference::default() });
        assert!(
            text.starts_with("- PwC_GP_222222222222_x\\u{a}::add-mask::y\\u{202e} with 2 members is left over"),
            "{text}"
        );
    }

    #[test]
    fn a_plan_says_what_is_renamed_what_is_left_alone_and_what_to_do() {
        let wanted = |persona: &str| Wanted {
            name: format!("New_222222222222_{persona}"),
            account: "payments-dev".to_owned(),
            account_id: "222222222222".parse().expect("an id"),
            persona: persona.to_owned(),
        };
        let renamed = |persona: &str, members| {
            let name = format!("Old_222222222222_{persona}");
            let group = ExistingGroup { name, members: Some(members), ..ExistingGroup::default() };
            Renamed { group, wanted: wanted(persona) }
        };
        let difference = Difference {
            present: vec![wanted("Network")],
            missing: vec![wanted("Reader")],
            renamed: vec![renamed("Builder", 3)],
            doubled: vec![renamed("Network", 1)],
            ..Difference::default()
        };
        insta::assert_snapshot!(text(&difference), @r"
        ~ Old_222222222222_Builder with 3 members becomes New_222222222222_Builder
        ! Old_222222222222_Network with 1 member is left alone, because New_222222222222_Network exists: put its members into that group, then delete it
        + New_222222222222_Reader is missing: Reader in payments-dev
        1 of 3 groups exist; 1 under former names.
        `daypass groups apply` with the same --renamed-from renames them; they keep their members. Until the hub is deployed with the new personas.json, requests are denied.
        `daypass groups apply` creates the missing groups.
        ");
        let nothing = Difference { missing: vec![wanted("Reader")], ..Difference::default() };
        insta::assert_snapshot!(text(&nothing), @r"
        + New_222222222222_Reader is missing: Reader in payments-dev
        0 of 1 groups exist.
        `daypass groups apply` creates the missing groups.
        If they exist under former names, add `--renamed-from` with the former file, which renames them: without it they are created a second time, without their members.
        ");
        // After an interrupted rename some have their new names.
        let interrupted =
            Difference { present: vec![wanted("Network")], missing: vec![wanted("Reader")], ..Difference::default() };
        assert!(text(&interrupted).contains("add `--renamed-from` with the former file"), "{}", text(&interrupted));
    }
}
