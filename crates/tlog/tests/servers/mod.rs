//! A real Rekor v2 server (rekor-tiles, POSIX storage) that a test starts, kills and starts again.
//!
//! `scripts/test` installs it. Where it is not, its tests are left out; with CI=true that is a failure.
#![allow(clippy::panic, clippy::unwrap_used, reason = "the allowance for tests does not reach helpers")]
#![allow(dead_code, unreachable_pub, reason = "each file of tests uses some of it")]

pub mod wire;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use provex_core::digest::Digest;
use provex_core::keys::{LocalSigner, RustCrypto, Signer as _};
use provex_core::tile;
use provex_core::time::Timestamp;
use provex_core::trusted_root::TrustedLog;
use provex_tlog::rekor_v2::{RekorV2, RekorV2Config, RekorV2Limits};
use tempfile::TempDir;

/// The host of a log's URL is its origin.
const ORIGIN: &str = "127.0.0.1";

/// Where the real servers are, if they are.
pub fn tools() -> Option<PathBuf> {
    let there = std::env::var_os("PROVEX_TEST_REKOR_URL").and_then(|_| std::env::var_os("PROVEX_TOOLS"));
    assert!(
        there.is_some() || std::env::var("CI").as_deref() != Ok("true"),
        "CI=true needs the real servers"
    );
    if there.is_none() {
        eprintln!("left out: scripts/test installs the real servers");
    }
    there.map(PathBuf::from)
}

/// A real log with its own key, in a folder of its own.
pub struct Rekor {
    folder: TempDir,
    pub identity: TrustedLog,
    tools: PathBuf,
    server: Option<Child>,
    tiles: Child,
    port: u16,
    pub read_url: String,
}

impl Rekor {
    /// Starts one with these flags; `None` where the server is not installed.
    pub fn start(flags: &[&str]) -> Option<Self> {
        let tools = tools()?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("log")).unwrap();
        let mut seed = [0; 32];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut seed).unwrap();
        let signer = LocalSigner::ed25519_from_random(&seed);
        std::fs::write(folder.path().join("log.pem"), signer.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
        let (tiles, read_url) = serve_tiles(&folder.path().join("log"));
        let mut identity = TrustedLog::embedded(ORIGIN, signer.public_key().clone(), Timestamp::EPOCH);
        let port = free_port();
        identity.base_url = format!("http://{ORIGIN}:{port}");
        let mut rekor = Self { folder, identity, tools, server: None, tiles, port, read_url };
        rekor.again(flags);
        Some(rekor)
    }

    /// Starts the server again, on the same port and folder.
    pub fn again(&mut self, flags: &[&str]) {
        assert!(self.server.is_none());
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let output = std::fs::File::create(self.folder.path().join("rekor.log")).unwrap();
        let mut command = Command::new(self.tools.join("rekor-server-v2"));
        command
            .args(["serve", "--hostname", ORIGIN, "--http-address=127.0.0.1", "--grpc-address=127.0.0.1"])
            .args(["--storage-dir", &path("log"), "--signer-filepath", &path("log.pem")])
            .args([format!("--http-port={}", self.port), format!("--grpc-port={}", free_port())])
            .arg(format!("--http-metrics-port={}", free_port()))
            .args(["--checkpoint-interval=200ms", "--batch-max-age=50ms"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        self.server = Some(command.spawn().unwrap());
        for _ in 0..200 {
            if healthy(self.port) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{}", std::fs::read_to_string(self.folder.path().join("rekor.log")).unwrap());
    }

    /// Kills the server, as a power cut would.
    pub fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// Stops the server as an operator does: it answers first what it has taken.
    pub fn stop(&mut self) {
        let mut server = self.server.take().unwrap();
        assert!(Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
        server.wait().unwrap();
    }

    /// Sends the server a signal by its name.
    pub fn signal(&self, name: &str) {
        let server = self.server.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &server]).status().unwrap().success());
    }

    pub fn url(&self) -> String {
        self.identity.base_url.clone()
    }

    pub fn config(&self) -> RekorV2Config {
        RekorV2Config {
            url: self.url(),
            read_url: Some(self.read_url.clone()),
            identity: self.identity.clone(),
            signatures: Arc::new(RustCrypto),
            tls_roots: None,
            limits: RekorV2Limits::default(),
        }
    }

    pub fn client(&self) -> Arc<RekorV2> {
        Arc::new(RekorV2::new(self.config()).unwrap())
    }

    /// The leaves in the order of the log, read from its folder.
    pub fn leaves(&self) -> Vec<Digest> {
        let log = self.folder.path().join("log");
        let note = std::fs::read_to_string(log.join("checkpoint")).unwrap();
        let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
        let mut leaves = Vec::new();
        for index in 0..size.div_ceil(256) {
            let width = (size - index * 256).min(256) as u16;
            let read = |width| std::fs::read(log.join(tile::hash_tile_path(0, index, width)));
            let bytes = read(width).or_else(|_| read(256)).unwrap();
            leaves.extend(tile::decode_hashes(&bytes).unwrap().into_iter().take(width.into()));
        }
        leaves
    }
}

impl Drop for Rekor {
    fn drop(&mut self) {
        for child in self.server.iter_mut().chain([&mut self.tiles]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn serve_tiles(folder: &Path) -> (Child, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lib/tiles.py");
    let mut tiles = Command::new("python3").arg(script).arg(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(tiles.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let url = format!("http://127.0.0.1:{}", port.trim());
    (tiles, url)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn healthy(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).is_ok() && answer.contains("SERVING")
}
