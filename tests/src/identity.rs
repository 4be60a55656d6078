//! Identity tokens of runs, as the engine's issuers give them, in the envelope that a pipeline puts them in.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{aws::Call, pipeline::Request, stack::Stack};

impl Stack {
    /// A token in its envelope, as a pipeline makes it: with the invoker's credentials, and the example's script.
    pub async fn seal(&self, token: &str) -> String {
        let body = json!({"KeyId": self.names.token_key}).to_string();
        let call = Call::Json("kms", "TrentService.GetPublicKey", &body);
        let answer = self.invoker.call(&call).await.unwrap_or_else(|refused| panic!("{refused}"));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let key = answer["PublicKey"].as_str().expect("a public key");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/seal-identity-token.mjs");
        let mut node = Command::new("node");
        let mut node = node.arg(script).arg(key).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Node.js");
        node.stdin.take().expect("its input").write_all(token.as_bytes()).expect("it reads");
        let output = node.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("ASCII").trim().to_owned()
    }

    /// A sealed token of `issuer` with these claims changed, of a job that no other token is of unless they say so.
    pub async fn sealed_token(&self, issuer: &str, claims: &Value) -> String {
        let job = if issuer == "github" { "check_run_id" } else { "job_id" };
        let mut all = json!({job: new_job()});
        all.as_object_mut().expect("an object").extend(claims.as_object().expect("claims").clone());
        self.seal(&self.engine.identity_token(issuer, &json!({"claims": all})).await).await
    }

    /// The same request with proof: a job of its own at GitHub, of a run that its person has triggered on its branch.
    pub async fn proven(&self, request: Request) -> Request {
        let field = |name: &str| request.body[name].as_str().expect(name).to_owned();
        let (email, branch) = (field("email"), field("branch"));
        let login = email.split('@').next().expect("a login");
        let claims = json!({"actor": login, "ref": format!("refs/heads/{branch}")});
        let token = self.sealed_token("github", &claims).await;
        request.with("identity_token", token)
    }
}

/// The number of a job that nobody has used.
#[must_use]
pub fn new_job() -> String {
    Uuid::new_v4().as_u64_pair().0.to_string()
}
