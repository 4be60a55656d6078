//! `daypass groups`: the groups of Identity Center that personas.json wants, one for each account and persona.

use std::{
    fs,
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use aws_config::retry::RetryConfig;
use daypass::{persona::Personas, text::plain};
use daypass_aws::AwsError;
use serde_json::{Value, json};

use self::{
    difference::{Difference, ExistingGroup, Wanted},
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
    /// Show the groups that are missing or left over
    #[command(after_help = PLAN_HELP)]
    Plan(Args),
    /// Create the groups that are missing
    #[command(after_help = APPLY_HELP)]
    Apply(ApplyArgs),
}

const PLAN_HELP: &str = "\
`daypass` calls Identity Center with the credentials and the region of the `aws` command. They must be of the \
account that Identity Center is managed from, and need ListGroups and ListGroupMemberships of the identity \
store.

Exit codes: 0 no difference; 1 groups are missing or left over; 2 wrong usage; 70 or 75 the difference is \
unknown.";

const APPLY_HELP: &str = "\
The credentials need ListGroups, ListGroupMemberships, GetGroupId and CreateGroup of the identity store, and \
DeleteGroup with --prune.

Exit codes: 0 every group exists; 2 wrong usage; 70 refused or failed; 75 try again.";

/// Where the groups are wanted, and where they are.
#[derive(clap::Args)]
pub struct Args {
    /// The personas.json to use
    #[arg(long, value_name = "FILE", default_value = "personas.json")]
    file: PathBuf,
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
    block_on(async {
        let store = store(&settings).await?;
        match command {
            Command::Plan(_) => plan(&personas, &store, &context.output).await,
            Command::Apply(args) => apply(args, &personas, &store, &context.output).await,
        }
    })
}

async fn plan(personas: &Personas, store: &GroupStore, output: &Output) -> Result<ExitCode, Error> {
    let difference = difference(personas, store, output).await?;
    output.result(&text(&difference), &as_json(store, &difference))?;
    if let Some(directories) = directories(&difference) {
        output.note(&format!("{directories}: `daypass groups apply` needs --allow-scim"));
    }
    Ok(if difference.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn apply(args: &ApplyArgs, personas: &Personas, store: &GroupStore, output: &Output) -> Result<ExitCode, Error> {
    let difference = difference(personas, store, output).await?;
    let doomed = if args.prune { difference.extra.as_slice() } else { &[] };
    let has_work = !difference.missing.is_empty() || !doomed.is_empty();
    if let Some(directories) = directories(&difference).filter(|_| has_work && !args.allow_scim) {
        return Err(refused(format!("{directories}; nothing was changed")).remedy(
            "create the groups in that directory, which then provisions them with their members; --allow-scim creates \
             them here anyway",
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
    let all = difference.present.len() + difference.missing.len();
    let left = if args.prune { &[] } else { difference.extra.as_slice() };
    let pruned = if args.prune { format!(", {} deleted", deleted.len()) } else { String::new() };
    let mut lines = vec![format!("All {all} groups exist; {} created{pruned}.\n", created.len())];
    if !left.is_empty() {
        let left: Vec<_> = left.iter().map(described).collect();
        lines.push(format!("Left over, not deleted: {}.\n", left.join(", ")));
    }
    let names = |groups: &[&ExistingGroup]| groups.iter().map(|group| group.name.clone()).collect::<Vec<_>>();
    let result = json!({
        "identity_store_id": store.id(),
        "groups": all,
        "created": created.iter().map(|wanted| &wanted.name).collect::<Vec<_>>(),
        "deleted": names(&deleted),
        "extra": names(&left.iter().collect::<Vec<_>>()),
    });
    output.result(&lines.concat(), &result)
}

impl Args {
    fn personas(&self) -> Result<Personas, Error> {
        let file = self.file.display();
        let json = fs::read_to_string(&self.file).map_err(|error| {
            Error::usage(format!("{file} cannot be read: {error}")).remedy("name the personas.json with --file")
        })?;
        Personas::parse(&json).map_err(|error| {
            Error::usage(format!("{file} has {} errors", error.problems.len()))
                .remedy(format!("`daypass personas check {file}` shows them"))
        })
    }
}

async fn store(settings: &Settings) -> Result<GroupStore, Error> {
    let id = settings.required(Key::IdentityStoreId)?.value.clone();
    let config = aws::of_profile(None, None, &aws::connector()?).await;
    let config = aws_sdk_identitystore::config::Builder::from(&config)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    Ok(GroupStore::new(aws_sdk_identitystore::Client::from_conf(config.build()), id))
}

/// What differs, with the members of what is left over.
async fn difference(personas: &Personas, store: &GroupStore, output: &Output) -> Result<Difference, Error> {
    let _progress = output.progress(&format!("reading the groups of {}", store.id()));
    let mut difference = Difference::between(personas, store.groups().await.map_err(explained)?);
    for group in &mut difference.extra {
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

fn text(difference: &Difference) -> String {
    let Difference { present, missing, extra, .. } = difference;
    let missed = missing
        .iter()
        .map(|Wanted { name, account, persona, .. }| format!("+ {name} is missing: {persona} in {account}\n"));
    let left = extra
        .iter()
        .map(|group| format!("- {} is left over: no account is open to such a persona\n", described(group)));
    let mut lines: Vec<_> = missed.chain(left).collect();
    let unwanted = if extra.is_empty() { String::new() } else { format!("; {} are left over", extra.len()) };
    lines.push(format!("{} of {} groups exist{unwanted}.\n", present.len(), present.len() + missing.len()));
    if !missing.is_empty() {
        lines.push("`daypass groups apply` creates the missing groups.\n".to_owned());
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
    let extra = |it: &ExistingGroup| json!({"group": it.name, "group_id": it.id, "members": it.members});
    json!({
        "identity_store_id": store.id(),
        "difference": !difference.is_none(),
        "missing": wanted(&difference.missing),
        "present": wanted(&difference.present),
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
        let group =
            ExistingGroup { id: "1".to_owned(), name, revision: String::new(), issuers: [].into(), members: Some(2) };
        let (present, missing, directories) = (vec![], vec![], [].into());
        let text = text(&Difference { present, missing, extra: vec![group], directories });
        assert!(
            text.starts_with("- PwC_GP_222222222222_x\\u{a}::add-mask::y\\u{202e} with 2 members is left over"),
            "{text}"
        );
    }
}
