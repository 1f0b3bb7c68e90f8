//! Who asks, and whether they may: looked at before every endpoint.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;

use super::connection::Peer;
use super::document::query_of;
use super::origin;
use super::problem::Problem;
use super::query;
use super::refusal::{Asked, Refusal};
use super::rights::{Need, max_body, need, roles};
use super::serve::Admin;
use crate::access::{Access, Client, Right, Role, WrongToken};
use crate::telemetry::AuthFailure;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 512;
/// Longest that the body of a change may take.
const BODY_TIME: Duration = Duration::from_secs(10);
/// The actor of changes by whoever reaches an open address.
const ANYBODY: &str = "admin-api";

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The name that is written down.
    pub(super) name: Arc<str>,
    /// By its credentials.
    role: Option<Role>,
    /// By reaching the address.
    anonymous: Option<Role>,
    proof: Proof,
    /// What it asks for.
    asked: Arc<Asked>,
}

/// How a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// By a token, which no web page has.
    Token,
    /// By a certificate, which a browser may show for any page.
    Certificate,
    /// Not at all, though a certificate was shown.
    UnknownCertificate,
    /// Not at all.
    Nothing,
}

impl Caller {
    /// The name that is written down where somebody calls themselves `claimed`: what is known of who it is comes first.
    pub(super) fn name_or(&self, claimed: Option<String>) -> String {
        let is_known = self.role.is_some() || *self.name != *ANYBODY;
        claimed.filter(|_| !is_known).unwrap_or_else(|| self.name.to_string())
    }

    /// Whether it has this right, where an endpoint asks for one or another; else the answer.
    pub(super) fn require(&self, right: Right, admin: &Admin) -> Result<(), Problem> {
        if self.may(right) {
            return Ok(());
        }
        let (name, needed) = (&self.name, roles(&[right]).join(" or "));
        let role = self.role.map_or("nobody", Role::word);
        let detail = format!("{name} is {role} here; this needs the role {needed}.");
        let refusal = Refusal::new(AuthFailure::Forbidden, StatusCode::FORBIDDEN, detail);
        Err(admin.turn_away(refusal, &self.asked))
    }

    /// Its role by its credentials; `None`: it has shown none.
    pub(super) fn role(&self) -> Option<Role> {
        self.role
    }

    /// Whether it has this right.
    pub(super) fn may(&self, right: Right) -> bool {
        [self.role, self.anonymous].into_iter().flatten().any(|role| role.may(right))
    }
}

/// Lets requests through to their endpoints with the [`Caller`] among their extensions, or turns them away.
pub(super) async fn guard(State(admin): State<Arc<Admin>>, mut request: Request, next: Next) -> Response {
    let known = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let (need, most) = (known.and_then(|at| need(request.method(), at)), known.map_or(0, max_body));
    let parameters = known.and_then(|at| query_of(request.method(), at));
    let Some(need) = need else {
        return Problem::new(StatusCode::FORBIDDEN, "It is not written down who may ask for this.").into_response();
    };
    let access = admin.access.load_full();
    let rights: &[Right] = match need {
        Need::Any(rights) => rights,
        Need::Identity => &[],
        Need::Figures if access.metrics_protected => &[Right::Read],
        Need::Figures | Need::Nothing => return next.run(request).await,
    };
    let Some(peer) = request.extensions().get::<Arc<Peer>>().map(Arc::clone) else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "It is not known who asks.").into_response();
    };
    let changes = need != Need::Identity && !rights.contains(&Right::Read);
    let mut asked = Asked {
        who: peer.name(),
        from: peer.to_string(),
        what: format!("{} {}", request.method(), request.uri().path().chars().take(200).collect::<String>()),
        changes,
    };
    let admitted = identify(&admin, &access, &peer, request.headers()).and_then(|caller| {
        if caller.role.is_some() {
            asked.who = caller.name.to_string();
        }
        if need != Need::Identity {
            authorise(&caller, rights, &access, &peer)?;
        }
        if changes {
            origin::check(&request, &access, &peer, caller.proof != Proof::Token)?;
        }
        Ok(caller)
    });
    match admitted {
        Ok(mut caller) => {
            caller.asked = Arc::new(asked);
            request.extensions_mut().insert(caller);
            // Probes and scrapers may add what they like to an address, as some do against caches.
            let parameters = parameters.filter(|_| request.uri().path().starts_with("/api/"));
            if let Some(Err(problem)) = parameters.map(|known| query::check(request.uri(), known)) {
                return problem.into_response();
            }
            let has_body = changes && request.method() != Method::DELETE;
            let request = if has_body { whole(request, most).await } else { Ok(request) };
            match request {
                Ok(request) => next.run(request).await,
                Err(problem) => problem.into_response(),
            }
        }
        Err(refusal) => admin.turn_away(refusal, &asked).into_response(),
    }
}

/// Who asks, by what they show.
fn identify(admin: &Admin, access: &Access, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let anonymous = access.anonymous();
    let caller = |name: &Arc<str>, role, proof| {
        let asked = Arc::default();
        Caller { name: Arc::clone(name), role: Some(role), anonymous, proof, asked }
    };
    let shown = headers.get(header::AUTHORIZATION).filter(|_| access.tokens.is_some());
    if let (Some(shown), Some(tokens)) = (shown, &access.tokens) {
        let token = bearer(shown).filter(|_| headers.get_all(header::AUTHORIZATION).iter().nth(1).is_none());
        let now = SystemTime::now();
        let looked = admin.memory.state().throttle.look(peer.source, Instant::now(), || match token {
            Some(token) => tokens.find(token, now).map_err(Some),
            None => Err(None),
        });
        let unauthorised = |why, detail| Err(Refusal::new(why, StatusCode::UNAUTHORIZED, detail));
        return match looked {
            Ok(Ok(token)) => Ok(caller(&token.name, token.role, Proof::Token)),
            Ok(Err(None)) => {
                unauthorised(AuthFailure::Malformed, "What is expected is one header `Authorization: Bearer TOKEN`.")
            }
            Ok(Err(Some(WrongToken::Unknown))) => unauthorised(
                AuthFailure::UnknownToken,
                "This token is nobody's: the tokens file does not have its SHA-256.",
            ),
            Ok(Err(Some(WrongToken::Expired(name)))) => {
                // Whoever has it may know so; it is worth nothing.
                let detail = format!("This token of {name} has expired: the tokens file needs a new one.");
                Err(Refusal::new(AuthFailure::ExpiredToken, StatusCode::UNAUTHORIZED, detail))
            }
            Err(wait) => {
                let detail = "Too many wrong credentials came from there; none is looked at for a while.";
                let refusal = Refusal::new(AuthFailure::TooMany, StatusCode::TOO_MANY_REQUESTS, detail);
                Err(Refusal { retry_after: Some(wait), ..refusal })
            }
        };
    }
    // A connection may outlive the certificate.
    let certificate = peer.identity.as_ref().filter(|identity| !identity.is_expired(SystemTime::now()));
    if let Some(client) = certificate.and_then(|identity| Client::find(&access.clients, identity)) {
        return Ok(caller(&client.name, client.role, Proof::Certificate));
    }
    let proof = if certificate.is_some() { Proof::UnknownCertificate } else { Proof::Nothing };
    let name = peer.uid.map_or_else(|| ANYBODY.into(), |_| peer.name().into());
    Ok(Caller { name, role: None, anonymous, proof, asked: Arc::default() })
}

/// The token in an `Authorization` (RFC 6750, section 2.1).
fn bearer(shown: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = shown.as_bytes().split_at_checked("Bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && (1..=MAX_TOKEN).contains(&token.len())).then_some(token)
}

/// Whether a caller has one of `rights`; else what it takes.
fn authorise(caller: &Caller, rights: &[Right], access: &Access, peer: &Peer) -> Result<(), Refusal> {
    if rights.iter().any(|right| caller.may(*right)) {
        return Ok(());
    }
    let needed = roles(rights).join(" or ");
    if let Some(role) = caller.role {
        let detail = format!("{} is {} here; this needs the role {needed}.", caller.name, role.word());
        return Err(Refusal::new(AuthFailure::Forbidden, StatusCode::FORBIDDEN, detail));
    }
    let detail = format!("This needs the role {needed}, {}", way_in(access, peer));
    let status = if access.knows_anybody() { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
    let why = match caller.proof {
        Proof::UnknownCertificate => AuthFailure::UnknownCertificate,
        _ => AuthFailure::NoCredentials,
    };
    Err(Refusal::new(why, status, detail))
}

/// How somebody who is nobody may become somebody.
pub(super) fn way_in(access: &Access, peer: &Peer) -> String {
    let token = "a token of the tokens file (`Authorization: Bearer TOKEN`; `serin --token-file FILE`)";
    let certificate = match &peer.identity {
        Some(shown) => format!(
            "a client certificate that `admin.clients` names, which it does not do with the one shown (subject {})",
            shown.subject()
        ),
        None => "a client certificate that `admin.clients` names".to_owned(),
    };
    match (access.tokens.is_some(), access.clients.is_empty()) {
        (true, true) => format!("and no credentials were shown: show {token}."),
        (true, false) => format!("and no credentials were shown: show {token}, or {certificate}."),
        (false, false) => format!("and no credentials were shown: show {certificate}."),
        (false, true) => {
            "which nobody has here: serin.yaml names neither `admin.tokens` nor `admin.clients`. On a loopback address or \
             a unix socket, `admin: { open: true }` lets in whoever reaches it."
                .to_owned()
        }
    }
}

/// The request with all of its body, which is there within its time.
async fn whole(request: Request, most: usize) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(BODY_TIME, to_bytes(body, most)).await {
        Ok(Ok(body)) => Ok(Request::from_parts(parts, Body::from(body))),
        Ok(Err(error)) => {
            let too_long = error.source().is_some_and(<dyn Error>::is::<LengthLimitError>);
            let status = if too_long { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            Err(Problem::new(status, format!("The body cannot be taken: {error}.")))
        }
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_follows_bearer_alone() {
        let token = |text: &str| bearer(&HeaderValue::from_str(text).expect("a value")).map(<[u8]>::to_vec);
        assert_eq!(token("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(token("bearer  abc "), Some(b"abc".to_vec()));
        assert_eq!(token(&format!("Bearer {}", "x".repeat(MAX_TOKEN))).map(|token| token.len()), Some(MAX_TOKEN));
        for wrong in ["", "Bearer", "Bearer ", "Basic YTpi", "abc", "Bearerabc", &format!("Bearer {}", "x".repeat(513))]
        {
            assert_eq!(token(wrong), None, "{wrong}");
        }
    }
}
