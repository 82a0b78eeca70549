//! Telnet option numbers, with the usual short names (`TELOPT_*` in `<arpa/telnet.h>`).

use alloc::borrow::Cow;
use alloc::format;

macro_rules! options {
    ($($name:ident = $number:literal, $source:literal;)*) => {
        $(#[doc = $source] pub const $name: u8 = $number;)*

        /// Returns the name of a telnet option, or its decimal number if it is unknown.
        #[must_use]
        pub fn name(option: u8) -> Cow<'static, str> {
            match option {
                $($name => Cow::Borrowed(stringify!($name)),)*
                other => Cow::Owned(format!("{other}")),
            }
        }
    };
}

options! {
    BINARY = 0, "Binary transmission, RFC 856.";
    ECHO = 1, "Echo, RFC 857.";
    SGA = 3, "Suppress go-ahead, RFC 858.";
    STATUS = 5, "Status, RFC 859.";
    TM = 6, "Timing mark, RFC 860.";
    LOGOUT = 18, "Logout, RFC 727.";
    SNDLOC = 23, "Send location, RFC 779.";
    TTYPE = 24, "Terminal type, RFC 1091.";
    EOR = 25, "End of record, RFC 885.";
    NAWS = 31, "Window size, RFC 1073.";
    TSPEED = 32, "Terminal speed, RFC 1079.";
    LFLOW = 33, "Remote flow control, RFC 1372.";
    LINEMODE = 34, "Line mode, RFC 1184.";
    XDISPLOC = 35, "X display location, RFC 1096.";
    NEW_ENVIRON = 39, "Environment, RFC 1572.";
    CHARSET = 42, "Character set, RFC 2066.";
    MSDP = 69, "MUD server data protocol.";
    MSSP = 70, "MUD server status protocol.";
    MCCP2 = 86, "MUD client compression, version 2: from the server.";
    MCCP3 = 87, "MUD client compression, version 3: from the client.";
    MSP = 90, "MUD sound protocol.";
    MXP = 91, "MUD extension protocol.";
    GMCP = 201, "Generic MUD communication protocol.";
}
