//! From where an account may be deployed to.

#![expect(clippy::expect_used, reason = "these are tests, helpers included")]

use std::fmt::Write;

use daypass::{
    contract::Proof,
    issuer::Provider,
    persona::{OriginError, Personas},
};
use daypass_testing::samples;
use serde_json::{Value, json};

const BASE: &str = include_str!("../src/persona/tests/base.json");
const GITLAB: &str = "https://gitlab.example.com";

fn with(change: impl FnOnce(&mut Value)) -> Personas {
    let mut file: Value = serde_json::from_str(BASE).expect("the base file is JSON");
    file["accounts"][1]["repositories"] = json!([
        {"provider": "github", "id": "7654321", "name": "example/payments"},
        {"provider": "gitlab", "issuer": GITLAB, "id": "28", "name": "example/payments"},
        {"provider": "other", "name": "Payments-?"},
    ]);
    change(&mut file);
    Personas::parse(&file.to_string()).unwrap_or_else(|error| panic!("{error}"))
}

fn judged(personas: &Personas, account: &str, change: impl FnOnce(&mut Proof)) -> Result<(), OriginError> {
    let mut proof = samples::proof();
    change(&mut proof);
    personas.account_named(account).expect("an account").check_origin(&proof)
}

/// What is different in a run, in words and as a change.
type Deviation = (&'static str, fn(&mut Proof));

/// One run that may, and from it one deviation at a time.
#[test]
fn a_run_is_of_one_of_the_repositories_and_of_a_protected_ref() {
    let personas = with(|_| ());
    let live = |change: fn(&mut Proof)| judged(&personas, "shop-live", change);
    assert_eq!(live(|_| ()), Ok(()));
    // With an id the name says nothing: a repository that was renamed is the same.
    assert_eq!(live(|it| it.repository = Some("example/renamed".to_owned())), Ok(()));
    let deviations: [Deviation; 7] = [
        ("another id under the name", |it| it.repository_id = Some("1".to_owned())),
        ("no id", |it| it.repository_id = None),
        ("the same id at another kind of issuer", |it| it.provider = Some(Provider::Gitlab)),
        ("a kind of issuer that is not told", |it| it.provider = None),
        ("an unprotected ref", |it| it.ref_protected = Some(false)),
        ("an issuer that does not say", |it| it.ref_protected = None),
        ("another repository of the same owner", |it| {
            (it.repository_id, it.repository) = (Some("8".to_owned()), Some("example/scratch".to_owned()));
        }),
    ];
    let mut texts = String::new();
    for (deviation, change) in deviations {
        let error = live(change).expect_err(deviation);
        writeln!(texts, "# {deviation}\n{error}").expect("a text");
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn one_of_several_issuers_of_a_kind_can_be_meant() {
    let personas = with(|_| ());
    let of = |issuer: &str| {
        judged(&personas, "shop-live", |it| {
            (it.provider, it.issuer) = (Some(Provider::Gitlab), issuer.to_owned());
            it.repository_id = Some("28".to_owned());
        })
    };
    assert_eq!(of(GITLAB), Ok(()));
    assert!(of("https://gitlab.com").is_err());
}

#[test]
fn a_name_is_a_pattern_where_there_is_no_id() {
    let personas = with(|_| ());
    let named = |name: Option<&str>| {
        judged(&personas, "shop-live", |it| {
            it.provider = Some(Provider::Other);
            (it.repository_id, it.repository) = (None, name.map(str::to_owned));
        })
    };
    for name in ["Payments-1", "payments-x", "PAYMENTS-9"] {
        assert_eq!(named(Some(name)), Ok(()), "{name}");
    }
    for name in [Some("payments-10"), Some("my-payments-1"), Some("payments"), Some(""), None] {
        assert!(named(name).is_err(), "{name:?}");
    }
}

/// Secure is the default: an account without a list is for nobody, unless its environment is opened by name.
#[test]
fn without_repositories_nobody_may_unless_the_environment_is_open() {
    let bare = |file: &mut Value| drop(file["accounts"][1].as_object_mut().expect("an account").remove("repositories"));
    let closed = judged(&with(bare), "shop-live", |_| ()).expect_err("no repositories");
    insta::assert_snapshot!(
        closed,
        @"account `shop-live` has no `repositories`, so no run may deploy to it; the platform team can add the run's \
         repository to personas.json: `7654321` (`example/payments`)"
    );
    let open = with(|file| {
        bare(file);
        file["environments"]["live"]["identity_token"] = json!("optional");
    });
    assert_eq!(judged(&open, "shop-live", |it| it.ref_protected = Some(false)), Ok(()));
    // A list is kept there, too, by who proves whose run it is.
    let listed = with(|file| file["environments"]["live"]["identity_token"] = json!("optional"));
    assert!(judged(&listed, "shop-live", |it| it.repository_id = Some("1".to_owned())).is_err());
    assert_eq!(judged(&listed, "shop-live", |it| it.ref_protected = Some(false)), Ok(()));
}

#[test]
fn protection_of_refs_can_be_wanted_and_waived() {
    let requires = |identity_token: &str, protected: Option<bool>| {
        let personas = with(|file| {
            file["environments"]["live"]["identity_token"] = json!(identity_token);
            if let Some(protected) = protected {
                file["environments"]["live"]["protected_ref"] = json!(protected);
            }
        });
        let environment = personas.environment("live").expect("an environment");
        (environment.requires_proof(), environment.requires_protected_ref())
    };
    assert_eq!(requires("required", None), (true, true));
    assert_eq!(requires("required", Some(false)), (true, false));
    assert_eq!(requires("optional", None), (false, false));
    assert_eq!(requires("optional", Some(true)), (false, true));
}
