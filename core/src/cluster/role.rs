/// What is at the other end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The server that keeps the rooms.
    Broker,
    /// A Sentinel, which tells the address of the server.
    Sentinel,
}
