//! Real servers: what a user of [`Kafka`] and [`Valkey`] relies on.
use std::time::Duration;

use blackfriday_stack::{Kafka, Valkey};

#[tokio::test]
async fn kafka_starts() {
    let begin = std::time::Instant::now();
    let kafka = Kafka::start().await.expect("starts");
    eprintln!("kafka start {:?}", begin.elapsed());
    let begin = std::time::Instant::now();
    kafka.stop().await.expect("stop");
    eprintln!("kafka stop {:?}", begin.elapsed());
    let begin = std::time::Instant::now();
    kafka.restart().await.expect("restart");
    eprintln!("kafka restart {:?}", begin.elapsed());
    let begin = std::time::Instant::now();
    kafka.kill().await.expect("kill");
    kafka.restart().await.expect("restart");
    eprintln!("kafka kill+restart {:?}", begin.elapsed());
}
#[tokio::test]
async fn valkey_starts() {
    let begin = std::time::Instant::now();
    let valkey = Valkey::start().await.expect("starts");
    eprintln!("valkey start {:?}", begin.elapsed());
    let begin = std::time::Instant::now();
    valkey.stop().await.expect("stop");
    eprintln!("valkey stop {:?}", begin.elapsed());
    valkey.restart().await.expect("stop");
    eprintln!("valkey restart {:?}", begin.elapsed());
    let _ = Duration::ZERO;
}
