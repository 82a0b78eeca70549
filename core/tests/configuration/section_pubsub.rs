//! The section `pubsub`: the keys of its tokens, and who can connect.

use drupe_core::settings::{Catalog, KeySetSource, PubSubSettings, Sources};

const LISTENER: &str = "listeners: { a: { address: '127.0.0.1:7000', protocol: tcp, app: pubsub } }\n";

fn sources(text: &str) -> Sources {
    let catalog = Catalog::new("drupe").app("echo").app("pubsub").section::<PubSubSettings>();
    Sources::of(&catalog).file("drupe.yaml", text)
}

fn problems(text: &str) -> String {
    sources(text).resolve().map_or_else(|problems| problems.to_string(), |_| String::new())
}

#[test]
fn tokens_of_clients_take_each_key_that_tokens_of_peers_take() {
    let secret = "0123456789abcdef0123456789abcdef";
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    for (keys, source) in [
        (format!("hs256_secret: {secret}"), None),
        (format!("ed25519_public: {public}"), None),
        ("jwks_file: keys.json".into(), Some("jwks_file")),
        ("jwks_url: 'https://id.example.org/jwks', jwks_authorities: ca.pem".into(), Some("jwks_url")),
    ] {
        let plan = sources(&format!("{LISTENER}pubsub: {{ tokens: {{ {keys} }} }}")).resolve().expect(&keys).plan;
        let found: Vec<_> = plan.key_sets().map(|(tokens, source)| (tokens, source.key())).collect();
        assert_eq!(found, source.map(|key| ("pubsub.tokens", key)).into_iter().collect::<Vec<_>>());
        let options = plan.config.sections.get::<PubSubSettings>().expect("it is there").options().expect(&keys);
        let has_set = options.tokens.expect("a key").keys().is_some();
        assert_eq!(has_set, source.is_some(), "{keys}");
    }
}

#[test]
fn key_sets_of_authentication_and_of_a_section_are_two() {
    let text = format!(
        "{LISTENER}authentication: {{ enabled: true, tokens: {{ jwks_file: a.json }} }}\n\
         pubsub: {{ tokens: {{ jwks_url: 'http://127.0.0.1:1/b', jwks_refresh: 10s, jwks_refresh_min: 1m }} }}\n"
    );
    let plan = sources(&text).resolve().expect("a configuration").plan;
    let found: Vec<_> = plan.key_sets().collect();
    let [("authentication.tokens", KeySetSource::File(path)), ("pubsub.tokens", KeySetSource::Url(url))] = &*found
    else {
        panic!("{found:?}");
    };
    assert_eq!((&**path, &*url.url, url.is_local), ("a.json", "http://127.0.0.1:1/b", true));
    assert_eq!(url.refresh_min, url.refresh, "the minimum is at most the interval");
}

#[test]
fn mistakes_in_the_keys_name_the_key_of_the_section() {
    for (keys, key, words) in [
        ("hs256_secret: short", "pubsub.tokens.hs256_secret", "32 bytes"),
        ("ed25519_public: abc", "pubsub.tokens.ed25519_public", "64 hexadecimal digits"),
        ("jwks_url: 'http://example.org/jwks'", "pubsub.tokens.jwks_url", "keys in the clear"),
        ("jwks_authorities: ca.pem", "pubsub.tokens.jwks_authorities", "there is no jwks_url"),
        ("jwks_file: a, jwks_timeout: 2m", "pubsub.tokens.jwks_timeout", "at most 1m"),
        ("jwks_file: a, jwks_url: 'https://a/b'", "pubsub.tokens", "exactly one of"),
        ("scopes_claim: a", "pubsub.tokens.scopes_claim", "no such key"),
    ] {
        let found = problems(&format!("{LISTENER}pubsub: {{ tokens: {{ {keys} }} }}"));
        assert!(found.contains(&format!("{key}: ")) && found.contains(words), "{keys}: {found}");
    }
}

#[test]
fn application_to_which_nobody_could_connect_is_refused() {
    let words = "no client could connect";
    assert!(problems(LISTENER).contains(&format!("pubsub.allow_anonymous: {words}")), "{}", problems(LISTENER));
    for open in [
        "pubsub: { allow_anonymous: true }",
        "pubsub: { tokens: { jwks_file: keys.json } }",
        "authentication: { enabled: true, shared_password: a-long-password }",
    ] {
        assert_eq!(problems(&format!("{LISTENER}{open}\n")), "", "{open}");
    }
    // Without a listener that has the application, nothing is wrong.
    assert_eq!(problems(&LISTENER.replace("pubsub", "echo")), "");
    let listen = ["tcp://127.0.0.1:7001".parse().expect("an address")];
    let found = sources("").app("pubsub").listen(listen).resolve().expect_err("nobody could connect");
    assert!(found.to_string().contains(words), "{found}");
}
