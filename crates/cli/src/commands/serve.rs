//! `provex serve`

use std::net::{TcpListener, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use provex_pipeline::Pipeline;
use provex_pipeline::environment::Environment as _;
use provex_server::{App, Limits, Secret};
use provex_store::Scope;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{token, worker};
use crate::args::{Global, Serve};
use crate::data::{self, DataFolder};
use crate::environment::System;
use crate::failure::{Done, Failure};
use crate::otlp::Otlp;
use crate::output;

pub(super) async fn run(global: &Global, serve: &Serve) -> Result<Done, Failure> {
    let otlp = serve.otlp_endpoint.as_deref().map(Otlp::start).transpose()?;
    tell(serve.log_json, otlp);
    let folder = Arc::new(DataFolder::open_or_init(global).await?);
    let pipeline = folder.pipeline(folder.config.tenant(global.tenant.as_ref())).await?;
    let (listener, loopback) = listen(&serve.listen)?;
    let address = listener.local_addr().context("reading the address")?;
    if loopback {
        let path = local_token(&global.data, &pipeline).await?;
        output::tell(format_args!(
            "provex: http://{address}, API token in {}; /docs shows what there is",
            path.display()
        ));
    } else {
        output::tell(format_args!(
            "provex: http://{address}, without TLS: put a proxy with TLS before it; `provex token create` makes \
             API tokens"
        ));
    }
    let limits = folder.parse_limits();
    let app = App::new(Arc::clone(&pipeline.store), Arc::new(System), limits, loopback);
    let asked = worker::stop_on_signals()?;
    let environment = app.measuring();
    let answering = provex_server::serve(app, listener, Limits::default(), stopped(Arc::clone(&asked)));
    let working = async {
        if serve.no_worker {
            return Ok(());
        }
        // What cannot be worked on is no reason to stop answering.
        while let Err(failure) =
            worker::work(&folder, None, &serve.worker, &asked, Arc::clone(&environment)).await
        {
            tracing::error!(reason = %failure, "the worker goes on in a minute");
            let _ = tokio::time::timeout(Duration::from_secs(60), stopped(Arc::clone(&asked))).await;
        }
        Ok::<_, Failure>(())
    };
    let (answered, worked) = tokio::join!(answering, working);
    answered.with_context(|| format!("listening on {address}"))?;
    worked?;
    Ok(Done::Yes)
}

/// Returns when the process was asked to stop.
async fn stopped(asked: Arc<AtomicBool>) {
    while !asked.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn listen(address: &str) -> Result<(TcpListener, bool), Failure> {
    let addresses: Vec<_> = address
        .to_socket_addrs()
        .map_err(|error| Failure::call(format!("--listen {address}: {error}; it looks like 127.0.0.1:7070")))?
        .collect();
    let listener = TcpListener::bind(addresses.as_slice())
        .with_context(|| format!("cannot listen on {address}; --listen HOST:PORT takes another"))?;
    let loopback = listener.local_addr().context("reading the address")?.ip().is_loopback();
    Ok((listener, loopback))
}

/// The file of a token of all scopes, made when there is none that holds.
async fn local_token(folder: &Path, pipeline: &Pipeline) -> Result<std::path::PathBuf, Failure> {
    let path = folder.join("local-token");
    if data::exists(&path)? {
        let kept = String::from_utf8(data::read_secret(&path)?).unwrap_or_default();
        let kept = pipeline.store.api_token(&Secret::digest_of(kept.trim_end())).await?;
        if kept.is_some_and(|token| token.tenant == pipeline.tenant && token.holds_at(System.now())) {
            return Ok(path);
        }
    }
    let scopes = Scope::ALL.into_iter().collect();
    let label = Some("local-token".to_owned());
    let (secret, _) = token::create(&*pipeline.store, pipeline.tenant.clone(), scopes, label, None).await?;
    data::write_file(&path, format!("{}\n", secret.reveal()).as_bytes(), 0o600)?;
    Ok(path)
}

/// Log lines go to stderr, spans to a collector where one is named.
fn tell(json: bool, otlp: Option<Otlp>) {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    // It tells its own failures to write by `eprintln!`, which panics where stderr cannot be written.
    let lines = lines.log_internal_errors(false);
    let lines = if json { lines.json().boxed() } else { lines.compact().boxed() };
    let all = tracing_subscriber::registry().with(lines.with_filter(LevelFilter::INFO));
    all.with(otlp.map(|otlp| otlp.with_filter(LevelFilter::INFO))).init();
}
