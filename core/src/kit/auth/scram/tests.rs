//! Tests of SCRAM exchanges, malformed messages, and stored credentials.

use crate::kit::auth::scram::{ClientFirst, Credentials, ScramClient, ScramError, check};
use alloc::format;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

fn exchange(credentials: &Credentials, client: &ScramClient) -> Result<(), ScramError> {
    let server = ClientFirst::parse(&client.first())?.answer(credentials, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    let (last, expected) = client.answer(server.first())?;
    assert_eq!(server.finish(&last)?, expected);
    Ok(())
}

/// Repeats the example exchange of RFC 7677 section 3.
#[test]
fn scram_exchange_matches_the_rfc_7677_example() {
    let salt = STANDARD.decode(SALT).expect("base64");
    let credentials = Credentials::new("pencil", &salt, 4_096).expect("a password");
    let client = ScramClient::new("user", "pencil", "rOprNGfwEbeRWgbNEkqO").expect("a password");
    assert_eq!(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let first = ClientFirst::parse(&client.first()).expect("good");
    assert_eq!(first.user, "user");
    let server = first.answer(&credentials, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    let answer = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    assert_eq!(server.first(), answer);
    let (last, expected) = client.answer(answer).expect("good");
    assert_eq!(
        last,
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert_eq!(expected, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_eq!(server.finish(&last), Ok(expected));
}

#[test]
fn scram_refuses_wrong_passwords_and_replayed_proofs() {
    let credentials = Credentials::new("pencil", b"0123456789abcdef", 4_096).expect("a password");
    let client = |password| ScramClient::new("user", password, "abcdefgh12345678").expect("a password");
    assert_eq!(exchange(&credentials, &client("pencil")), Ok(()));
    assert_eq!(exchange(&credentials, &client("pencils")), Err(ScramError::InvalidProof));
    let nobody = Credentials::of_nobody(&[7; 32], "user", 4_096);
    assert_eq!(exchange(&nobody, &client("pencil")), Err(ScramError::InvalidProof));
    assert_eq!(nobody, Credentials::of_nobody(&[7; 32], "user", 4_096));
    // A proof for one nonce is useless for another one.
    let first = || ClientFirst::parse(&client("pencil").first()).expect("good");
    let (server, later) = (first().answer(&credentials, "one"), first().answer(&credentials, "two"));
    let (last, _) = client("pencil").answer(server.first()).expect("good");
    assert_eq!(later.finish(&last), Err(ScramError::InvalidProof));
    assert!(credentials.verify("pencil") && !credentials.verify("Pencil") && !credentials.verify(""));
    assert!(!credentials.verify(&"x".repeat(1_025)));
    assert_eq!(check(&"x".repeat(1_025), 4_096), Err(ScramError::Prohibited));
    assert_eq!((check(&"x".repeat(1_024), 4_096), check("x", 4_095)), (Ok(()), Err(ScramError::Iterations)));
    // SASLprep removes a soft hyphen, and replaces a non-ASCII space by a space.
    let odd = Credentials::new("I\u{ad}X\u{a0}y", b"0123456789abcdef", 4_096).expect("a password");
    assert!(odd.verify("IX y"));
}

#[test]
fn scram_refuses_malformed_messages() {
    for (message, error) in [
        ("", ScramError::Malformed),
        ("n,,", ScramError::Malformed),
        ("n,,n=user", ScramError::Malformed),
        ("n,,n=user,r=", ScramError::Malformed),
        ("n,,n=user,r=short", ScramError::Malformed),
        ("n,,n=us=er,r=abcdefgh", ScramError::Malformed),
        ("n,,m=x,n=user,r=abcdefgh", ScramError::Malformed),
        ("n,a=root,n=user,r=abcdefgh", ScramError::Malformed),
        ("p=tls-unique,,n=user,r=abcdefgh", ScramError::ChannelBinding),
        ("x,,n=user,r=abcdefgh", ScramError::Malformed),
        ("n,,n=user,r=abcd\u{7f}efgh", ScramError::Malformed),
    ] {
        assert_eq!(ClientFirst::parse(message), Err(error), "{message}");
    }
    assert_eq!(ClientFirst::parse(&format!("n,,n={},r=abcdefgh", "x".repeat(3_000))), Err(ScramError::Malformed));
    let credentials = Credentials::new("pencil", b"salt", 4_096).expect("a password");
    let client = ScramClient::new("user", "pencil", "abcdefgh").expect("a password");
    for last in
        ["", "c=biws", "c=biws,r=abcdefghxyz", "c=biws,r=abcdefghxyz,p=", "c=biws,r=abcdefghxyz,p=!", "c=biws,p=AAAA"]
    {
        let server = ClientFirst::parse(&client.first()).expect("good").answer(&credentials, "xyz");
        assert_eq!(server.finish(last), Err(ScramError::Malformed), "{last}");
    }
    for first in
        ["", "r=abcdefgh", "r=abcdefgh,s=c2FsdA==,i=4096", "r=other,s=c2FsdA==,i=4096", "r=abcdefghx,s=!,i=4096"]
    {
        assert_eq!(client.answer(first), Err(ScramError::Malformed), "{first}");
    }
    for iterations in ["1", "4095", "1000001", "4000000000"] {
        let first = format!("r=abcdefghx,s=c2FsdA==,i={iterations}");
        assert_eq!(client.answer(&first), Err(ScramError::Iterations));
    }
    assert_eq!(Credentials::new("", b"salt", 4_096), Err(ScramError::Prohibited));
    assert_eq!(Credentials::new("be\u{7}ll", b"salt", 4_096), Err(ScramError::Prohibited));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn scram_client_first_round_trips_any_user_name(user in "[ -~]{1,20}") {
        let client = ScramClient::new(&user, "pencil", "abcdefgh").expect("printable");
        prop_assert_eq!(ClientFirst::parse(&client.first()).map(|first| first.user), Ok(user));
    }

    #[test]
    fn scram_parser_never_panics(message in "[nyp=,]{0,4}\\PC{0,40}") {
        let _ = ClientFirst::parse(&message);
    }
}
