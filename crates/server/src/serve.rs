//! The listener: one server until it is told to stop, with limits on what a client may hold.

use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
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
    /// How long a client may take nothing of its answer.
    pub reader_patience: Duration,
    /// How long requests that are under way have when the server stops.
    pub stop_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 256,
            header_patience: Duration::from_secs(10),
            reader_patience: Duration::from_secs(30),
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
) -> io::Result<()> {
    serve_router(router(app), listener, limits, stop).await
}

async fn serve_router(
    router: Router,
    listener: TcpListener,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = router.layer(GlobalConcurrencyLimitLayer::new(limits.concurrency));
    let handle = Handle::<SocketAddr>::new();
    let stopping = handle.clone();
    tokio::spawn(async move {
        stop.await;
        stopping.graceful_shutdown(Some(limits.stop_patience));
    });
    listener.set_nonblocking(true)?;
    let server = axum_server::from_tcp(listener)?.handle(handle);
    // Hyper's own patience begins with the first byte, which a client may never send.
    let server = server.first_request_timeout(limits.header_patience);
    let mut server = server.acceptor(Patience(limits.reader_patience));
    server
        .http_builder()
        .http1()
        // Without a timer no header would ever be late.
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_patience)
        .max_buf_size(MAX_HEAD_BYTES);
    server.serve(router.into_make_service()).await
}

/// Accepts connections that end when the client takes nothing for so long.
#[derive(Debug, Clone, Copy)]
struct Patience(Duration);

impl<I, S> Accept<I, S> for Patience {
    type Stream = Patient<I>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, inner: I, service: S) -> Self::Future {
        ready(Ok((Patient { inner, patience: self.0, waiting: None }, service)))
    }
}

/// A connection whose writes fail when the client took nothing for so long: what its answer holds is let go.
#[derive(Debug)]
struct Patient<I> {
    inner: I,
    patience: Duration,
    /// Since when nothing was taken.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<I> Patient<I> {
    fn patiently<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(&mut I, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(&mut self.inner, context);
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        waiting.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patient<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patient<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.patiently(context, |inner, context| Pin::new(inner).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.patiently(context, |inner, context| Pin::new(inner).poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.patiently(context, |inner, context| Pin::new(inner).poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.patiently(context, |inner, context| Pin::new(inner).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;
    use std::sync::Mutex;

    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures_util::stream;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_cut_off() {
        let (let_go, gone) = oneshot::channel::<()>();
        let answer = Arc::new(Mutex::new(Some(let_go)));
        // An answer without end, which holds something until it is let go.
        let endless = move || {
            let held = answer.lock().unwrap().take();
            let parts = stream::unfold(held, async |held| {
                Some((Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 65_536])), held))
            });
            async { Body::from_stream(parts) }
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let limits = Limits { reader_patience: Duration::from_millis(50), ..Limits::default() };
        let router = Router::new().route("/", get(endless));
        let serving = tokio::spawn(serve_router(router, listener, limits, std::future::pending()));
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(gone.await.is_err());
        drop(client);
        serving.abort();
    }
}
