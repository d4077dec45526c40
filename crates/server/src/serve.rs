//! The listener: one server until it is told to stop, with limits on what a client may hold.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::{App, router};

/// The most bytes of a request's head, and of a body that are held before somebody reads them.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// What clients may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests that are answered at a time; others wait.
    pub concurrency: usize,
    /// How long the head of a request may take to come.
    pub header_patience: Duration,
    /// How long requests that are under way have when the server stops.
    pub stop_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 256,
            header_patience: Duration::from_secs(10),
            stop_patience: Duration::from_secs(20),
        }
    }
}

/// Answers requests until `stop` resolves, and then those that are under way.
///
/// # Errors
/// What the operating system says of the listener.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = router(app).layer(GlobalConcurrencyLimitLayer::new(limits.concurrency));
    let handle = Handle::<SocketAddr>::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        stop.await;
        stopping.graceful_shutdown(Some(limits.stop_patience));
    });
    listener.set_nonblocking(true)?;
    let mut server = axum_server::from_tcp(listener)?.handle(handle);
    server
        .http_builder()
        .http1()
        // Without a timer no header would ever be late.
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_patience)
        .max_buf_size(MAX_HEAD_BYTES);
    server.serve(router.into_make_service()).await
}
