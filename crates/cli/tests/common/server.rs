//! `provex serve` as a process of its own.
#![allow(clippy::panic)] // each test file that cannot go on fails

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use super::{Folder, all};

/// A server on a port of its own.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(folder: &Folder, args: &[&str]) -> Self {
        let mut command = folder.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(args).current_dir(&folder.root).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        // What takes its time on a busy machine says so first.
        while line.is_empty() || line.starts_with("provex: opening the database: ") {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended");
        }
        let address = line.split_once("http://").unwrap_or_else(|| panic!("{line}")).1;
        let address = address.split_once(',').unwrap().0.to_owned();
        // Nobody reads the rest; a full pipe would stop the server.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { child, address }
    }

    pub fn curl(&self, token: &str, args: &[&str], path: &str) -> Output {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--include", "-H", "X-Stella-Tenant: default"]);
        command.arg("-H").arg(format!("Authorization: Bearer {token}")).args(args);
        command.arg(format!("http://{}{path}", self.address)).output().unwrap()
    }

    pub fn status(&self, token: &str, path: &str) -> u16 {
        let answer = all(&self.curl(token, &[], path));
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end as an operator's system does; how it ended.
    pub fn stop(mut self) -> Option<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

/// One request of the default tenant on a connection of its own: its status, its head and its body. `None`: the server
/// was gone before all of its answer came.
pub fn ask(address: &str, token: &str, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
    let mut socket = TcpStream::connect(address).ok()?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Stella-Tenant: default\r\n\
         Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).ok()?;
    socket.write_all(body).ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, body) = (String::from_utf8(answer[..end].to_vec()).ok()?, answer[end + 4..].to_vec());
    let answer = Answer { status: head.split(' ').nth(1)?.parse().ok()?, head, body };
    let whole = answer.header("content-length")?.parse::<usize>().ok()? == answer.body.len();
    whole.then_some(answer)
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn local_token(folder: &Folder) -> String {
    std::fs::read_to_string(folder.data().join("local-token")).unwrap().trim().to_owned()
}
