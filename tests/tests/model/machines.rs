//! The machines as they are deployed: `statemachine/*.asl.json`, read and played.
//!
//! What is played is what the definitions use: tasks, choices, waits, and the two ends, with `Retry` and `Catch`. Paths such as
//! `$ending.role_arn` are looked up; every other expression has to stand in [`known`] with exactly this text, so that a new
//! one is an error here until somebody has said what it means.

use std::{fs, path::Path, rc::Rc};

use serde_json::{Map, Value, json};

/// What a task calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A function by its name in the definition.
    Function(String),
    /// The start of the deprovision machine.
    Start,
    /// A token is noted as used.
    UseToken,
    /// A message to the operators.
    Tell,
}

#[derive(Clone, Debug)]
pub struct Retrier {
    errors: Vec<String>,
    pub attempts: u64,
}

#[derive(Clone, Debug)]
pub struct Catcher {
    errors: Vec<String>,
    pub assign: Option<Value>,
    pub next: String,
}

#[derive(Clone, Debug)]
pub struct Branch {
    pub condition: String,
    pub assign: Option<Value>,
    pub next: String,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Task {
        call: Call,
        arguments: Value,
        retry: Vec<Retrier>,
        catch: Vec<Catcher>,
    },
    Choice {
        choices: Vec<Branch>,
        default: String,
    },
    /// Until a moment, as an expression; none: for some seconds.
    Wait(Option<String>),
    Succeed,
    Fail,
}

#[derive(Clone, Debug)]
pub struct State {
    pub name: String,
    pub kind: Kind,
    pub assign: Option<Value>,
    pub next: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Machine {
    pub name: &'static str,
    pub start: usize,
    pub states: Vec<Rc<State>>,
}

/// The definition as it is in the repository.
pub fn document(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../statemachine/{name}.asl.json"));
    serde_json::from_str(&fs::read_to_string(path).expect("a definition")).expect("JSON")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn errors(value: &Value) -> Vec<String> {
    value["ErrorEquals"].as_array().expect("errors").iter().map(text).collect()
}

/// Whether a list of error names has this one.
fn has(errors: &[String], error: &str) -> bool {
    errors.iter().any(|it| it == error || (it == "States.ALL" && error != "States.DataLimitExceeded"))
}

impl Machine {
    pub fn read(name: &'static str, document: &Value) -> Self {
        let states = document["States"].as_object().expect("states");
        let states: Vec<_> = states.iter().map(|(name, state)| Rc::new(State::read(name, state))).collect();
        let start = text(&document["StartAt"]);
        let start = states.iter().position(|it| it.name == start).expect("the first state");
        Self { name, start, states }
    }

    pub fn index(&self, name: &str) -> usize {
        let found = self.states.iter().position(|it| it.name == name);
        found.unwrap_or_else(|| panic!("{} has no state {name}", self.name))
    }
}

impl State {
    fn read(name: &str, state: &Value) -> Self {
        let list = |field: &str| state[field].as_array().cloned().unwrap_or_default();
        let kind = match text(&state["Type"]).as_str() {
            "Task" => {
                let call = match text(&state["Resource"]).as_str() {
                    "arn:aws:states:::lambda:invoke" => {
                        let function = text(&state["Arguments"]["FunctionName"]);
                        Call::Function(function.trim_matches(['$', '{', '}']).to_owned())
                    }
                    "arn:aws:states:::states:startExecution" => Call::Start,
                    "arn:aws:states:::dynamodb:putItem" => Call::UseToken,
                    "arn:aws:states:::sns:publish" => Call::Tell,
                    other => panic!("{name}: the model does not know the resource {other}"),
                };
                let retry = list("Retry").into_iter().map(|ref it| Retrier {
                    errors: errors(it),
                    attempts: it.get("MaxAttempts").map_or(3, |it| it.as_u64().expect("a number")),
                });
                let catch = list("Catch").into_iter().map(|ref it| Catcher {
                    errors: errors(it),
                    assign: it.get("Assign").cloned(),
                    next: text(&it["Next"]),
                });
                let arguments = state["Arguments"].clone();
                Kind::Task { call, arguments, retry: retry.collect(), catch: catch.collect() }
            }
            "Choice" => {
                let choices = list("Choices").into_iter().map(|ref it| Branch {
                    condition: text(&it["Condition"]),
                    assign: it.get("Assign").cloned(),
                    next: text(&it["Next"]),
                });
                Kind::Choice { choices: choices.collect(), default: text(&state["Default"]) }
            }
            "Wait" => Kind::Wait(state.get("Timestamp").map(text)),
            "Succeed" => Kind::Succeed,
            "Fail" => Kind::Fail,
            other => panic!("{name}: the model does not know the type {other}"),
        };
        let next = state.get("Next").map(text);
        Self { name: name.to_owned(), kind, assign: state.get("Assign").cloned(), next }
    }

    /// How often it is tried again at most.
    pub fn patience(&self) -> u64 {
        let Kind::Task { retry, .. } = &self.kind else { return 0 };
        retry.iter().map(|it| it.attempts).max().unwrap_or(0)
    }

    /// How often the error is tried again.
    pub fn attempts(&self, error: &str) -> u64 {
        let Kind::Task { retry, .. } = &self.kind else { return 0 };
        retry.iter().find(|it| has(&it.errors, error)).map_or(0, |it| it.attempts)
    }

    pub fn catcher(&self, error: &str) -> Option<&Catcher> {
        let Kind::Task { catch, .. } = &self.kind else { return None };
        catch.iter().find(|it| has(&it.errors, error))
    }
}

/// What expressions see.
pub struct Scope<'a> {
    pub variables: &'a Map<String, Value>,
    /// `$states`.
    pub states: Value,
}

/// An expression that has no value: `States.QueryEvaluationError`.
#[derive(Debug)]
pub struct Undefined;

impl Scope<'_> {
    /// A template, with the values of its expressions.
    pub fn evaluate(&self, template: &Value) -> Result<Value, Undefined> {
        match template {
            Value::String(text) if text.starts_with("{%") => self.expression(text).ok_or(Undefined),
            Value::Array(list) => list.iter().map(|it| self.evaluate(it)).collect(),
            Value::Object(map) => {
                map.iter().map(|(name, it)| Ok((name.clone(), self.evaluate(it)?))).collect::<Result<_, _>>()
            }
            other => Ok(other.clone()),
        }
    }

    /// Nothing when it is undefined.
    pub fn expression(&self, text: &str) -> Option<Value> {
        let inner = text.trim_start_matches("{%").trim_end_matches("%}").trim();
        let is_path =
            |it: &str| it.starts_with('$') && it[1..].chars().all(|c| c.is_alphanumeric() || "._".contains(c));
        if is_path(inner) { self.path(inner) } else { self.known(inner) }
    }

    fn path(&self, path: &str) -> Option<Value> {
        let mut names = path.trim_start_matches('$').split('.');
        let first = names.next()?;
        let mut value = if first == "states" { &self.states } else { self.variables.get(first)? };
        for name in names {
            value = value.get(name)?;
        }
        Some(value.clone())
    }

    fn is(&self, path: &str, value: &Value) -> bool {
        self.path(path).as_ref() == Some(value)
    }

    fn exists_not_null(&self, path: &str) -> bool {
        self.path(path).is_some_and(|it| !it.is_null())
    }

    /// The error as a caller is told it: `other` is for what AWS refuses the machine itself.
    fn told_error(&self, refused: &str) -> Option<Value> {
        let error = self.path("$failure.Error")?;
        let text = error.as_str()?;
        let is_refusal = ["AccessDenied", "NotFound", "DoesNotExist"].iter().any(|it| text.contains(it));
        Some(match text {
            _ if text.starts_with("Daypass.") => error,
            _ if is_refusal || text.starts_with("Lambda.KMS") => json!(refused),
            _ => json!("Daypass.AwsUnavailable"),
        })
    }

    /// Everything that is more than a path. Reasons are one word: no decision reads them, and as many texts would be as
    /// many states.
    fn known(&self, text: &str) -> Option<Value> {
        const FAILURE: &str =
            "$merge([{'State': $states.context.State.Name, 'Cause': 'it gave no reason'}, $states.errorOutput])";
        let or_null = |path: &str| Some(self.path(path).unwrap_or(Value::Null));
        match text {
            FAILURE => {
                Some(json!({"State": "a state", "Cause": "a reason", "Error": self.path("$states.errorOutput.Error")?}))
            }
            "$exists($states.input.identity_token) ? $states.input.identity_token : null" => {
                or_null("$states.input.identity_token")
            }
            "$proof.provider = 'gitlab' and $exists($proof.job_id) ? 'job' : $transaction.transaction_id" => {
                let of_job = self.is("$proof.provider", &json!("gitlab")) && self.path("$proof.job_id").is_some();
                if of_job { Some(json!("job")) } else { self.path("$transaction.transaction_id") }
            }
            "$string($proof.token_ends_at)" => Some(json!(self.path("$proof.token_ends_at")?.to_string())),
            // The time is up as soon as an error has outlasted its retries: more of them show nothing new. While nothing has failed
            // there is time; that there is none would be as an error of the state before, the request fails in the same way.
            "$millis() - $toMillis($states.context.Execution.StartTime) >= 103000" => {
                Some(json!(self.exists_not_null("$failure")))
            }
            "$refusal != null" => Some(json!(self.exists_not_null("$refusal"))),
            "$proof != null" => Some(json!(self.exists_not_null("$proof"))),
            "$recorded = 'denied' and $denial != null" => {
                Some(json!(self.is("$recorded", &json!("denied")) && self.exists_not_null("$denial")))
            }
            "$failure.Error = 'Daypass.TransactionConflict'" => {
                Some(json!(self.is("$failure.Error", &json!("Daypass.TransactionConflict"))))
            }
            "$not($exists($states.input.expires_at))" => Some(json!(self.path("$states.input.expires_at").is_none())),
            "$exists($ending.role_may_exist) ? $not($ending.role_may_exist) : false" => {
                Some(json!(self.is("$ending.role_may_exist", &json!(false))))
            }
            "$not($ending.role_may_exist)" => Some(json!(!self.is("$ending.role_may_exist", &json!(true)))),
            "$deleted_before.existed = true ? $deleted_before : $states.result.Payload" => {
                let before = self.is("$deleted_before.existed", &json!(true));
                self.path(if before { "$deleted_before" } else { "$states.result.Payload" })
            }
            "{'transaction_id': $transaction.transaction_id, 'role_arn': $transaction.role_arn, 'role_created_at': $role.created_at}" =>
            {
                let fields = [
                    ("transaction_id", "$transaction.transaction_id"),
                    ("role_arn", "$transaction.role_arn"),
                    ("role_created_at", "$role.created_at"),
                ];
                let fields = fields.iter().filter_map(|(name, path)| Some(((*name).to_owned(), self.path(path)?)));
                Some(fields.collect::<Map<_, _>>().into())
            }
            "$merge([$states.result.Payload, {'sealed_credentials': $sealed_credentials}])" => {
                let mut merged = self.path("$states.result.Payload")?;
                merged["sealed_credentials"] = self.path("$sealed_credentials")?;
                Some(merged)
            }
            r"$contains($failure.Error, /^Daypass\./) ? $failure.Error : $contains($failure.Error, /AccessDenied|NotFound|DoesNotExist|^Lambda\.KMS/) ? 'Daypass.HubRefused' : 'Daypass.AwsUnavailable'" => {
                self.told_error("Daypass.HubRefused")
            }
            r"$contains($failure.Error, /^Daypass\./) ? $failure.Error : 'Daypass.AwsUnavailable'" => {
                self.told_error("Daypass.AwsUnavailable")
            }
            // The random part is what makes a name a new one: whoever starts adds a number.
            "$transaction.transaction_id & '-cleanup-' & $substring($uuid(), 0, 8)" => {
                Some(json!(format!("{}-cleanup", self.path("$transaction.transaction_id")?.as_str()?)))
            }
            "$type($states.input.transaction_id) = 'string' ? $replace($substring($states.input.transaction_id, 0, 64), /[^ -~]/, '?') : ''" => {
                or_null("$states.input.transaction_id")
            }
            _ if text.contains("$failure.Cause") => Some(json!("a reason")),
            _ => panic!("the model does not know the expression {text}: say in machines.rs what it means"),
        }
    }
}
