//! For the tests of the tasks: one transaction with all that belongs to it, and a stand-in for AWS.

#![expect(clippy::missing_panics_doc, clippy::expect_used, reason = "tests only, and the values are fixed")]

use std::time::Duration;

use daypass::{
    contract::{Authorization, CreatedRole, Derived, Person, Proof, Request, Transaction, UserAttribute, UserClaim},
    ids::AccountId,
    issuer::Provider,
    timestamp::Timestamp,
};

pub mod leaks;
mod service;
pub mod target;

pub use service::{Refusal, aws_error, aws_error_saying, http_service, json_service, query_service, status_of};

const TTL: Duration = Duration::from_hours(8);

/// Alex asks for `Product_Admin` in payments-prod, for eight hours, to deploy `main`.
#[must_use]
pub fn transaction() -> Transaction {
    let account: AccountId = "333333333333".parse().expect("an account");
    let email = "alex@example.com".parse().expect("an address");
    let request = Request {
        repository: Some("example/payments".to_owned()),
        run_url: Some("https://github.com/example/payments/actions/runs/1".to_owned()),
        ..Request::new(email, "main".to_owned(), "payments-prod".to_owned(), account.clone())
    };
    let derived = Derived {
        transaction_id: "6f0f4a38-6ad0-4c35-9d4c-0a3f1c5f1c11".parse().expect("a UUID"),
        requested_at: requested_at(),
        ttl: TTL,
        environment: Some("production".to_owned()),
        group_type: "Product-Deployers".to_owned(),
        persona: "Product_Admin".to_owned(),
        group_name: format!("PwC_GP_{account}_Product_Admin"),
        partition: "aws".to_owned(),
    };
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned();
    Transaction::of(request, recipient, derived)
}

/// When the transaction was requested.
#[must_use]
pub fn requested_at() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().expect("a timestamp")
}

/// Alex, as Identity Center knows them.
#[must_use]
pub fn person() -> Person {
    Person { user_id: "9067642ac7-8d1d2a3c".to_owned(), user_name: "alex".to_owned(), proof: None }
}

/// What GitHub says about the run that asks for alex.
#[must_use]
pub fn proof() -> Proof {
    Proof {
        issuer: "https://token.actions.githubusercontent.com".to_owned(),
        provider: Some(Provider::Github),
        subject: "repo:example@1234567/payments@7654321:environment:production".to_owned(),
        token_id: "5f".repeat(32),
        token_ends_at: requested_at().plus(Duration::from_mins(5)).unix_seconds(),
        user: UserClaim {
            claim: "actor".to_owned(),
            name: "alex".to_owned(),
            attribute: UserAttribute::ProfileUrl,
            value: "https://github.com/alex".to_owned(),
        },
        repository: Some("example/payments".to_owned()),
        repository_id: Some("7654321".to_owned()),
        run_id: Some("1".to_owned()),
        run_attempt: Some("1".to_owned()),
        job_id: Some("1001".to_owned()),
        actor_id: Some("4711".to_owned()),
        workflow_ref: Some("example/daypass/.github/workflows/deploy.yml@refs/tags/v1.0.0".to_owned()),
        ref_protected: Some(true),
        environment: Some("production".to_owned()),
        event: Some("push".to_owned()),
    }
}

/// Why alex may.
#[must_use]
pub fn authorization() -> Authorization {
    Authorization {
        group_id: "9067642ac7-aa11bb22".to_owned(),
        reason: "alex is a member of PwC_GP_333333333333_Product_Admin".to_owned(),
    }
}

/// The transaction's role.
#[must_use]
pub fn role() -> CreatedRole {
    CreatedRole {
        role_arn: transaction().role_arn,
        role_id: "AROAEXAMPLE".to_owned(),
        created_at: requested_at().plus(Duration::from_secs(1)),
    }
}
