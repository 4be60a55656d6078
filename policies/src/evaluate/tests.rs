//! The rules of IAM's evaluation, one case each.

use super::*;

/// A policy of these statements, as JSON.
fn policy(statements: &str) -> Policy {
    let document = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
    serde_json::from_str(&document).unwrap_or_else(|error| panic!("{error}: {statements}"))
}

/// The answer in one word.
fn ask(statements: &str, request: &Request) -> &'static str {
    match evaluate([&policy(statements)], request) {
        Verdict::Allowed(_) => "allowed",
        Verdict::Open(_) => "open",
        Verdict::NotAllowed => "not allowed",
        Verdict::Denied(_) => "denied",
    }
}

#[test]
fn actions_and_resources() {
    let get = ("s3:GetObject", "arn:aws:s3:::bucket/a/b");
    let pass = ("iam:PassRole", "arn:aws:iam::123456789012:role/x/y");
    let cases = [
        // Actions compare without case and with wildcards.
        (r#""Action": "s3:GetObject", "Resource": "*""#, get, "allowed"),
        (r#""Action": "S3:getobject", "Resource": "*""#, get, "allowed"),
        (r#""Action": ["ec2:*", "s3:Get*"], "Resource": "*""#, get, "allowed"),
        (r#""Action": "s3:Get?bject", "Resource": "*""#, get, "allowed"),
        (r#""Action": "*", "Resource": "*""#, get, "allowed"),
        (r#""Action": "s3:Get", "Resource": "*""#, get, "not allowed"),
        (r#""Action": "s3:GetObject?", "Resource": "*""#, get, "not allowed"),
        (r#""NotAction": "iam:*", "Resource": "*""#, get, "allowed"),
        (r#""NotAction": ["iam:*", "S3:GET*"], "Resource": "*""#, get, "not allowed"),
        // Resources compare with case, part by part.
        (r#""Action": "*", "Resource": "arn:aws:s3:::bucket/*""#, get, "allowed"),
        (r#""Action": "*", "Resource": "arn:*:s3:::bucket/*/b""#, get, "allowed"),
        (r#""Action": "*", "Resource": "arn:aws:s3:::Bucket/*""#, get, "not allowed"),
        (r#""Action": "*", "Resource": ["arn:aws:s3:::x", "arn:aws:s3:::bucket/a?b"]"#, get, "allowed"),
        (r#""Action": "*", "Resource": "arn:aws:iam::*:role/*""#, pass, "allowed"),
        (r#""Action": "*", "Resource": "arn:aws:*:role/x/y""#, pass, "allowed"),
        (r#""Action": "*", "Resource": "arn:aws:iam::*:role/y""#, pass, "not allowed"),
        (r#""Action": "*", "NotResource": "arn:aws:iam::*:role/x/*""#, pass, "not allowed"),
        (r#""Action": "*", "NotResource": "arn:aws:iam::*:role/z/*""#, pass, "allowed"),
        // What has no resource is only reached by the wildcard.
        (r#""Action": "*", "Resource": "*""#, ("ec2:DescribeVpcs", "*"), "allowed"),
        (r#""Action": "*", "Resource": "arn:aws:ec2:*:*:vpc/*""#, ("ec2:DescribeVpcs", "*"), "not allowed"),
    ];
    for (elements, (action, resource), answer) in cases {
        let allow = format!(r#"{{"Effect": "Allow", {elements}}}"#);
        assert_eq!(ask(&allow, &Request::new(action, resource)), answer, "{elements}");
        let both =
            format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*"}}, {{"Effect": "Deny", {elements}}}"#);
        let denied = if answer == "allowed" { "denied" } else { "allowed" };
        assert_eq!(ask(&both, &Request::new(action, resource)), denied, "as a denial: {elements}");
    }
}

#[test]
fn a_denial_stands_over_every_policy() {
    let (allow, deny) = (
        policy(r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#),
        policy(r#"{"Sid": "No", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}"#),
    );
    for policies in [[&allow, &deny], [&deny, &allow]] {
        let Verdict::Denied(statement) = evaluate(policies, &Request::new("s3:GetObject", "*")) else {
            panic!("denied")
        };
        assert_eq!(statement.sid.as_deref(), Some("No"));
        assert!(evaluate(policies, &Request::new("ec2:RunInstances", "*")).is_possible());
    }
    assert_eq!(evaluate([], &Request::new("s3:GetObject", "*")), Verdict::NotAllowed);
}

#[test]
fn conditions() {
    let request = Request::new("s3:GetObject", "*")
        .with("aws:One", ["a"])
        .with("aws:Many", ["a", "b"])
        .with("aws:None", [""; 0])
        .with("aws:Arn", ["arn:aws:iam::123456789012:policy/x/y"])
        .with("aws:Flag", ["true"])
        .with("aws:Count", ["10"])
        .with("aws:When", ["2026-03-01T12:00:00Z"]);
    // Operator, key, values, then what an allowing and what a denying statement come to.
    let cases = [
        ("StringEquals", "aws:One", r#""a""#, "allowed", "denied"),
        ("StringEquals", "AWS:one", r#"["x", "a"]"#, "allowed", "denied"),
        ("StringEquals", "aws:One", r#""A""#, "not allowed", "allowed"),
        ("StringEqualsIgnoreCase", "aws:One", r#""A""#, "allowed", "denied"),
        ("StringEquals", "aws:One", r#""*""#, "not allowed", "allowed"),
        ("StringLike", "aws:One", r#""*""#, "allowed", "denied"),
        ("StringNotLike", "aws:One", r#"["x*", "a*"]"#, "not allowed", "allowed"),
        ("StringNotEquals", "aws:One", r#"["a", "b"]"#, "not allowed", "allowed"),
        ("StringNotEquals", "aws:One", r#"["x", "y"]"#, "allowed", "denied"),
        // What is not there equals nothing.
        ("StringEquals", "aws:None", r#""a""#, "not allowed", "allowed"),
        ("StringEqualsIfExists", "aws:None", r#""a""#, "allowed", "denied"),
        ("StringNotEquals", "aws:None", r#""a""#, "allowed", "denied"),
        ("Null", "aws:None", r#""true""#, "allowed", "denied"),
        ("Null", "aws:None", r#""false""#, "not allowed", "allowed"),
        ("Null", "aws:One", r#""false""#, "allowed", "denied"),
        ("Null", "aws:One", r#""true""#, "not allowed", "allowed"),
        // Of what is unknown, nothing protects.
        ("StringEquals", "aws:Unknown", r#""a""#, "open", "open"),
        ("StringNotEquals", "aws:Unknown", r#""a""#, "open", "open"),
        ("StringEqualsIfExists", "aws:Unknown", r#""a""#, "open", "open"),
        ("ForAllValues:StringEquals", "aws:Unknown", r#""a""#, "open", "open"),
        ("Null", "aws:Unknown", r#""true""#, "open", "open"),
        ("IpAddress", "aws:One", r#""10.0.0.0/8""#, "open", "open"),
        // Sets.
        ("ForAnyValue:StringEquals", "aws:Many", r#"["b", "c"]"#, "allowed", "denied"),
        ("ForAnyValue:StringEquals", "aws:Many", r#""c""#, "not allowed", "allowed"),
        ("ForAnyValue:StringNotEquals", "aws:Many", r#""a""#, "allowed", "denied"),
        ("ForAnyValue:StringEquals", "aws:None", r#""a""#, "not allowed", "allowed"),
        ("ForAnyValue:StringNotEquals", "aws:None", r#""a""#, "not allowed", "allowed"),
        ("ForAllValues:StringLike", "aws:Many", r#"["a*", "b*"]"#, "allowed", "denied"),
        ("ForAllValues:StringEquals", "aws:Many", r#"["a", "c"]"#, "not allowed", "allowed"),
        ("ForAllValues:StringEquals", "aws:None", r#""a""#, "allowed", "denied"),
        ("ForAllValues:StringNotEquals", "aws:Many", r#""c""#, "allowed", "denied"),
        ("ForAnyValue:StringLikeIfExists", "aws:None", r#""a""#, "allowed", "denied"),
        // ARNs: both operators have wildcards.
        ("ArnLike", "aws:Arn", r#""arn:aws:iam::*:policy/x/*""#, "allowed", "denied"),
        ("ArnEquals", "aws:Arn", r#""arn:aws:iam::123456789012:policy/*""#, "allowed", "denied"),
        ("ArnNotEquals", "aws:Arn", r#""arn:aws:iam::123456789012:policy/*""#, "not allowed", "allowed"),
        ("ArnNotLike", "aws:Arn", r#""arn:aws:iam::*:role/*""#, "allowed", "denied"),
        // Truth, numbers and dates.
        ("Bool", "aws:Flag", r#""True""#, "allowed", "denied"),
        ("Bool", "aws:Flag", r#""false""#, "not allowed", "allowed"),
        ("NumericLessThan", "aws:Count", r#""9""#, "not allowed", "allowed"),
        ("NumericGreaterThanEquals", "aws:Count", r#""10.0""#, "allowed", "denied"),
        ("NumericNotEquals", "aws:Count", r#""10""#, "not allowed", "allowed"),
        ("NumericEquals", "aws:One", r#""10""#, "open", "open"),
        ("DateLessThan", "aws:When", r#""2026-03-01T12:00:01Z""#, "allowed", "denied"),
        ("DateGreaterThan", "aws:When", r#""2026-03-01T13:00:00+01:00""#, "not allowed", "allowed"),
        ("DateGreaterThanEquals", "aws:When", r#""1772366400""#, "allowed", "denied"),
        ("DateNotEquals", "aws:When", r#""2026-03-01T12:00:00Z""#, "not allowed", "allowed"),
        // Variables.
        ("StringEquals", "aws:One", r#""${aws:One}""#, "allowed", "denied"),
        ("StringEquals", "aws:Many", r#""x-${aws:One}""#, "not allowed", "allowed"),
        ("StringEquals", "aws:One", r#""${aws:Unknown}""#, "open", "open"),
        ("StringEquals", "aws:One", r#""b${aws:Unknown}""#, "not allowed", "allowed"),
        ("StringNotEquals", "aws:One", r#""${aws:Unknown}""#, "open", "open"),
        ("StringLike", "aws:One", r#""${aws:Unknown}*""#, "open", "open"),
    ];
    for (operator, key, values, allowing, denying) in cases {
        let elements =
            format!(r#""Action": "*", "Resource": "*", "Condition": {{"{operator}": {{"{key}": {values}}}}}"#);
        let allow = format!(r#"{{"Effect": "Allow", {elements}}}"#);
        assert_eq!(ask(&allow, &request), allowing, "{operator} {key} {values}");
        let deny =
            format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*"}}, {{"Effect": "Deny", {elements}}}"#);
        assert_eq!(ask(&deny, &request), denying, "as a denial: {operator} {key} {values}");
    }
}

#[test]
fn every_condition_must_hold() {
    let of = |condition: &str| {
        format!(r#"{{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {{{condition}}}}}"#)
    };
    let request = Request::new("s3:GetObject", "*").with("aws:a", ["1"]).with("aws:b", ["2"]);
    let both = of(r#""StringEquals": {"aws:a": "1", "aws:b": "2"}"#);
    let one = of(r#""StringEquals": {"aws:a": "1", "aws:b": "3"}"#);
    let other = of(r#""StringEquals": {"aws:a": "1"}, "StringLike": {"aws:b": "3*"}"#);
    let open = of(r#""StringEquals": {"aws:a": "1", "aws:c": "3"}"#);
    let refused = of(r#""StringEquals": {"aws:a": "2", "aws:c": "3"}"#);
    for (statement, answer) in
        [(both, "allowed"), (one, "not allowed"), (other, "not allowed"), (open, "open"), (refused, "not allowed")]
    {
        assert_eq!(ask(&statement, &request), answer, "{statement}");
    }
}

#[test]
fn variables_in_resources() {
    let statement = r#"{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::home/${aws:username}/*"}"#;
    let request = Request::new("s3:GetObject", "arn:aws:s3:::home/alex/x");
    assert_eq!(ask(statement, &request), "open");
    assert_eq!(ask(statement, &request.clone().with("aws:username", ["alex"])), "allowed");
    assert_eq!(ask(statement, &request.with("aws:username", ["nadia"])), "not allowed");
    assert_eq!(ask(statement, &Request::new("s3:GetObject", "arn:aws:s3:::other/alex/x")), "not allowed");
}

#[test]
fn what_is_sure_is_said_first() {
    let statements = r#"
        {"Sid": "Perhaps", "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:x": "true"}}},
        {"Sid": "Surely", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#;
    let policy = policy(statements);
    let Verdict::Allowed(statement) = evaluate([&policy], &Request::new("s3:GetObject", "*")) else {
        panic!("allowed")
    };
    assert_eq!(statement.sid.as_deref(), Some("Surely"));
    let Verdict::Open(statement) = evaluate([&policy], &Request::new("ec2:Run", "*")) else { panic!("open") };
    assert_eq!(statement.sid.as_deref(), Some("Perhaps"));
}
