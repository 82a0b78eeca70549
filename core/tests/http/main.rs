//! Listeners that speak HTTP, WebSocket or any protocol, alone and behind proxies.

mod auto;
mod http_listener;
mod operating;
mod operating_hostile;
mod operating_world;
mod tungstenite;
mod ws_telnet;
mod ws_telnet_cuts;
mod ws_world;
