//! haproxy and nginx in front of the program, and the client addresses that they report.

use super::{TLS, certificate, connect, tls_over};
use crate::support;
use crate::support::{Directory, Other, Program, is_installed};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A connection from another address of the loopback network.
fn connect_from(from: [u8; 4], port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("all of 127 is ours");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a socket");
    stream
}

/// What the relay says of who speaks through a proxy, to somebody who listens without one.
fn told_address(listener: u16, mut speaker: impl Write) -> String {
    let mut heard = BufReader::new(connect(listener));
    let (mut line, done) = (String::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        let (done, line) = (&done, &mut line);
        scope.spawn(move || {
            heard.read_line(line).expect("it speaks");
            done.store(true, Ordering::SeqCst);
        });
        // The relay tells nobody who is there, so words are said until they are heard.
        while !done.load(Ordering::SeqCst) {
            if speaker.write_all(b"hello\n").and_then(|()| speaker.flush()).is_err() {
                break;
            }
            thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    line
}

#[test]
fn haproxy_forwards_the_client_address() {
    if !is_installed("haproxy") {
        support::skip("there is no haproxy on this machine");
        return;
    }
    let directory = Directory::new("haproxy");
    certificate(&directory.0);
    let config = format!(
        "relay: {{ envelope: json }}\nlisteners:\n  direct: {{ address: '127.0.0.1:0', app: relay }}\n  \
         proxied: {{ address: '127.0.0.1:0', app: relay, proxy_protocol: {{ trusted: [127.0.0.1] }} }}\n  \
         secure: {{ address: '127.0.0.1:0', app: relay, proxy_protocol: {{ trusted: [127.0.0.1] }}, {TLS} }}\n"
    );
    let program = Program::configured(&directory.0, &config, 3, |_| {});
    let (proxied, secure, file) = (program.port_of(1), program.port_of(2), directory.0.join("haproxy.cfg"));
    let (_haproxy, [v1, v2, v2_tls]) = Other::start(|[v1, v2, v2_tls]| {
        let haproxy = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             listen v1\n bind 127.0.0.1:{v1}\n server d 127.0.0.1:{proxied} send-proxy\n\
             listen v2\n bind 127.0.0.1:{v2}\n server d 127.0.0.1:{proxied} send-proxy-v2\n\
             listen v2_tls\n bind 127.0.0.1:{v2_tls}\n server d 127.0.0.1:{secure} send-proxy-v2\n"
        );
        std::fs::write(&file, haproxy).expect("written");
        let child = Command::new("haproxy").arg("-f").arg(&file).arg("-db").stderr(Stdio::null()).spawn();
        child.expect("it is installed")
    });
    for port in [v1, v2] {
        let told = told_address(program.port_of(0), connect_from([127, 0, 0, 5], port));
        assert!(told.contains("\"remote_addr\":\"127.0.0.5:"), "{told}");
    }
    let stream = tls_over(&directory.0, connect_from([127, 0, 0, 6], v2_tls));
    let told = told_address(program.port_of(0), stream);
    assert!(told.contains("\"remote_addr\":\"127.0.0.6:"), "{told}");
    // Who is no proxy is not let in, whatever it says.
    let mut liar = connect_from([127, 0, 0, 9], program.port_of(1));
    let _ = liar.write_all(b"PROXY TCP4 127.0.0.5 127.0.0.1 5 6\r\n");
    let mut heard = Vec::new();
    let _ = liar.read_to_end(&mut heard);
    assert_eq!(heard, b"");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn nginx_forwards_the_client_address() {
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    if !is_installed("nginx") || !Path::new(module).exists() {
        support::skip("there is no nginx with its stream module on this machine");
        return;
    }
    let directory = Directory::new("nginx");
    let config = "relay: { envelope: json }\nlisteners:\n  direct: { address: '127.0.0.1:0', app: relay }\n  \
         proxied: { address: '127.0.0.1:0', app: relay, proxy_protocol: { trusted: [127.0.0.1] } }\n  \
         web: { address: '127.0.0.1:0', app: relay, protocol: websocket, forwarded: { trusted: [127.0.0.1] } }\n";
    let program = Program::configured(&directory.0, config, 3, |_| {});
    let (proxied, web, path) = (program.port_of(1), program.port_of(2), directory.0.display());
    let file = directory.0.join("nginx.conf");
    let (_nginx, [stream, http]) = Other::start(|[stream, http]| {
        let nginx = format!(
            "load_module {module};\ndaemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/error.log;\n\
             events {{}}\nstream {{ server {{ listen 127.0.0.1:{stream}; proxy_pass 127.0.0.1:{proxied}; proxy_protocol on; }} }}\n\
             http {{\n access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;\n \
             uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n \
             server {{ listen 127.0.0.1:{http}; location / {{ proxy_pass http://127.0.0.1:{web}; proxy_http_version 1.1;\n  \
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_set_header Host localhost;\n  \
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }}\n}}\n"
        );
        std::fs::write(&file, nginx).expect("written");
        let child =
            Command::new("nginx").arg("-c").arg(&file).arg("-p").arg(&directory.0).stderr(Stdio::null()).spawn();
        child.expect("it is installed")
    });
    let told = told_address(program.port_of(0), connect_from([127, 0, 0, 7], stream));
    assert!(told.contains("\"remote_addr\":\"127.0.0.7:"), "{told}");
    let mut socket = connect_from([127, 0, 0, 8], http);
    // What a client claims stands before what nginx adds.
    socket
        .write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Forwarded-For: 6.6.6.6\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        )
        .expect("sent");
    let told = told_address(program.port_of(0), Framed(socket));
    assert!(told.contains("\"remote_addr\":\"127.0.0.8:"), "{told}");
    program.signal("-TERM");
    assert_eq!(program.wait(), Some(0));
}

/// Puts what is written into frames of text, masked with nothing.
struct Framed(TcpStream);

impl Write for Framed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = u8::try_from(bytes.len()).expect("short");
        self.0.write_all(&[&[0x81, 0x80 | length, 0, 0, 0, 0][..], bytes].concat())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}
