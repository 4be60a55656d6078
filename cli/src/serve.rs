//! Credentials for one command, over HTTP on loopback: the contract of container credentials.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>. SDKs ask again when a session is
//! about to end, so that a command that runs for hours never sees one that has.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::{net::TcpListener, time::sleep};

use crate::client::{role_session::RoleSession, secret::Secret, time::now};

/// How long it waits before it listens again, when a connection could not be taken.
const AFTER_REFUSED: Duration = Duration::from_millis(50);

/// The latest session; whoever renews it puts the next one here.
#[derive(Clone)]
pub struct Current(Arc<Mutex<RoleSession>>);

impl Current {
    /// Begins with this one.
    pub fn new(session: RoleSession) -> Self {
        Self(Arc::new(Mutex::new(session)))
    }

    /// The session.
    pub fn get(&self) -> RoleSession {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts the next one there.
    pub fn put(&self, session: RoleSession) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

/// The endpoint.
pub struct Server {
    listener: TcpListener,
    guarded: Arc<GuardedSession>,
}

/// The session, and what a request needs to get it.
struct GuardedSession {
    path: Secret,
    token: Secret,
    role_arn: String,
    current: Current,
}

impl Server {
    /// Listens on a free port of 127.0.0.1, which is where SDKs allow plain HTTP. Path and token are random.
    ///
    /// # Errors
    /// When there is no port, or no randomness.
    pub async fn listen(role_arn: &str, current: Current) -> io::Result<Self> {
        let (path, token) = (Secret::new(format!("/{}", random()?)), Secret::new(random()?));
        let guarded = GuardedSession { path, token, role_arn: role_arn.to_owned(), current };
        Ok(Self { listener: TcpListener::bind(("127.0.0.1", 0)).await?, guarded: Arc::new(guarded) })
    }

    /// What the command has to have in its environment.
    pub fn variables(&self) -> io::Result<[(&'static str, String); 2]> {
        let url = format!("http://{}{}", self.listener.local_addr()?, self.guarded.path.expose());
        Ok([
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", self.guarded.token.expose().to_owned()),
        ])
    }

    /// Answers until it is dropped.
    pub async fn run(&self) -> Infallible {
        loop {
            // A connection that cannot be taken is lost for its client, and for nobody else. When files have run out, they
            // need a moment.
            let Ok((stream, _)) = self.listener.accept().await else {
                sleep(AFTER_REFUSED).await;
                continue;
            };
            let guarded = Arc::clone(&self.guarded);
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let answer = guarded.answer(
                        request.method(),
                        request.uri().path(),
                        request.headers().get(AUTHORIZATION).map(hyper::header::HeaderValue::as_bytes),
                    );
                    async move { Ok::<_, Infallible>(answer) }
                });
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

impl GuardedSession {
    fn answer(&self, method: &Method, path: &str, authorization: Option<&[u8]>) -> Response<Full<Bytes>> {
        let same = |given: &[u8], wanted: &Secret| given.ct_eq(wanted.expose().as_bytes());
        let known = same(path.as_bytes(), &self.path) & same(authorization.unwrap_or_default(), &self.token);
        if method != Method::GET || !bool::from(known) {
            return response(
                StatusCode::FORBIDDEN,
                &json!({"code": "AccessDenied", "message": "unknown path or token"}),
            );
        }
        let session = self.current.get();
        if session.expires_at <= now() {
            let message = "the session has ended, and could not be renewed: daypass has said why on stderr";
            return response(StatusCode::SERVICE_UNAVAILABLE, &json!({"code": "ExpiredToken", "message": message}));
        }
        let credentials = json!({
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key.expose(),
            "Token": session.session_token.expose(),
            "Expiration": session.expires_at,
            "RoleArn": self.role_arn,
        });
        response(StatusCode::OK, &credentials)
    }
}

fn response(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn random() -> io::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn session(secret: &str, lasting: i64) -> RoleSession {
        let now = now().unix_seconds();
        RoleSession {
            access_key_id: "ASIA".to_owned(),
            secret_access_key: Secret::new(secret),
            session_token: Secret::new("FwoGZ"),
            expires_at: daypass::timestamp::Timestamp::from_unix_seconds(now + lasting),
            renew_at: None,
        }
    }

    async fn body(response: Response<Full<Bytes>>) -> serde_json::Value {
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn only_who_knows_path_and_token_is_let_in() {
        let current = Current::new(session("wJalr", 3600));
        let server = Server::listen("arn:aws:iam::222222222222:role/x", current.clone()).await.unwrap();
        let guarded = &server.guarded;
        let (path, token) = (guarded.path.expose(), guarded.token.expose());
        assert!(path.len() > 40 && token.len() > 40, "nobody guesses them");
        let refused = [
            (Method::GET, path, None),
            (Method::GET, path, Some("")),
            (Method::GET, path, Some(&token[1..])),
            (Method::GET, path, Some(path)),
            (Method::GET, "/", Some(token)),
            (Method::GET, "", Some(token)),
            (Method::POST, path, Some(token)),
        ];
        for (method, path, token) in refused {
            let answer = guarded.answer(&method, path, token.map(str::as_bytes));
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {path} {token:?}");
            assert!(!body(answer).await.to_string().contains("wJalr"));
        }
        let answer = guarded.answer(&Method::GET, path, Some(token.as_bytes()));
        assert_eq!(answer.status(), StatusCode::OK);
        let expected = json!({
            "AccessKeyId": "ASIA", "SecretAccessKey": "wJalr", "Token": "FwoGZ", "Expiration": current.get().expires_at,
            "RoleArn": "arn:aws:iam::222222222222:role/x",
        });
        assert_eq!(body(answer).await, expected);
    }

    #[tokio::test]
    async fn a_session_that_has_ended_is_not_given_out() {
        let current = Current::new(session("wJalr", 0));
        let server = Server::listen("role", current.clone()).await.unwrap();
        let ask = || {
            server.guarded.answer(
                &Method::GET,
                server.guarded.path.expose(),
                Some(server.guarded.token.expose().as_bytes()),
            )
        };
        assert_eq!(ask().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!body(ask()).await.to_string().contains("wJalr"));
        current.put(session("next", 3600));
        assert_eq!(body(ask()).await["SecretAccessKey"], "next");
    }

    #[tokio::test]
    async fn it_answers_over_http_on_loopback() {
        let server = Server::listen("role", Current::new(session("wJalr", 3600))).await.unwrap();
        let [(_, url), (_, token)] = server.variables().unwrap();
        let address = url.strip_prefix("http://").unwrap();
        let (host, path) = address.split_once('/').unwrap();
        assert!(host.starts_with("127.0.0.1:"), "{host}");
        let ask = async |token: &str| {
            let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
            let request =
                format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {token}\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let client = async {
            // Somebody who says nothing keeps nobody else from being answered.
            let _silent = tokio::net::TcpStream::connect(host).await.unwrap();
            (ask(&token).await, ask("other").await)
        };
        let (granted, refused) = tokio::select! {
            answers = tokio::time::timeout(Duration::from_mins(1), client) => answers.unwrap(),
            never = server.run() => match never {},
        };
        assert!(granted.starts_with("HTTP/1.1 200") && granted.contains("wJalr"), "{granted}");
        assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("wJalr"), "{refused}");
    }
}
