use std::env::temp_dir;

use uuid::Uuid;

use super::*;

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn removed(variables: &[(&str, &str)], files: Files) -> Vec<String> {
    let changes = changes(&environment(variables), files).unwrap();
    let removed = changes.into_iter().filter(|(_, value)| value.is_none());
    removed.map(|(name, _)| name.into_string().unwrap()).collect()
}

#[test]
fn of_what_sdks_read_a_command_inherits_only_how_aws_is_asked() {
    let names = [
        "AMAZON_ACCESS_KEY_ID",
        "AWS_ACCESS_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CREDENTIAL_PROFILES_FILE",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_PROFILE",
        "AWS_SECRET_KEY",
        "AWS_SSO_SOMETHING_NEW",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ];
    assert_eq!(removed(&names.map(|name| (name, "x")), Files::Kept), [&names[..4], &names[5..]].concat());
    for name in ["AWS_ENDPOINT_URL_STS", "AWS_EC2_METADATA_DISABLED", "AWS_CLI_AUTO_PROMPT", "AWS_S3_BUCKET", "PATH"] {
        assert_eq!(removed(&[(name, "x")], Files::Hidden), [""; 0], "{name}");
    }
    let lines: Vec<_> = VARIABLES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(
        lines.iter().all(|line| ["inherited ", "withheld ", "text "].iter().any(|verdict| line.starts_with(verdict)))
    );
}

#[test]
fn files_are_hidden_unless_they_are_wanted() {
    let variables = FILES.map(|file| (file, "/home/alex/file"));
    assert_eq!(removed(&variables, Files::Kept), [""; 0]);
    let hidden = changes(&environment(&variables), Files::Hidden).unwrap();
    assert_eq!(hidden, changes(&[], Files::Hidden).unwrap(), "whether they are set or not");
    for file in FILES {
        assert_eq!(hidden[OsStr::new(file)], Some("/dev/null".into()));
    }
}

#[test]
fn properties_of_java_that_give_credentials_are_refused() {
    let refusal = |value: &str| changes(&environment(&[("MAVEN_OPTS", value)]), Files::Hidden).err();
    let leading = [
        "-Daws.accessKeyId=AKIA",
        "-Xmx1g -Daws.region=eu-west-1 -Daws.profile=x",
        "-Daws.somethingNew=1",
        "'-Daws.secretKey=x'",
        r#"-D"aws.profile"=x"#,
        "-D aws.profile=x",
        "--define aws.profile=x",
        "--define=aws.profile=x",
    ];
    for value in leading {
        let refusal = refusal(value).unwrap();
        assert!(refusal.line().contains("MAVEN_OPTS has -Daws."), "{}", refusal.line());
        assert_eq!(refusal.kind(), crate::error::Kind::Usage);
    }
    let others = [
        "",
        "-Xmx1g",
        "-Daws.region=eu-west-1",
        "-Daws.endpointUrlS3=https://example.com -Daws.crt.x=1",
        "-Daws.s3.bucket=artifacts",
    ];
    for value in others {
        assert_eq!(refusal(value), None, "{value}");
    }
}

#[test]
fn files_of_options_of_java_are_looked_into() {
    let file = temp_dir().join(format!("daypass-java-{}", Uuid::new_v4()));
    let path = file.to_str().unwrap();
    let refusal = |name: &str, value: &str| {
        changes(&environment(&[(name, value)]), Files::Hidden).err().map(|error| error.line())
    };
    let named = [
        ("JDK_JAVA_OPTIONS", format!("-Xmx1g @{path}")),
        ("MAVEN_OPTS", format!("@'{path}'")),
        ("JAVA_TOOL_OPTIONS", format!("-XX:VMOptionsFile={path}")),
    ];
    for (name, value) in &named {
        let missing = refusal(name, value).unwrap();
        assert!(missing.contains(&format!("{name} names options of Java in {path}, unreadable")), "{missing}");
    }
    fs::write(&file, "-Xmx1g\n-Daws.profile=x\n").unwrap();
    for (name, value) in &named {
        let refused = refusal(name, value).unwrap();
        assert!(refused.contains(&format!("in {path}, and in these -Daws.profile")), "{refused}");
    }
    fs::write(&file, "-Xmx1g\n-Daws.region=eu-west-1\n").unwrap();
    for (name, value) in &named {
        assert_eq!(refusal(name, value), None);
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(refusal("NODE_OPTIONS", "--require @scope/package"), None, "no options of Java");
}

#[test]
fn loopback_is_asked_without_a_proxy_whatever_is_set() {
    let hosts = |variables: &[(&str, &str)]| without_proxy(&environment(variables));
    assert_eq!(hosts(&[]), "127.0.0.1,localhost,::1");
    assert_eq!(hosts(&[("NO_PROXY", ""), ("no_proxy", ".corp , localhost,")]), ".corp,localhost,127.0.0.1,::1");
    assert_eq!(hosts(&[("NO_PROXY", "*"), ("no_proxy", "a,b")]), "*", "nobody is asked through one");
    let changes = changes(&environment(&[("NO_PROXY", ".corp")]), Files::Kept).unwrap();
    assert_eq!(changes[OsStr::new("no_proxy")], changes[OsStr::new("NO_PROXY")]);
}
