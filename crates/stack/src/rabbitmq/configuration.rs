//! The files and the environment of the one node. Each value that differs from RabbitMQ's default says why.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{RabbitMq, local};
use crate::authority::Identity;
use crate::clock::Clock;
use crate::error::StackError;
use crate::private_file::write_private;

/// The broker's name towards its tools. Others on this machine may have the same: nobody registers it.
pub(super) const NODE: &str = "rabbit@localhost";
const PLUGINS: &str = "[rabbitmq_prometheus, rabbitmq_stream].\n";
const FIXED: &[(&str, &str)] = &[
    // Its own log is this process's output.
    ("log.console", "true"),
    ("log.console.level", "info"),
    ("log.file", "false"),
    ("stream.advertised_host", "127.0.0.1"),
    ("stream.advertised_tls_host", "127.0.0.1"),
    ("prometheus.tcp.ip", "127.0.0.1"),
];

/// How a [`RabbitMq`] is started.
#[derive(Clone, Debug, Default)]
pub struct RabbitMqOptions {
    /// Who may connect, besides `guest`.
    pub users: Vec<RabbitMqUser>,
    /// Serves the stream protocol over TLS, too, on a port next to the plain one, as this identity.
    pub tls: Option<Identity>,
    /// Whether clients on that port must show a certificate of the identity's authority.
    pub wants_certificates: bool,
    /// More lines of `rabbitmq.conf`, such as `("stream.frame_max", "65536")`. They win over the ones set here.
    pub config: BTreeMap<String, String>,
    /// Whether clients reach the plain stream protocol through a proxy, see [`RabbitMq::proxy`], and are told no other address.
    pub behind_proxy: bool,
    /// Whether the broker may use all processors, rather than one.
    pub for_load: bool,
    /// The time of day that the broker looks at when it starts, if not this machine's. It does not follow a later jump.
    pub clock: Option<Arc<Clock>>,
}

/// A user, and what it may do in the virtual host `/`: regular expressions of names, empty for nothing.
#[derive(Clone, Debug, Default)]
pub struct RabbitMqUser {
    /// How it is called.
    pub name: String,
    /// Its password.
    pub password: String,
    /// What it may create and delete.
    pub configure: String,
    /// What it may publish to.
    pub write: String,
    /// What it may read.
    pub read: String,
}

/// Writes the files that [`environment`] names.
pub(super) fn write(rabbitmq: &RabbitMq) -> Result<(), StackError> {
    let definitions = definitions(&rabbitmq.options.users).to_string();
    write_private(&rabbitmq.server.folder().join("definitions.json"), definitions.as_bytes())?;
    rabbitmq.server.write("enabled_plugins", PLUGINS)?;
    rabbitmq.server.write("rabbitmq.conf", &configuration(rabbitmq)).map(drop)
}

/// What keeps the broker from looking for its files elsewhere.
pub(super) fn environment(rabbitmq: &RabbitMq) -> BTreeMap<&'static str, String> {
    let file = |name: &str| rabbitmq.server.folder().join(name).display().to_string();
    let schedulers = if rabbitmq.options.for_load { "" } else { " +S 1:1" };
    // A node that is distributed from its start is not asked to start the machine-wide `epmd`.
    let arguments = format!("-sname {NODE} -kernel inet_dist_use_interface {{127,0,0,1}}{schedulers}");
    BTreeMap::from([
        ("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config")),
        ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", file("config")),
        ("RABBITMQ_LOG", "-color".to_owned()),
        ("RABBITMQ_LOG_BASE", file("log")),
        ("RABBITMQ_MNESIA_BASE", rabbitmq.server.data().display().to_string()),
        ("RABBITMQ_NODENAME", NODE.to_owned()),
        ("RABBITMQ_PID_FILE", file("pid")),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments),
        // The script becomes the broker, instead of waiting for it as another process.
        ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
    ])
}

fn configuration(rabbitmq: &RabbitMq) -> String {
    let (options, ports) = (&rabbitmq.options, &rabbitmq.ports);
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let mut lines: BTreeMap<String, String> = FIXED.iter().map(owned).collect();
    let mut set = |name: &str, value: String| lines.insert(name.to_owned(), value);
    set("listeners.tcp.1", local(ports.amqp));
    set("stream.listeners.tcp.1", local(ports.stream));
    set("stream.advertised_port", rabbitmq.advertised_port().to_string());
    set("prometheus.tcp.port", ports.metrics.to_string());
    set("load_definitions", rabbitmq.server.folder().join("definitions.json").display().to_string());
    if let Some((port, identity)) = ports.tls.zip(options.tls.as_ref()) {
        set("stream.listeners.ssl.1", local(port));
        set("stream.advertised_tls_port", port.to_string());
        set("ssl_options.cacertfile", identity.ca.display().to_string());
        set("ssl_options.certfile", identity.certificate.display().to_string());
        set("ssl_options.keyfile", identity.key.display().to_string());
        set(
            "ssl_options.verify",
            if options.wants_certificates { "verify_peer" } else { "verify_none" }.to_owned(),
        );
        set("ssl_options.fail_if_no_peer_cert", options.wants_certificates.to_string());
    }
    lines.extend(options.config.clone());
    lines.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
}

/// Users and rights, which the broker loads at each start. With definitions it makes no user and no virtual host of its own.
fn definitions(users: &[RabbitMqUser]) -> Value {
    let mut known = vec![json!({"name": "guest", "password": "guest", "tags": "administrator"})];
    known.extend(users.iter().map(|user| json!({"name": user.name, "password": user.password, "tags": ""})));
    let all = ".*";
    let mut rights = vec![permission("guest", [all, all, all])];
    rights
        .extend(users.iter().map(|user| permission(&user.name, [&user.configure, &user.write, &user.read])));
    json!({"users": known, "vhosts": [{"name": "/"}], "permissions": rights})
}

fn permission(user: &str, [configure, write, read]: [&str; 3]) -> Value {
    json!({"user": user, "vhost": "/", "configure": configure, "write": write, "read": read})
}
