//! Whether anybody listens where the event log should be. A service waits for its log; a command says at once that it is away.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{EventLog, LogConfig};
use crate::error::BrokerError;

const LIMIT: Duration = Duration::from_secs(2);

impl LogConfig {
    /// That one of the servers takes a connection.
    ///
    /// # Errors
    /// None of them does within 2 s.
    pub async fn reach(&self) -> Result<(), BrokerError> {
        let (port, check) = match self.log {
            EventLog::Kafka => (9092, "--kafka-brokers or BLACKFRIDAY_KAFKA_BROKERS"),
            EventLog::RabbitMq => (5552, "--rabbitmq-servers or BLACKFRIDAY_RABBITMQ_SERVERS"),
        };
        let servers = self.servers();
        let mut tries: JoinSet<_> =
            servers.split(',').map(|server| connect(with_port(server, port))).collect();
        let mut reason = io::Error::other("no server is named");
        while let Some(tried) = tries.join_next().await {
            match tried.map_err(io::Error::other).flatten() {
                Ok(()) => return Ok(()),
                Err(error) => reason = error,
            }
        }
        Err(BrokerError::Unreachable { log: self.log, servers: servers.to_owned(), check, reason })
    }

    /// Where it should be, as it was given: `host:port`, separated by commas.
    pub fn servers(&self) -> &str {
        match self.log {
            EventLog::Kafka => &self.kafka.brokers,
            EventLog::RabbitMq => &self.rabbitmq.servers,
        }
    }
}

async fn connect(server: String) -> io::Result<()> {
    let connected = timeout(LIMIT, TcpStream::connect(server)).await;
    connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut)).flatten().map(drop)
}

/// As Kafka's client reads it: perhaps with a protocol in front, perhaps without a port.
fn with_port(server: &str, port: u16) -> String {
    let server = server.trim();
    let server = server.split_once("://").map_or(server, |(_, server)| server);
    let has_port = server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port && !server.ends_with(']') { server.to_owned() } else { format!("{server}:{port}") }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn who_is_away_is_named_with_the_setting_and_one_who_is_there_is_enough() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let there = listener.local_addr()?.to_string();
        let gone = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string();
        LogConfig::kafka_at(format!("{gone}, {there}")).reach().await.expect("one is there");

        let asked = Instant::now();
        let error = LogConfig::kafka_at(&gone).reach().await.expect_err("nobody listens");
        assert!(asked.elapsed() < LIMIT * 2);
        let said = error.to_string();
        assert!(said.contains(&gone) && said.contains("--kafka-brokers"), "{said}");
        Ok(())
    }

    #[test]
    fn a_server_without_a_port_has_the_usual_one() {
        for (server, expected) in [
            ("kafka", "kafka:9092"),
            (" kafka:19092", "kafka:19092"),
            ("PLAINTEXT://kafka:1", "kafka:1"),
            ("[::1]", "[::1]:9092"),
            ("[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(with_port(server, 9092), expected);
        }
    }
}
