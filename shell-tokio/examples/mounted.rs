//! A chat at `/chat` of an axum application that has its own routes and its own listener.
//!
//! ```sh
//! cargo run -p drupe-tokio --features http --example mounted 127.0.0.1:8080
//! ```

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use drupe_tokio::core::Config;
use drupe_tokio::core::app::Chat;
use drupe_tokio::shell::mount::{MountAnswer, MountRequest};
use drupe_tokio::{MountedStream, Remote, Server};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;

type Chats = Remote<<Chat as drupe_tokio::core::Handler>::Note>;

/// Lets Drupe decide about the upgrade, and hands the upgraded connection over to it.
async fn chat(State(chats): State<Chats>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let head = MountRequest::from(&request);
    match chats.mount_request("chat", peer.into(), head).await {
        Ok(MountAnswer::Upgrade(response, socket)) => {
            tokio::spawn(async move {
                // If the client is gone, dropping `socket` tells Drupe.
                if let Ok(upgraded) = hyper::upgrade::on(request).await {
                    // The stream still has the bytes that hyper read with the request.
                    socket.attach(MountedStream::new(TokioIo::new(upgraded)), []);
                }
            });
            response.into_http::<Body>()
        }
        // A refusal, such as 403 for a page of another origin, or 503 in a drain.
        Ok(MountAnswer::Response(response)) => response.into_http::<Body>(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

#[expect(clippy::print_stdout, reason = "it prints its address")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `mounted:chat` binds nothing. Limits, metrics and the drain are those of every listener.
    let config = Config::listening(["ws://mounted:chat/chat".parse()?]);
    let server = Server::bind(config, Chat::default())?.drain_on_signals()?;
    let routes = Router::new()
        .route("/", get(async || "the application's own page\n"))
        .route("/chat", get(chat))
        .with_state(server.remote())
        .into_make_service_with_connect_info::<SocketAddr>();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // The drain of Drupe, on SIGINT and SIGTERM, ends both. Requests of the routes may finish.
    let (drained, ended) = tokio::sync::oneshot::channel::<()>();
    let serve = axum::serve(listener, routes).with_graceful_shutdown(async { drop(ended.await) });
    let serve = tokio::spawn(serve.into_future());
    server.run().await?;
    drop(drained);
    serve.await??;
    Ok(())
}
