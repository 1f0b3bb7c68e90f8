//! gRPC's health checking protocol (`grpc.health.v1.Health`): what `/readyz` says, for whoever asks by gRPC. The service
//! with the empty name is serin as a whole; each configured service is known by its name and is as ready as the whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Version, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::mpsc;

use super::grpc::{Status, stream, unary};
use super::serve::{Admin, Phase};
use crate::plan::Rpc;
use crate::wire::grpc::{Code, decode, encode};
use crate::wire::grpc_health::{
    CHECK, HealthCheckRequest, HealthCheckResponse, HealthListResponse, LIST, ServingStatus, WATCH,
};

/// How often a watched service is looked for in the plan: services come and go with a reload.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);

/// The routes of the health service.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new()
        .route(CHECK, post(check))
        .route(WATCH, post(watch))
        .route(LIST, post(list))
        .route("/grpc.health.v1.Health/{method}", post(unimplemented))
        .layer(from_fn(only_grpc))
}

/// gRPC needs HTTP/2, whose trailers carry the status, and says what it is.
async fn only_grpc(request: Request, next: Next) -> Response {
    let is_grpc = request.version() == Version::HTTP_2 && Rpc::of(request.headers()) == Some(Rpc::Grpc);
    if is_grpc { next.run(request).await } else { NotGrpc.into_response() }
}

/// "Servers must respond with 415" (gRPC over HTTP2).
struct NotGrpc;

impl IntoResponse for NotGrpc {
    fn into_response(self) -> Response {
        let detail = "Health checks here are gRPC over HTTP/2; for HTTP there is /readyz.\n";
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, [(header::ACCEPT, "application/grpc")], detail).into_response()
    }
}

async fn check(State(admin): State<Arc<Admin>>, body: Bytes) -> Result<Response, Status> {
    let asked = read(&body)?;
    match admin.status_of(&asked.service, admin.readiness.phase()) {
        ServingStatus::ServiceUnknown => {
            Err(Status::new(Code::NotFound, format!("there is no service `{}`", asked.service)))
        }
        status => Ok(unary(encode(&HealthCheckResponse::from(status)))),
    }
}

async fn watch(State(admin): State<Arc<Admin>>, body: Bytes) -> Result<Response, Status> {
    let asked = read(&body)?;
    let (sender, messages) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut phases = admin.readiness.watch();
        let mut told = None;
        loop {
            let phase = *phases.borrow_and_update();
            let status = admin.status_of(&asked.service, phase);
            if told.replace(status) != Some(status)
                && sender.send(encode(&HealthCheckResponse::from(status))).await.is_err()
            {
                return;
            }
            tokio::select! {
                // Never an error: `admin` holds the other end.
                _ = phases.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = sender.closed() => return,
            }
        }
    });
    Ok(stream(messages))
}

async fn list(State(admin): State<Arc<Admin>>) -> Response {
    let phase = admin.readiness.phase();
    let plan = admin.plan();
    let names = plan.services.iter().map(|service| &*service.name).chain([""]);
    let statuses: BTreeMap<_, _> = names.map(|name| (name.to_owned(), of_phase(phase).into())).collect();
    unary(encode(&HealthListResponse { statuses }))
}

async fn unimplemented() -> Status {
    Status::new(Code::Unimplemented, "Check, Watch and List are what there is")
}

impl Admin {
    fn status_of(&self, service: &str, phase: Phase) -> ServingStatus {
        if service.is_empty() || self.plan().service_named(service).is_some() {
            of_phase(phase)
        } else {
            ServingStatus::ServiceUnknown
        }
    }
}

fn of_phase(phase: Phase) -> ServingStatus {
    if phase == Phase::Ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}

fn read(body: &[u8]) -> Result<HealthCheckRequest, Status> {
    decode(body).map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))
}
