//! A decision grants only what every check has passed.

use daypass::{
    decision::{AccountAsked, Facts, PersonaAsked, Refusal, Subject, decide},
    persona::Personas,
};

#[test]
fn what_is_not_known_is_not_granted() {
    let personas = Personas::parse(include_str!("../../personas.json")).unwrap();
    let account =
        personas.accounts().iter().find(|account| account.is_open_to(personas.persona("Product_Admin").unwrap()));
    let (account, email) = (account.unwrap(), "alex@example.com".parse().unwrap());
    let all = Facts {
        email: &email,
        persona: PersonaAsked::Name("Product_Admin"),
        account: AccountAsked::Id(account.id(), account.name()),
        branch: Some("main"),
        run: Some(Ok(())),
        user: Some(Some(true)),
        group_name: None,
        group: Some(true),
        member: Some(true),
    };
    assert_eq!(decide(&personas, &all).granted(), Ok(()));
    let lacking = [
        (Facts { branch: None, ..all.clone() }, Subject::Branch),
        (Facts { run: None, ..all.clone() }, Subject::Run),
        (Facts { user: None, ..all.clone() }, Subject::User),
        (Facts { member: None, ..all.clone() }, Subject::Group),
    ];
    for (facts, subject) in lacking {
        let decision = decide(&personas, &facts);
        assert_eq!(decision.refused(), Ok(()), "{subject:?}");
        assert_eq!(decision.granted(), Err(Refusal::Undecided { subject }));
    }
}
