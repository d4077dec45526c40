//! A server whose answers a test makes up.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// A server that answers each connection by a function of the path, then closes it.
pub fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    serve_requests(move |request, stream| answer(path_of(request), stream))
}

/// The path of a request.
pub fn path_of(request: &str) -> &str {
    request.split(' ').nth(1).unwrap_or_default()
}

/// The same by a function of the whole request.
pub fn serve_requests(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), Arc::clone(&answer));
            std::thread::spawn(move || {
                let request = read_request(&mut stream);
                answer(&request, &mut stream);
            });
        }
    });
    url
}

/// Reads a request to the end of its body.
fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(read > 0, "the request ended early");
            continue;
        };
        let length = head.to_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
        });
        if read == 0 || body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

pub fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}
