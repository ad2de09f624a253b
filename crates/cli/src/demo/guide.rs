//! What to try while everything goes on running: commands that can be copied as they are.

use std::path::Path as File;

use blackfriday_broker::EventLog;

use crate::pipeline::{Addresses, Events, Path, Servers, default_store};

/// A guide for what runs, and where the receipts of the load are.
pub(super) struct Guide<'a> {
    pub(super) servers: &'a Servers,
    pub(super) addresses: &'a Addresses,
    pub(super) paths: &'a [Path],
    pub(super) receipts: &'a File,
}

impl Guide<'_> {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec!["everything goes on running until Ctrl-C. In another terminal:".to_owned()];
        lines.extend(self.addresses.exports());
        lines.push("then look, send more, and prove it again:".to_owned());
        for events in [Events::Sales, Events::Weather] {
            if self.paths.iter().any(|path| path.events == events) {
                lines.extend(self.send(events));
            }
        }
        lines.extend(self.paths.iter().flat_map(|path| self.look(*path)));
        lines.push("and break it, then verify again:".to_owned());
        lines.push(self.tamper());
        lines
    }

    fn send(&self, events: Events) -> [String; 3] {
        let body = match events {
            Events::Sales => {
                r#"{"categoria":"Ropa","producto_id":"R-001","precio":89.99,"cantidad_vendida":1}"#
            }
            Events::Weather => r#"{"description":"Nubes bajas","country":"GT","weather":"Nublado"}"#,
        };
        let (gateway, route, me) = (&self.addresses.gateway, events.route(), me());
        [
            format!("  curl -i {gateway}/{route} -H 'content-type: application/json' \\"),
            format!("    -d '{body}'"),
            format!("  {me} load --route {route} --rate 500 --duration 10s"),
        ]
    }

    /// How to look at a path, and how to prove it.
    fn look(&self, path: Path) -> [String; 2] {
        let (topics, me) = (path.events.topics(), me());
        let log = match path.log {
            EventLog::Kafka => String::new(),
            EventLog::RabbitMq => " --log rabbitmq".to_owned(),
        };
        let store = match path.store == default_store(self.paths) {
            true => String::new(),
            false => format!(" --valkey-url {}", self.servers.url(path.store)),
        };
        let receipts = self.receipts.join(format!("{topics}.receipts"));
        [
            format!("  {me} tail --topic {topics} --follow --from end{log}"),
            format!("  {me} verify --topics {topics} --receipts {}{log}{store}", receipts.display()),
        ]
    }

    fn tamper(&self) -> String {
        let Path { events, store, .. } = self.paths[0];
        let (client, url) = (self.servers.client(store), self.servers.url(store));
        match events {
            Events::Sales => format!("  {client} -u {url} incr reportes:total:Ropa"),
            Events::Weather => format!("  {client} -u {url} incr total_messages"),
        }
    }
}

/// As this program was called.
fn me() -> String {
    std::env::args().next().unwrap_or_else(|| "blackfriday".to_owned())
}
