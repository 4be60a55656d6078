//! The configuration file: TOML in the XDG place.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use strsim::jaro_winkler;
use toml::{Table, Value};

use super::key::Key;
use crate::{error::Error, world::World};

/// Names the file, where it is not in its usual place.
pub const VARIABLE: &str = "DAYPASS_CONFIG_FILE";

/// What a configuration file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// The values, in their words.
    pub values: BTreeMap<Key, String>,
}

/// Reads the file that is named, or the one in the usual place if there is one.
///
/// # Errors
/// When a named file cannot be read, or any is not what docs/cli.md says.
pub fn read(named: Option<&Path>, world: &dyn World) -> Result<File, Error> {
    let named = named.map(Path::to_owned).or_else(|| world.variable(VARIABLE).map(PathBuf::from));
    match named {
        Some(path) => match world.read(&path) {
            Some(text) => parse(path, &text),
            None => Err(Error::usage(format!("the configuration file {} cannot be read", path.display()))
                .remedy(format!("correct `--config` or {VARIABLE}"))),
        },
        None => match usual_place(world).and_then(|path| Some((world.read(&path)?, path))) {
            Some((text, path)) => parse(path, &text),
            None => Ok(File::default()),
        },
    }
}

/// `$XDG_CONFIG_HOME/daypass/config.toml`, or below `~/.config`, on every system.
pub fn usual_place(world: &dyn World) -> Option<PathBuf> {
    let folder = world.variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = folder.or_else(|| world.variable("HOME").map(|home| Path::new(&home).join(".config")))?;
    Some(folder.join("daypass/config.toml"))
}

fn parse(path: PathBuf, text: &str) -> Result<File, Error> {
    let at = |message: String| Error::usage(format!("{}: {message}", path.display()));
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        at(format!("line {}: {}", before.matches('\n').count() + 1, error.message()))
    })?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let key = Key::named(&name).ok_or_else(|| {
            let error = at(format!("`{name}` is not a setting"));
            match closest(&name) {
                Some(near) => error.remedy(format!("write `{}`, or remove it", near.name())),
                None => error.remedy("remove it; docs/cli.md lists every setting"),
            }
        })?;
        let text = match (key, value) {
            (Key::Accounts, Value::Table(accounts)) => accounts
                .into_iter()
                .map(|(account, id)| match id {
                    Value::String(id) => Ok(format!("{account}={id}")),
                    _ => {
                        Err(at(format!("`accounts.{account}` is not text")).remedy(r#"write `name = "222222222222"`"#))
                    }
                })
                .collect::<Result<Vec<_>, _>>()?
                .join(","),
            (Key::Accounts, _) => {
                return Err(at("`accounts` is not a table".to_owned())
                    .remedy(r#"write `[accounts]`, then `name = "222222222222"`"#));
            }
            (_, Value::String(text)) => text,
            _ => return Err(at(format!("`{name}` is not text")).remedy(format!(r#"write `{name} = "…"`"#))),
        };
        values.insert(key, text);
    }
    Ok(File { path, values })
}

/// The setting that was meant, perhaps.
fn closest(name: &str) -> Option<Key> {
    /// How alike two names are, from 0 to 1, for one to be offered for the other.
    const ALIKE: f64 = 0.85;
    let alike = |key: Key| (jaro_winkler(&name.replace('-', "_"), key.name()), key);
    let (best, key) = Key::all().map(alike).max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best >= ALIKE).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::FakeWorld;

    fn read_text(text: &str) -> Result<File, String> {
        let mut world = FakeWorld::with(&[("HOME", "/home/alex")]);
        world.files.insert("/home/alex/.config/daypass/config.toml".to_owned(), text.to_owned());
        read(None, &world).map_err(|error| error.text(None, false))
    }

    #[test]
    fn the_file_in_the_xdg_place_is_read() {
        let text = "account = \"payments-dev\"\nttl = \"1h\"\n[accounts]\npayments-dev = \"222222222222\"\n";
        let file = read_text(text).unwrap();
        let values: Vec<_> = file.values.iter().map(|(key, value)| (key.name(), value.as_str())).collect();
        assert_eq!(values, [("account", "payments-dev"), ("accounts", "payments-dev=222222222222"), ("ttl", "1h")]);
        let mut world = FakeWorld::with(&[("HOME", "/home/alex"), ("XDG_CONFIG_HOME", "/xdg")]);
        assert_eq!(read(None, &world).unwrap(), File::default(), "there need not be one");
        assert_eq!(usual_place(&world).unwrap(), Path::new("/xdg/daypass/config.toml"));
        world.variables.insert("XDG_CONFIG_HOME".to_owned(), "relative".to_owned());
        let message = "a relative path counts as none, says the XDG specification";
        assert_eq!(usual_place(&world).unwrap(), Path::new("/home/alex/.config/daypass/config.toml"), "{message}");
    }

    #[test]
    fn a_named_file_has_to_be_there() {
        let mut world = FakeWorld::with(&[(VARIABLE, "/env.toml")]);
        world.files.insert("/env.toml".to_owned(), "account = \"env\"".to_owned());
        world.files.insert("/flag.toml".to_owned(), "account = \"flag\"".to_owned());
        let account =
            |named: Option<&str>| read(named.map(Path::new), &world).map(|file| file.values[&Key::Account].clone());
        assert_eq!(account(None).unwrap(), "env");
        assert_eq!(account(Some("/flag.toml")).unwrap(), "flag", "the option counts more");
        assert!(account(Some("/none.toml")).unwrap_err().text(None, false).contains("/none.toml cannot be read"));
    }

    #[test]
    fn what_is_wrong_is_said_with_a_remedy() {
        let errors = [
            "acount = \"payments-dev\"",
            "group-type = \"x\"",
            "colour = \"red\"",
            "ttl = 1",
            "accounts = \"payments-dev=222222222222\"",
            "[accounts]\npayments-dev = 222222222222",
            "account = ",
        ];
        let errors: Vec<_> = errors.into_iter().map(|text| read_text(text).unwrap_err()).collect();
        insta::assert_snapshot!(errors.join("\n"));
    }
}
