//! TCP sockets of this process, captured and made again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::super::test::Round;
use super::*;

fn ends() -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    (listener, client, server)
}

#[test]
fn a_listener_listens_again_on_its_port() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let captured = Round::capture(&Tcp, &[&listener]);
    assert_eq!(captured.state.form, Form::Listening { backlog: 128, after: vec![] });
    drop(listener);
    let made = TcpListener::from(captured.build().open(0));
    assert_eq!(made.local_addr().unwrap(), at);
    let client = TcpStream::connect(at).unwrap();
    assert_eq!(made.accept().unwrap().1, client.local_addr().unwrap());
}

#[test]
fn what_a_closed_peer_has_left_is_read_before_its_end() {
    let (listener, mut client, server) = ends();
    drop(listener);
    client.write_all(b"farewell").unwrap();
    let peer = client.local_addr().unwrap();
    drop(client);
    let captured = Round::capture(&Tcp, &[&server]);
    let Form::Connected(connection) = &captured.state.form else { panic!("{:?}", captured.state.form) };
    assert_eq!((connection.partner, connection.heard_last, &connection.unread.data[..]), (Partner::Gone, true, &b"farewell"[..]));
    Hurry(server.into()).part_now();
    let mut made = TcpStream::from(captured.build().open(0));
    assert_eq!(made.peer_addr().unwrap(), peer);
    let mut text = String::new();
    made.set_nonblocking(false).unwrap();
    made.read_to_string(&mut text).unwrap();
    assert_eq!(text, "farewell");
}

#[test]
fn a_connection_to_somebody_else_is_refused() {
    let (_listener, _client, server) = ends();
    let error = super::super::test::probe_of(&server, |probe| Tcp.capture(&[probe], &mut Capture::default()).unwrap_err());
    assert!(matches!(error, KindError::Unsupported { .. }), "{error}");
}

#[test]
fn ended_connections_report_how() {
    let (listener, client, server) = ends();
    drop(listener);
    let linger = [1i32.to_ne_bytes(), 0i32.to_ne_bytes()].concat();
    socket::set_option(client.as_fd(), libc::SOL_SOCKET, libc::SO_LINGER, &linger).unwrap();
    drop(client);
    let captured = Round::capture(&Tcp, &[&server]);
    drop(server);
    let round = captured.build();
    assert_eq!(round.state.form, Form::Ended { unread: Stream::default(), end: End::Reset });
    let mut made = TcpStream::from(round.open(0));
    assert_eq!(made.read(&mut [0; 5]).unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
}

impl Hurry {
    /// Ends a connection without a trace, as the end of a job does.
    fn part_now(self) {
        Box::new(self).part().unwrap();
    }
}
