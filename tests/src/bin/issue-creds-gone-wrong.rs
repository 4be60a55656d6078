//! The function issue-creds, real but for one thing: when STS has issued the credentials, it goes wrong in the way that
//! its argument names. The scenario `secrets` puts it in the function's place.

use std::{env, process::ExitCode, thread};

use aws_sdk_sts::{Client, config::Builder, operation::assume_role::AssumeRoleOutput};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::AfterDeserializationInterceptorContextRef, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use daypass_issue_creds::IssueCreds;
use daypass_lambda::{connect, main as serve, setting};

/// What happens while the credentials are in memory.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// Nothing: it serves.
    Nothing,
    /// A panic that says them, as a careless `expect` or a slice of a string would.
    Panic,
    /// It never comes back.
    Hang,
}

#[dyn_dispatch_hint]
impl Intercept for Wrong {
    fn name(&self) -> &'static str {
        "Wrong"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let output = context.output_or_error().ok().and_then(|output| output.downcast_ref::<AssumeRoleOutput>());
        let Some(issued) = output.and_then(AssumeRoleOutput::credentials) else { return Ok(()) };
        match self {
            Self::Nothing => Ok(()),
            Self::Panic => {
                panic!("{} {} {}", issued.access_key_id(), issued.secret_access_key(), issued.session_token())
            }
            Self::Hang => loop {
                thread::park();
            },
        }
    }
}

fn main() -> ExitCode {
    let wrong = match env::args().nth(1).as_deref() {
        Some("panic") => Wrong::Panic,
        Some("hang") => Wrong::Hang,
        _ => Wrong::Nothing,
    };
    serve(|| {
        let client = Client::from_conf(Builder::from(&connect()?).interceptor(wrong).build());
        Ok(IssueCreds::new(client, setting("DAYPASS_PIPELINE_ROLE_ARN")?))
    })
}
