//! Errors as brokers send them, and what they mean.
//!
//! The texts were recorded from Redis 6.2.5, Redis 7.0.15 and Valkey 9.1.2, with RESP3. From 7.0 on, an error of
//! `redis.call` keeps its first word, and the script is named behind it; Redis 6 puts script and line before it. A missing
//! permission inside of a script is an `ERR` from 7.0 on. With `redis.pcall`, and in scripts that begin with `#!lua`, the
//! text is that of the plain command (7.0 and later).

use super::ServerErrorKind::{
    Ask, Busy, ClusterDown, Loading, MasterDown, Misconfigured, Moved, NoAuth, NoPermission, NoScript, Other,
    OutOfMemory, ReadOnly, TooFewReplicas, TryAgain, UnknownCommand, WrongPass, WrongType,
};
use super::*;
use std::format;

/// Broker, situation, text, and what it means.
const RECORDED: &[(&str, &str, &str, ServerErrorKind)] = &[
    ("all", "write to a replica", "READONLY You can't write against a read only replica.", ReadOnly),
    (
        "6.2.5",
        "the same by redis.call",
        "ERR Error running script (call to f_87a063c579e0673c6e51206062c44401893142b2): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
        ReadOnly,
    ),
    (
        "6.2.5",
        "the same by redis.pcall",
        "@user_script: 1: -READONLY You can't write against a read only replica.",
        ReadOnly,
    ),
    (
        "7.0.15",
        "the same by redis.call",
        "READONLY You can't write against a read only replica. script: 87a063c579e0673c6e51206062c44401893142b2, on @user_script:1.",
        ReadOnly,
    ),
    (
        "9.1.2",
        "the same by redis.call",
        "READONLY You can't write against a read only replica. script: on @user_script:1.",
        ReadOnly,
    ),
    ("all", "write above maxmemory", "OOM command not allowed when used memory > 'maxmemory'.", OutOfMemory),
    (
        "6.2.5",
        "the same by redis.call",
        "ERR Error running script (call to f_87a063c579e0673c6e51206062c44401893142b2): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.",
        OutOfMemory,
    ),
    (
        "6.2.5",
        "the same by redis.pcall",
        "@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.",
        OutOfMemory,
    ),
    (
        "7.0.15",
        "the same by redis.call",
        "OOM command not allowed when used memory > 'maxmemory'. script: 87a063c579e0673c6e51206062c44401893142b2, on @user_script:1.",
        OutOfMemory,
    ),
    (
        "9.1.2",
        "the same by redis.call",
        "OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:1.",
        OutOfMemory,
    ),
    ("6.2.5, 7.0.15", "EVALSHA of an unknown script", "NOSCRIPT No matching script. Please use EVAL.", NoScript),
    ("9.1.2", "EVALSHA of an unknown script", "NOSCRIPT No matching script.", NoScript),
    (
        "7.0.15",
        "command without permission",
        "NOPERM this user has no permissions to run the 'lpush' command",
        NoPermission,
    ),
    (
        "9.1.2",
        "command without permission",
        "NOPERM User lim has no permissions to run the 'lpush' command",
        NoPermission,
    ),
    (
        "7.0.15",
        "the same by redis.call",
        "ERR The user executing the script can't run this command or subcommand script: 0884a443eadaa627a69bac3d5c78926429223588, on @user_script:1.",
        NoPermission,
    ),
    (
        "9.1.2",
        "the same by redis.call",
        "ERR ACL failure in script: User lim has no permissions to run the 'lpush' command script: on @user_script:1.",
        NoPermission,
    ),
    (
        "7.0.15",
        "key without permission, also of EVAL",
        "NOPERM this user has no permissions to access one of the keys used as arguments",
        NoPermission,
    ),
    ("9.1.2", "key without permission, also of EVAL", "NOPERM No permissions to access a key", NoPermission),
    (
        "7.0.15",
        "the same by redis.call",
        "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: b9ac0c0ea59489ef452370837de035f016297c1c, on @user_script:1.",
        NoPermission,
    ),
    (
        "9.1.2",
        "the same by redis.call",
        "ERR ACL failure in script: No permissions to access a key script: on @user_script:1.",
        NoPermission,
    ),
    (
        "7.0.15",
        "channel without permission",
        "NOPERM this user has no permissions to access one of the channels used as arguments",
        NoPermission,
    ),
    ("9.1.2", "channel without permission", "NOPERM No permissions to access a channel", NoPermission),
    ("all", "key of another type", "WRONGTYPE Operation against a key holding the wrong kind of value", WrongType),
    (
        "6.2.5",
        "the same by redis.call",
        "ERR Error running script (call to f_c65d7819bdc64f2b541f5477b11f35c8c76ddb3b): @user_script:1: WRONGTYPE Operation against a key holding the wrong kind of value",
        WrongType,
    ),
    (
        "7.0.15",
        "the same by redis.call",
        "WRONGTYPE Operation against a key holding the wrong kind of value script: c65d7819bdc64f2b541f5477b11f35c8c76ddb3b, on @user_script:1.",
        WrongType,
    ),
    (
        "9.1.2",
        "the same by redis.call",
        "WRONGTYPE Operation against a key holding the wrong kind of value script: on @user_script:1.",
        WrongType,
    ),
    ("6.2.5", "unknown command", "ERR unknown command `FOO`, with args beginning with: `bar`, ", UnknownCommand),
    ("7.0.15, 9.1.2", "unknown command", "ERR unknown command 'FOO', with args beginning with: 'bar' ", UnknownCommand),
    (
        "6.2.5",
        "the same by redis.call",
        "ERR Error running script (call to f_985cd91d1c17d88d9c9e50c9f8738e9e61f3e911): @user_script:1: @user_script: 1: Unknown Redis command called from Lua script",
        UnknownCommand,
    ),
    (
        "7.0.15",
        "the same by redis.call",
        "ERR Unknown Redis command called from script script: 985cd91d1c17d88d9c9e50c9f8738e9e61f3e911, on @user_script:1.",
        UnknownCommand,
    ),
    (
        "9.1.2",
        "the same by redis.call",
        "ERR Unknown command called from script script: on @user_script:1.",
        UnknownCommand,
    ),
    ("all", "without AUTH", "NOAUTH Authentication required.", NoAuth),
    (
        "7.0.15",
        "HELLO without AUTH",
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        NoAuth,
    ),
    ("all", "HELLO with another password", "WRONGPASS invalid username-password pair or user is disabled.", WrongPass),
    ("all", "HELLO 9", "NOPROTO unsupported protocol version", Other),
    (
        "all",
        "read from a replica without its master",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        MasterDown,
    ),
    ("all", "write without enough replicas", "NOREPLICAS Not enough good replicas to write.", TooFewReplicas),
    (
        "7.0.15",
        "the same by redis.call",
        "NOREPLICAS Not enough good replicas to write. script: 87a063c579e0673c6e51206062c44401893142b2, on @user_script:1.",
        TooFewReplicas,
    ),
    (
        "6.2.5",
        "write after a failed snapshot, by redis.call",
        "ERR Error running script (call to f_87a063c579e0673c6e51206062c44401893142b2): @user_script:1: @user_script: 1: -MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
        Misconfigured,
    ),
    (
        "7.0.15",
        "write after a failed snapshot",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes",
        Misconfigured,
    ),
    (
        "9.1.2",
        "write after a failed snapshot",
        "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes",
        Misconfigured,
    ),
    (
        "6.2.5, 7.0.15",
        "while a script runs",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        Busy,
    ),
    (
        "9.1.2",
        "while a script runs",
        "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        Busy,
    ),
    ("7.0.15", "SCRIPT KILL without a script", "NOTBUSY No scripts in execution right now.", Other),
    (
        "9.1.2",
        "script that was killed",
        "ERR Script killed by user with SCRIPT KILL. script: on @user_script:1.",
        Other,
    ),
    ("7.0.15, 9.1.2", "slot without a node", "CLUSTERDOWN Hash slot not served", ClusterDown),
    (
        "7.0.15",
        "key of another slot, by redis.call",
        "ERR Script attempted to access a non local key in a cluster node script: 8a2f221803757b26fc7d283bec7ba834d91202c9, on @user_script:1.",
        Other,
    ),
    ("7.0.15, 9.1.2", "keys of two slots", "CROSSSLOT Keys in request don't hash to the same slot", Other),
    (
        "all",
        "XADD with an old id",
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        Other,
    ),
    (
        "7.0.15",
        "error of a script",
        "ERR user_script:1: boom script: 82903a0434f1503e152f89c03c9acd881a0e8150, on @user_script:1.",
        Other,
    ),
    (
        "6.2.5",
        "error of a script",
        "ERR Error running script (call to f_82903a0434f1503e152f89c03c9acd881a0e8150): @user_script:1: user_script:1: boom",
        Other,
    ),
    ("all", "redis.error_reply('MYERR it is')", "MYERR it is", Other),
];

#[test]
fn recorded_errors_are_classified() {
    for (broker, situation, text, expected) in RECORDED {
        let error = ServerError::new(text.as_bytes());
        assert_eq!(error.kind(), *expected, "{broker}, {situation}: {text}");
        assert_eq!(error.text(), text.get(..200).unwrap_or(text));
    }
}

#[test]
fn first_word_decides() {
    // From the documentation of the protocol and of clusters.
    for (text, expected) in [
        ("MOVED 3999 127.0.0.1:6381", Moved),
        ("ASK 3999 127.0.0.1:6381", Ask),
        ("TRYAGAIN Multiple keys request during rehashing of slot", TryAgain),
        ("CLUSTERDOWN The cluster is down", ClusterDown),
        ("LOADING Redis is loading the dataset in memory", Loading),
        ("READONLY", ReadOnly),
        ("readonly lower case", Other),
        ("READONLYX", Other),
        (" READONLY", Other),
        ("ERR READONLY", Other),
        ("ERR", Other),
        ("", Other),
        ("-OOM", Other),
    ] {
        assert_eq!(ServerError::new(text.as_bytes()).kind(), expected, "{text}");
    }
}

#[test]
fn kept_text_is_short_and_harmless() {
    let error = |text: &[u8]| ServerError::new(text).text().to_string();
    assert_eq!(error(b"ERR a\x1b[31m\r\nb\0"), "ERR a[31mb");
    assert_eq!(error("x".repeat(1_000).as_bytes()), "x".repeat(200));
    // A letter of two bytes at the end of the text that is kept.
    assert_eq!(error(format!("{}äz", "x".repeat(198)).as_bytes()), format!("{}ä", "x".repeat(198)));
    assert!(error(format!("{}äz", "x".repeat(199)).as_bytes()).len() <= 200);
    assert!(error(&[0xff; 300]).len() <= 200);
    assert_eq!(ServerError::new(b"OOM x").to_string(), "OOM x");
}
