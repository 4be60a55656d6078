use std::sync::{Arc, Mutex};

use age::x25519::Identity;
use aws_sdk_sts::{
    config::retry::RetryConfig,
    error::ErrorMetadata,
    operation::assume_role::{AssumeRoleError, AssumeRoleInput, AssumeRoleOutput},
    primitives::DateTime,
};
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};
use daypass::stage::Named;
use daypass_testing::samples::{self, http_service, leaks, query_service};
use serde_json::{Value, json};

use super::*;

const SECRETS: [&str; 3] = ["ASIAEXAMPLE", "wJalrXUtnFEMI", "FwoGZXIvYXdzE"];

/// STS, as far as the pipeline role is concerned.
#[derive(Clone, Default)]
struct World {
    fault: Option<&'static str>,
    without_credentials: bool,
    /// With more tags than this STS refuses the session.
    most_tags: Option<usize>,
    /// How much room a session with more than three tags takes, in percent.
    room_taken: Option<i32>,
    person: Option<Person>,
    asked: Arc<Mutex<Vec<AssumeRoleInput>>>,
}

impl World {
    fn answer(&self, request: &AssumeRoleInput) -> MockResponse<AssumeRoleOutput, AssumeRoleError> {
        self.asked.lock().unwrap().push(request.clone());
        if let Some(code) = self.fault {
            return MockResponse::Error(AssumeRoleError::generic(ErrorMetadata::builder().code(code).build()));
        }
        if self.most_tags.is_some_and(|most| request.tags().len() > most) {
            let error = ErrorMetadata::builder().code("PackedPolicyTooLarge").build();
            return MockResponse::Error(AssumeRoleError::generic(error));
        }
        let seconds = i64::from(request.duration_seconds().unwrap());
        let [id, secret, token] = SECRETS;
        let credentials = Credentials::builder().access_key_id(id).secret_access_key(secret).session_token(token);
        let credentials = credentials.expiration(DateTime::from_secs(1_795_424_400 + seconds)).build().unwrap();
        let issued = Some(credentials).filter(|_| !self.without_credentials);
        let room_taken = self.room_taken.filter(|_| request.tags().len() > 3);
        let output = AssumeRoleOutput::builder().set_credentials(issued).set_session_token_utilization(room_taken);
        MockResponse::Output(output.build())
    }

    async fn issue(&self, transaction: Transaction) -> Result<IssuedCredentials, IssueCredsError> {
        let world = self.clone();
        let assume_role = mock!(Client::assume_role)
            .match_requests(|_| true)
            .then_compute_response(move |request| world.answer(request));
        let client = mock_client!(aws_sdk_sts, RuleMode::MatchAny, [&assume_role], |config| {
            config.retry_config(RetryConfig::disabled())
        });
        let pipeline_role = "arn:aws:iam::111111111111:role/daypass-pipeline".parse().unwrap();
        let input = PersonInput { transaction, person: self.person.clone().unwrap_or_else(samples::person) };
        IssueCreds::new(client, pipeline_role).run(input, samples::requested_at()).await
    }
}

fn sealed_to(identity: &Identity) -> Transaction {
    Transaction { recipient: identity.to_public().to_string(), ..samples::transaction() }
}

#[tokio::test]
async fn only_the_requester_can_read_the_credentials() {
    let identity = Identity::generate();
    let issued = World::default().issue(sealed_to(&identity)).await.unwrap();
    let inside = age::decrypt(&identity, issued.sealed_credentials.as_bytes()).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&inside).unwrap(),
        json!({
            "access_key_id": SECRETS[0],
            "secret_access_key": SECRETS[1],
            "session_token": SECRETS[2],
            "expiration": "2026-11-23T10:00:00Z",
        })
    );
    assert!(age::decrypt(&Identity::generate(), issued.sealed_credentials.as_bytes()).is_err());
    let output = serde_json::to_string(&issued).unwrap() + &format!("{issued:?}");
    assert!(SECRETS.iter().all(|secret| !output.contains(secret)));
}

#[tokio::test]
async fn the_session_opens_one_role_for_one_person() {
    let world = World::default();
    let issued = world.issue(sealed_to(&Identity::generate())).await.unwrap();
    assert_eq!(issued.source_identity, "alex@example.com");
    let asked = world.asked.lock().unwrap();
    let [request] = &asked[..] else { panic!("one call") };
    let tags: Vec<_> = request.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
    insta::assert_json_snapshot!(json!({
        "role": request.role_arn(),
        "session_name": request.role_session_name(),
        "source_identity": request.source_identity(),
        "duration_seconds": request.duration_seconds(),
        "policy": request.policy().map(|policy| serde_json::from_str::<Value>(policy).unwrap()),
        "tags": tags,
        "transitive": request.transitive_tag_keys(),
    }));
    assert!(request.policy().unwrap().len() <= 2_048, "what STS takes");
}

/// The keys of the tags, all of them transitive, of each session that was asked for.
fn tags_of(world: &World) -> Vec<Vec<String>> {
    let keys = |request: &AssumeRoleInput| {
        let keys: Vec<String> = request.tags().iter().map(|tag| tag.key().to_owned()).collect();
        assert_eq!(keys, request.transitive_tag_keys());
        keys
    };
    world.asked.lock().unwrap().iter().map(keys).collect()
}

#[tokio::test]
async fn a_session_says_which_run_it_is_for_if_there_is_room() {
    let required = ["daypass:transaction-id", "daypass:email", "daypass:persona"];
    let optional =
        ["repository-id", "run-id", "run-attempt", "actor-id", "workflow-ref"].map(|it| format!("daypass:{it}"));
    let all: Vec<String> = required.iter().map(ToString::to_string).chain(optional).collect();
    let proven = || Some(Person { proof: Some(samples::proof()), ..samples::person() });
    let issue = async |world: World| {
        let answer = world.issue(sealed_to(&Identity::generate())).await;
        (answer.map(drop).map_err(|error| error.name()), tags_of(&world))
    };

    let enough = World { person: proven(), room_taken: Some(80), ..World::default() };
    assert_eq!(issue(enough).await, (Ok(()), vec![all.clone()]));
    let required = required.map(str::to_owned).to_vec();
    let too_large = World { person: proven(), most_tags: Some(3), ..World::default() };
    assert_eq!(issue(too_large).await, (Ok(()), vec![all.clone(), required.clone()]));
    let nearly_full = World { person: proven(), room_taken: Some(81), ..World::default() };
    assert_eq!(issue(nearly_full).await, (Ok(()), vec![all.clone(), required.clone()]));
    // What promises rest on is not dropped.
    let hopeless = World { person: proven(), most_tags: Some(2), ..World::default() };
    assert_eq!(issue(hopeless).await, (Err(ErrorName::HubRefused), vec![all, required.clone()]));
    let without_proof = World { most_tags: Some(2), ..World::default() };
    assert_eq!(issue(without_proof).await, (Err(ErrorName::HubRefused), vec![required]));
}

#[tokio::test]
async fn a_session_ends_with_the_lease_as_far_as_sts_allows() {
    for (lease, session) in [(1, 900), (900, 900), (1_800, 1_800), (3_600, 3_600), (86_400, 3_600)] {
        let world = World::default();
        let expires_at = samples::requested_at().plus(Duration::from_secs(lease));
        world.issue(Transaction { expires_at, ..sealed_to(&Identity::generate()) }).await.unwrap();
        assert_eq!(world.asked.lock().unwrap()[0].duration_seconds(), Some(session));
    }
}

#[test]
fn a_source_identity_always_fits() {
    let identity = |email: &str| source_identity(&email.parse().unwrap(), &samples::person());
    assert_eq!(identity("o_b+ci=1@example.com"), "o_b+ci=1@example.com");
    for email in ["o'brien@example.com", &format!("{}@example.com", "a".repeat(53))] {
        assert_eq!(identity(email), samples::person().user_id, "{email}");
    }
}

#[tokio::test]
async fn what_goes_wrong_has_a_name() {
    let throttled = World { fault: Some("ThrottlingException"), ..World::default() };
    let empty = World { without_credentials: true, ..World::default() };
    for (world, name) in [(throttled, ErrorName::Throttled), (empty, ErrorName::AwsUnavailable)] {
        assert_eq!(world.issue(sealed_to(&Identity::generate())).await.unwrap_err().name(), name);
    }
    let world = World::default();
    let error = world.issue(Transaction { recipient: "age1".to_owned(), ..samples::transaction() }).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::InvalidRequest);
    assert!(world.asked.lock().unwrap().is_empty(), "nothing is issued that nobody could read");
}

/// By the answers themselves: their status decides.
#[tokio::test]
async fn what_sts_would_refuse_again_is_told_as_a_refusal() {
    for (answer, name) in [
        ("AccessDenied: because no identity-based policy allows the sts:TagSession action", ErrorName::HubRefused),
        (
            "RegionDisabledException: STS is not activated in this region for account:111111111111.",
            ErrorName::HubRefused,
        ),
        ("PackedPolicyTooLarge", ErrorName::HubRefused),
        ("ExpiredToken", ErrorName::AwsUnavailable),
    ] {
        let client = Client::new(&query_service(move |_, _| Err(answer)));
        let pipeline_role = "arn:aws:iam::111111111111:role/daypass-pipeline".parse().unwrap();
        let input = PersonInput { transaction: sealed_to(&Identity::generate()), person: samples::person() };
        let issued = IssueCreds::new(client, pipeline_role).run(input, samples::requested_at()).await;
        assert_eq!(issued.unwrap_err().name(), name, "{answer}");
    }
}

/// The buffer is wiped, and never left behind for a larger one.
#[test]
fn what_is_sealed_is_wiped() {
    fn wiped_when_dropped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
    for character in ["a", "\"", "\u{0}"] {
        let credentials = SessionCredentials {
            access_key_id: character.repeat(20),
            secret_access_key: character.repeat(40),
            session_token: character.repeat(2_000),
            expiration: samples::requested_at(),
        };
        let json = plaintext(&credentials).unwrap();
        wiped_when_dropped(&json);
        assert!(json.len() <= json.capacity());
        assert_eq!(json.capacity(), FRAME + ESCAPED * 2_060, "it has grown");
    }
}

/// Whatever STS answers, and however much of it is credentials.
#[tokio::test]
async fn no_error_repeats_what_sts_answers() {
    for (status, body) in leaks::useless_answers() {
        let answer = body.clone();
        let client = Client::new(&http_service(move |_| (status, answer.clone())));
        let task = IssueCreds::new(client, "arn:aws:iam::111111111111:role/daypass-pipeline".parse().unwrap());
        let input = PersonInput { transaction: sealed_to(&Identity::generate()), person: samples::person() };
        let error = task.run(input, samples::requested_at()).await.expect_err(&body);
        leaks::assert_untold(&error);
    }
}

#[test]
fn error_texts() {
    let seal = age::EncryptError::Io(std::io::Error::other("x"));
    let own =
        [IssueCredsError::Recipient("incorrect length"), IssueCredsError::Seal(seal), IssueCredsError::NoCredentials];
    insta::assert_snapshot!(own.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @r"
    `recipient` is not an age X25519 public key: incorrect length
    nothing can be sealed to `recipient`; make a new key with `age-keygen`
    sts:AssumeRole answered without credentials
    ");
}
