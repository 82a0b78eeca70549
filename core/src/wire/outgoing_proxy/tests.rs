use super::*;
use crate::base::ProxyFault;
use crate::wire::http::HEAD_MAX_BYTES;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;
use proptest::prelude::*;

fn proxy(text: &str) -> OutgoingProxy {
    text.parse().expect(text)
}

fn begin(text: &str, target: &str) -> (ProxyHandshake, Vec<u8>) {
    let mut handshake = ProxyHandshake::new(&proxy(text), target).expect(target);
    let output = handshake.take_output();
    (handshake, output)
}

/// Feeds `answer` in pieces that end at `cuts`. Returns the progress, and how many bytes were used.
fn feed(handshake: &mut ProxyHandshake, answer: &[u8], cuts: &[usize]) -> (HandshakeProgress, usize) {
    let (mut at, mut used) = (0, 0);
    for end in cuts.iter().copied().map(|cut| cut.min(answer.len())).chain([answer.len()]) {
        if end > at && handshake.progress() == HandshakeProgress::Reading {
            used += handshake.receive(&answer[at..end]);
            at = end;
        }
    }
    (handshake.progress(), used)
}

#[test]
fn text_form_parses_and_percent_decodes_credentials() {
    for (text, protocol, address, credentials) in [
        ("http://p:3128", ProxyProtocol::HttpConnect, "p:3128", None),
        ("HTTP://p", ProxyProtocol::HttpConnect, "p:1080", None),
        ("p:3128/", ProxyProtocol::HttpConnect, "p:3128", None),
        ("[::1]", ProxyProtocol::HttpConnect, "[::1]:1080", None),
        ("socks5://[::1]:9", ProxyProtocol::Socks5, "[::1]:9", None),
        ("socks5h://192.0.2.1", ProxyProtocol::Socks5, "192.0.2.1:1080", None),
        ("http://ann:pw@p:1", ProxyProtocol::HttpConnect, "p:1", Some(("ann", "pw"))),
        ("http://a%40b:%3a%25%2F@p:1", ProxyProtocol::HttpConnect, "p:1", Some(("a@b", ":%/"))),
        ("socks5://a%3Ab:x:y@p:1", ProxyProtocol::Socks5, "p:1", Some(("a:b", "x:y"))),
        ("socks5://ann@p:1", ProxyProtocol::Socks5, "p:1", Some(("ann", ""))),
        ("http://ann:p@w@p:1", ProxyProtocol::HttpConnect, "p:1", Some(("ann", "p@w"))),
    ] {
        let plain = OutgoingProxy::new(protocol, address).expect(address);
        let expected = match credentials {
            Some((user, password)) => plain.credentials(user, password).expect(user),
            None => plain,
        };
        assert_eq!(proxy(text), expected, "{text}");
        assert_eq!((expected.protocol(), expected.address()), (protocol, address));
        assert_eq!(proxy(&expected.to_string()).address(), address);
    }
}

#[test]
fn errors_name_the_mistake_and_never_the_password() {
    let long = format!("socks5://ann:{}@p:1", "x".repeat(256));
    for (text, words) in [
        ("", "is not the address of a proxy"),
        ("http://", "is not the address of a proxy"),
        ("http://hush:hush@", "is not the address of a proxy"),
        ("http://ann:hush@p:0", "\"p:0\" is not the address"),
        ("http://ann:hush@p:99999", "\"p:99999\" is not the address"),
        ("http://p:+80", "\"p:+80\" is not the address"),
        ("http://p:80/path", "is not the address of a proxy"),
        ("http://::1", "is not the address of a proxy"),
        ("http://[::1", "is not the address of a proxy"),
        ("http://p q:1", "is not the address of a proxy"),
        ("https://ann:hush@p:1", "TLS to the proxy (https://) is not supported"),
        ("socks4://ann:hush@p:1", "begins with http://, socks5:// or socks5h://"),
        ("socks4a://p:1", "begins with http://, socks5:// or socks5h://"),
        ("http://ann:hush%@p:1", "write % as %25"),
        ("http://ann:hush%4@p:1", "write % as %25"),
        ("http://ann:hush%ff@p:1", "percent-encoded UTF-8"),
        ("http://a%3Ab:hush@p:1", "no colon with http://"),
        ("http://:hush@p:1", "1 to 1024 bytes"),
        ("socks5://:hush@p:1", "1 to 255 bytes"),
        ("http://ann:hush%0D%0A@p:1", "no control characters"),
        ("http://ann%0a:hush@p:1", "without control characters"),
        (&long, "at most 255 bytes"),
    ] {
        let error = text.parse::<OutgoingProxy>().expect_err(text).to_string();
        assert!(error.contains(words) && !error.contains("hush"), "{text}: {error}");
    }
}

#[test]
fn debug_hides_the_password_and_display_hides_all_credentials() {
    let proxy = proxy("http://ann:hush@p:1");
    assert_eq!((format!("{proxy:?}").contains("hush"), proxy.user()), (false, Some("ann")));
    assert!(format!("{proxy:?}").contains("ann"));
    assert_eq!(proxy.to_string(), "http://p:1");
    let handshake = ProxyHandshake::new(&proxy, "h:1").expect("good");
    assert!(!format!("{handshake:?}").contains("hush"));
}

#[test]
fn connect_request_has_basic_credentials_at_once() {
    let (_, request) = begin("http://p", "[2001:db8::1]:443");
    assert_eq!(request, b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
    // The example of RFC 7617 section 2.
    let (_, request) = begin("http://Aladdin:open%20sesame@p", "example.org:80");
    let expected = "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\
                    Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
    assert_eq!(core::str::from_utf8(&request), Ok(expected));
}

#[test]
fn target_that_is_not_host_and_port_is_bad_target() {
    let long = format!("{}:1", "x".repeat(256));
    let injected = "h\r\nX: y:1";
    for target in ["", "h", "h:0", "h:x", ":1", "h:", "::1:1", "[::1%2]:1", "[h]:1", "a b:1", "ü:1", injected, &long] {
        for text in ["http://p", "socks5://p"] {
            let error = ProxyHandshake::new(&proxy(text), target).expect_err(target);
            assert_eq!(error, ProxyFault::BadTarget, "{target}");
        }
    }
    let longest = format!("{}:1", "x".repeat(255));
    assert!(ProxyHandshake::new(&proxy("socks5://p"), &longest).is_ok());
}

#[test]
fn each_http_status_maps_to_its_fault() {
    for (status, fault) in [
        ("400", ProxyFault::Rejected { status: 400 }),
        ("403", ProxyFault::Forbidden),
        ("407", ProxyFault::AuthenticationRequired),
        ("401", ProxyFault::AuthenticationRequired),
        ("301", ProxyFault::Rejected { status: 301 }),
        ("500", ProxyFault::Rejected { status: 500 }),
        ("502", ProxyFault::TargetUnreachable),
        ("503", ProxyFault::TargetUnreachable),
        ("504", ProxyFault::TargetUnreachable),
        ("101", ProxyFault::NotProxy),
        ("099", ProxyFault::NotProxy),
        ("600", ProxyFault::NotProxy),
        ("2x0", ProxyFault::NotProxy),
    ] {
        let (mut handshake, _) = begin("http://p", "h:1");
        let answer = format!("HTTP/1.1 {status} words\r\n\r\n");
        assert_eq!(feed(&mut handshake, answer.as_bytes(), &[]).0, HandshakeProgress::Failed(fault), "{status}");
    }
    let (mut handshake, _) = begin("http://ann:pw@p", "h:1");
    let refused = HandshakeProgress::Failed(ProxyFault::CredentialsRefused);
    assert_eq!(feed(&mut handshake, b"HTTP/1.0 407 Who?\r\n", &[]).0, refused);
}

#[test]
fn answers_that_are_not_http_fail_at_their_first_wrong_byte() {
    for answer in ["SSH-2.0-x\r\n", "\x05\x00", "HTTP/2 ", "HTTP/1.1 200\n", "HTTP/1.1 200 OK\nX: y\r\n\r\n"] {
        let (mut handshake, _) = begin("http://p", "h:1");
        let (progress, used) = feed(&mut handshake, answer.as_bytes(), &[]);
        assert_eq!((progress, used), (HandshakeProgress::Failed(ProxyFault::NotProxy), answer.len()), "{answer}");
    }
    let (mut handshake, _) = begin("socks5://p", "h:1");
    let progress = feed(&mut handshake, b"HTTP/1.1 400 Bad\r\n\r\n", &[]).0;
    assert_eq!(progress, HandshakeProgress::Failed(ProxyFault::NotProxy));
}

#[test]
fn any_2xx_ends_with_its_head_and_interim_responses_are_skipped() {
    for head in ["HTTP/1.0 200\r\n\r\n", "HTTP/1.1 204 Done\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"]
    {
        let (mut handshake, _) = begin("http://p", "h:1");
        let answer = format!("HTTP/1.1 100 Go on\r\n\r\n{head}after");
        let progress = feed(&mut handshake, answer.as_bytes(), &[]);
        assert_eq!(progress, (HandshakeProgress::Done, answer.len() - 5), "{head}");
        assert_eq!(handshake.receive(b"more"), 0);
    }
    for (count, expected) in [(8, HandshakeProgress::Done), (9, HandshakeProgress::Failed(ProxyFault::NotProxy))] {
        let (mut handshake, _) = begin("http://p", "h:1");
        let answer = format!("{}HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 102 Wait\r\n\r\n".repeat(count));
        assert_eq!(feed(&mut handshake, answer.as_bytes(), &[]).0, expected, "{count}");
    }
}

#[test]
fn head_of_8_kib_is_accepted_and_a_longer_one_is_not() {
    for (length, expected) in [
        (HEAD_MAX_BYTES, HandshakeProgress::Done),
        (HEAD_MAX_BYTES + 1, HandshakeProgress::Failed(ProxyFault::TooLong)),
    ] {
        let mut answer = "HTTP/1.1 200 OK\r\nX: ".to_string();
        answer.push_str(&"y".repeat(length - answer.len() - 4));
        answer.push_str("\r\n\r\n");
        for cuts in [vec![], (0..=length).collect()] {
            let (mut handshake, _) = begin("http://p", "h:1");
            assert_eq!(feed(&mut handshake, answer.as_bytes(), &cuts).0, expected, "{length}");
        }
    }
}

#[test]
fn socks_requests_names_and_addresses_with_and_without_a_login() {
    let name = [&[5, 1, 0, 3, 11][..], b"example.org", &[1, 187]].concat();
    let four = vec![5, 1, 0, 1, 192, 0, 2, 7, 0, 80];
    let six = [&[5, 1, 0, 4][..], &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[0, 22]].concat();
    for (target, request) in [("example.org:443", name), ("192.0.2.7:80", four), ("[2001:db8::1]:22", six)] {
        let (mut handshake, greeting) = begin("socks5://p", target);
        assert_eq!(greeting, [5, 1, 0]);
        assert_eq!((handshake.receive(&[5, 0]), handshake.take_output()), (2, request.clone()));
        let (mut handshake, greeting) = begin("socks5h://ann:pw@p", target);
        assert_eq!(greeting, [5, 2, 0, 2]);
        assert_eq!((handshake.receive(&[5, 2]), handshake.take_output()), (2, b"\x01\x03ann\x02pw".to_vec()));
        assert_eq!((handshake.receive(&[1, 0]), handshake.take_output()), (2, request));
        assert_eq!(handshake.receive(&[5, 0, 0, 1, 1, 2, 3, 4, 5, 6, b'x']), 10);
        assert_eq!(handshake.progress(), HandshakeProgress::Done);
    }
}

#[test]
fn socks_replies_map_to_their_faults_at_the_second_byte() {
    for (reply, fault) in [
        (1, ProxyFault::General),
        (2, ProxyFault::Forbidden),
        (3, ProxyFault::TargetUnreachable),
        (4, ProxyFault::TargetUnreachable),
        (5, ProxyFault::TargetRefused),
        (6, ProxyFault::TargetUnreachable),
        (7, ProxyFault::Unsupported),
        (8, ProxyFault::Unsupported),
        (9, ProxyFault::General),
        (255, ProxyFault::General),
    ] {
        let (mut handshake, _) = begin("socks5://p", "h:1");
        handshake.receive(&[5, 0]);
        assert!(!handshake.take_output().is_empty());
        handshake.receive(&[5, reply]);
        assert_eq!(handshake.progress(), HandshakeProgress::Failed(fault), "{reply}");
    }
    for (text, method, fault) in [
        ("socks5://p", 0xFF, ProxyFault::AuthenticationRequired),
        ("socks5://p", 2, ProxyFault::NotProxy),
        ("socks5://p", 1, ProxyFault::NotProxy),
        ("socks5://ann:pw@p", 0xFF, ProxyFault::CredentialsRefused),
        ("socks5://ann:pw@p", 1, ProxyFault::NotProxy),
    ] {
        let (mut handshake, _) = begin(text, "h:1");
        handshake.receive(&[5, method]);
        assert_eq!(handshake.progress(), HandshakeProgress::Failed(fault), "{text} {method}");
    }
    let (mut handshake, _) = begin("socks5://ann:pw@p", "h:1");
    handshake.receive(&[5, 2]);
    handshake.receive(&[1, 1]);
    assert_eq!(handshake.progress(), HandshakeProgress::Failed(ProxyFault::CredentialsRefused));
}

#[test]
fn answer_before_its_request_is_taken_fails_as_not_a_proxy() {
    let (mut handshake, _) = begin("socks5://p", "h:1");
    handshake.receive(&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(handshake.progress(), HandshakeProgress::Failed(ProxyFault::NotProxy));
}

/// A proxy that follows its protocol: the answers in order, and whether it connects.
fn answers() -> impl Strategy<Value = (&'static str, Vec<Vec<u8>>, bool)> {
    let head = (0..40_usize, 0..3_usize, prop::sample::select(vec![200, 204, 299, 403, 407, 502])).prop_map(
        |(filler, interim, status)| {
            let mut answer = "HTTP/1.1 103 Hints\r\n\r\n".repeat(interim);
            let _ = write!(answer, "HTTP/1.1 {status} Words\r\nX: {}\r\n\r\n", "y".repeat(filler));
            ("http://ann:pw@p", vec![answer.into_bytes()], status < 300)
        },
    );
    let bound = prop_oneof![
        prop::collection::vec(any::<u8>(), 6).prop_map(|rest| [&[1][..], &rest].concat()),
        prop::collection::vec(any::<u8>(), 18).prop_map(|rest| [&[4][..], &rest].concat()),
        prop::collection::vec(any::<u8>(), 2..257).prop_map(|rest| [
            &[3, u8::try_from(rest.len() - 2).expect("short")][..],
            &rest
        ]
        .concat()),
    ];
    let socks = (bound, any::<bool>(), 0..3_u8).prop_map(|(bound, logs_in, reply)| {
        let mut answers = if logs_in { vec![vec![5, 2], vec![1, 0]] } else { vec![vec![5, 0]] };
        answers.push([&[5, reply, 0][..], &bound].concat());
        ("socks5://ann:pw@p", answers, reply == 0)
    });
    prop_oneof![head, socks]
}

proptest! {
    #[test]
    fn any_split_of_a_proper_answer_gives_the_same_result(
        (text, answers, connects) in answers(),
        behind in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(0..300_usize, 0..12),
    ) {
        let mut sorted = cuts;
        sorted.sort_unstable();
        let (mut handshake, _) = begin(text, "example.org:443");
        let last = answers.len() - 1;
        for (number, answer) in answers.iter().enumerate() {
            let whole = if number == last { [&answer[..], &behind].concat() } else { answer.clone() };
            prop_assert_eq!(handshake.progress(), HandshakeProgress::Reading);
            let (progress, used) = feed(&mut handshake, &whole, &sorted);
            match progress {
                HandshakeProgress::Reading => prop_assert!(number < last && used == whole.len()),
                HandshakeProgress::Done => prop_assert!(connects && number == last && used == answer.len()),
                HandshakeProgress::Failed(_) => prop_assert!(!connects),
            }
            prop_assert_eq!(handshake.take_output().is_empty(), number == last);
        }
        prop_assert_eq!(handshake.progress() == HandshakeProgress::Done, connects);
    }

    #[test]
    fn any_bytes_give_the_same_result_in_any_split(
        is_http: bool,
        start in prop::sample::select(vec![&b""[..], b"HTTP/1.1 200 ", b"HTTP/1.1 100 \r\n\r\n", b"\x05", b"\x05\x00\x05\x00\x00"]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
        mut cuts in prop::collection::vec(0..310_usize, 0..12),
    ) {
        cuts.sort_unstable();
        let text = if is_http { "http://p" } else { "socks5://p" };
        let answer = [start, &rest].concat();
        let (mut whole, mut split, mut single) =
            (begin(text, "h:1").0, begin(text, "h:1").0, begin(text, "h:1").0);
        let expected = feed(&mut whole, &answer, &[]);
        let each: Vec<_> = (0..answer.len()).collect();
        let (by_cuts, by_byte) = (feed(&mut split, &answer, &cuts), feed(&mut single, &answer, &each));
        prop_assert_eq!(expected.0, by_cuts.0);
        prop_assert_eq!(expected.0, by_byte.0);
        if expected.0 == HandshakeProgress::Done {
            prop_assert_eq!((expected.1, expected.1), (by_cuts.1, by_byte.1));
        }
    }

    #[test]
    fn any_text_parses_or_is_refused(text in "\\PC{0,40}", target in "\\PC{0,40}") {
        let schemes = ["http://", "socks5://", ""];
        for scheme in schemes {
            if let Ok(proxy) = format!("{scheme}{text}").parse::<OutgoingProxy>() {
                let _ = ProxyHandshake::new(&proxy, &target).map(|mut handshake| handshake.take_output());
            }
        }
    }
}
