//! A game for two teams.
//!
//! Moves go to all other players, plans to the player's team, and rounds to everyone.
//!
//! Try `nc 127.0.0.1 7777`, then `/team red`, `/move 3 4`, `/plan left flank`.

use drupe_tokio::Server;
use drupe_tokio::core::kit::{App, Cx, MessageError, RequireScope, RoomRules, Router, Scope, Service};
use drupe_tokio::core::{Config, Identity, NoNote};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;
use std::time::Duration;

#[derive(Default)]
struct Game {
    round: u32,
}

impl App for Game {
    type Context = Option<Team>;
    type Note = NoNote;
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Team {
    Red,
    Blue,
}

impl Team {
    fn room(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Blue => "blue",
        }
    }
}

#[derive(Deserialize)]
struct Move {
    x: i32,
    y: i32,
}

#[derive(Deserialize)]
struct Plan {
    text: String,
}

#[derive(Deserialize)]
struct Choose {
    team: Team,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Update<'a> {
    Moved { player: String, x: i32, y: i32 },
    Plan { text: &'a str },
    Round { number: u32 },
}

impl fmt::Display for Update<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { player, x, y } => write!(f, "{player} moved to {x}, {y}"),
            Self::Plan { text } => write!(f, "plan: {}", drupe_tokio::core::text::neutralize(text)),
            Self::Round { number } => write!(f, "round {number}"),
        }
    }
}

/// Sends a move to all other players.
fn step(_: &mut Game, cx: &mut Cx<'_, Game>, Move { x, y }: Move) -> Result<(), MessageError> {
    let player = cx.conn().to_string();
    cx.publish("field", &Update::Moved { player, x, y })?;
    Ok(())
}

/// Sends a plan to the player's team, including the player.
fn plan(_: &mut Game, cx: &mut Cx<'_, Game>, Plan { text }: Plan) -> Result<(), MessageError> {
    let team = cx.context().ok_or(MessageError::new("no_team", "choose a team first: /team red or /team blue"))?;
    cx.scope().publish_as(team.room(), &Update::Plan { text: &text });
    Ok(())
}

fn team(_: &mut Game, cx: &mut Cx<'_, Game>, Choose { team }: Choose) -> Result<(), MessageError> {
    let conn = cx.conn();
    if let Some(before) = cx.context().replace(team) {
        cx.hub.leave(conn, before.room());
    }
    cx.join(team.room())?;
    Ok(())
}

fn next_round(game: &mut Game, scope: &mut Scope<'_, Game>) {
    game.round += 1;
    scope.publish_as("field", &Update::Round { number: game.round });
}

fn service() -> Service<Game> {
    let referee =
        Router::new().guard(RequireScope("referee")).on("round", |game, cx, (): ()| next_round(game, &mut cx.scope()));
    let router = Router::new().on("move", step).on("plan", plan).on("team", team).nest("referee", referee);
    Service::new(Game::default())
        .router(router)
        .rooms(RoomRules::all_open())
        .on_open(|_, cx| cx.join("field"))
        .on_text(|_, cx, text: &str| {
            // This word authenticates the referee.
            let conn = cx.conn();
            if text == "whistle" {
                cx.hub.identify(conn, Identity::user("referee").with_scopes(["*"]));
            }
        })
        .every(Duration::from_secs(60), next_round)
}

#[expect(clippy::print_stdout, reason = "it prints its address")]
fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("auto://127.0.0.1:7777".into());
    let server = Server::bind(Config::listening([address.parse()?]), service())?.drain_on_signals()?;
    println!("listening on {}", server.addresses()[0]);
    server.run_blocking()?;
    Ok(())
}
