//! `pgweir run`: the runtime, the logs, the signals, and the console joined with the proxy.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use pgweir_admin::Privilege;
use pgweir_config::{Config, LogFormat, LogSettings};
use pgweir_proxy::report::{Report, ShutdownMode};
use pgweir_proxy::{Console, ConsoleUser, Proxy, StartError};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

/// Serves until told to end; fails if it cannot start.
pub(crate) fn run(path: &Path) -> ExitCode {
    let loaded = match Config::load(path) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    start_log(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = loaded.config.listen.workers {
        runtime.worker_threads(workers.get() as usize);
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(serve(loaded.config, path));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config, path: &Path) -> Result<(), StartError> {
    let http_address = config.admin.http_address.clone();
    let proxy = Proxy::new(config, Some(path.to_owned()), console())?;
    if let Some(address) = http_address {
        let wrong = |error| StartError::Listen(address.to_string(), error);
        let listener = TcpListener::bind((address.host.as_str(), address.port)).await.map_err(wrong)?;
        tracing::info!(address = %listener.local_addr().map_err(wrong)?, "listening for HTTP");
        let report: Arc<dyn Report> = Arc::clone(&proxy) as Arc<dyn Report>;
        tokio::spawn(pgweir_admin::serve_http(listener, report, std::future::pending()));
    }
    tokio::spawn(heed_signals(Arc::clone(&proxy)));
    proxy.serve().await
}

/// The console on a client's connection.
fn console() -> Console {
    Arc::new(|admitted, user, report| {
        Box::pin(async move {
            let privilege = match user {
                ConsoleUser::Admin => Privilege::Admin,
                ConsoleUser::Stats => Privilege::Stats,
            };
            let admitted = *admitted;
            let served =
                pgweir_admin::serve(admitted.stream, admitted.unsent, admitted.early, privilege, report)
                    .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a console connection broke");
            }
        })
    })
}

/// HUP reloads, TERM drains (and ends at once when it comes again), INT waits for servers, QUIT ends at once.
async fn heed_signals(proxy: Arc<Proxy>) {
    let open = |kind| signal(kind).expect("the runtime handles signals");
    let (mut hup, mut term) = (open(SignalKind::hangup()), open(SignalKind::terminate()));
    let (mut int, mut quit) = (open(SignalKind::interrupt()), open(SignalKind::quit()));
    let mut draining = Draining::No;
    loop {
        tokio::select! {
            () = came(&mut hup) => match proxy.reload_file() {
                Ok(messages) => {
                    messages.iter().for_each(|message| tracing::info!("{message}"));
                    tracing::info!("the configuration was reloaded");
                }
                Err(error) => tracing::error!("the old configuration stays in force: {error}"),
            },
            () = came(&mut term) => match std::mem::replace(&mut draining, Draining::Yes) {
                Draining::No => proxy.drain(),
                Draining::Yes => proxy.shutdown(ShutdownMode::Immediate),
            },
            () = came(&mut int) => proxy.shutdown(ShutdownMode::WaitForServers),
            () = came(&mut quit) => proxy.shutdown(ShutdownMode::Immediate),
        }
    }
}

enum Draining {
    No,
    Yes,
}

async fn came(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

fn start_log(settings: &LogSettings) {
    use pgweir_config::LogLevel;
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    match settings.format {
        LogFormat::Json => log.json().init(),
        LogFormat::Plain => log.with_ansi(false).init(),
    }
}
