//! Who may do what: TLS, passwords, and services with the least rights that they can do their work with.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use blackfriday_broker::rabbitmq::{
    Admin, Membership, Producer, ProducerConfig, RabbitMqConfig, RabbitMqSecurity, Subscription,
};
use blackfriday_broker::{BatchLimits, BrokerError, MembershipEvent, PublishError, SubscriptionEvent};
use blackfriday_stack::{Authority, RabbitMq, RabbitMqOptions, RabbitMqUser, eventually};
use tokio::time::timeout;

use crate::log::next_batch;
use crate::{LIMIT, config, create_topic, publish, record, to, topic, until_available, ventas};

/// What each service may do, a line for each.
const RIGHTS: &str = include_str!("../../acl/rabbitmq.permissions");

#[tokio::test]
async fn services_do_their_work_with_the_rights_that_are_written_down() -> Result<()> {
    let users = rights()?;
    let rabbitmq =
        RabbitMq::start_with(RabbitMqOptions { users: users.into_values().collect(), ..Default::default() })
            .await?;
    let of = |name: &str| user(&rabbitmq, name, name);
    // Who makes the topics may do everything with them.
    let admin = Admin::new(&of("admin"))?;
    let names = ["ventas", "clima", "ventas.dlq", "clima.dlq"].map(|name| topic(name, 1));
    admin.create_topics(&names).await?;

    let writer = Producer::to(&of("writer"), &ProducerConfig::default(), vec![to("ventas"), to("clima")])?;
    until_available(&writer, true).await?;
    publish(&writer, "ventas", 0, 0..10).await?;
    publish(&writer, "clima", 0, 0..10).await?;

    let mut membership = Membership::join(&of("consumer"), "counters", &["ventas", "clima"])?;
    let mut owned = 0;
    while owned < 2 {
        match timeout(LIMIT, membership.next()).await.context("an assignment")? {
            Some(MembershipEvent::Shared(partitions)) => owned += partitions.len(),
            other => anyhow::bail!("{other:?}"),
        }
    }
    let mut subscription = Subscription::open(&of("consumer"), BatchLimits::default(), false)?;
    subscription.start(ventas(0), 0, 1);
    assert_eq!(next_batch(&mut subscription).await?.to, 10);
    let topics = vec![to("ventas"), to("ventas.dlq"), to("clima.dlq")];
    let dead_letters = Producer::to(&of("consumer"), &ProducerConfig::default(), topics)?;
    until_available(&dead_letters, true).await?;
    publish(&dead_letters, "ventas.dlq", 0, 0..1).await?;
    assert_eq!(dead_letters.refuses("ventas"), None, "nobody wanted to write there");

    let verify = Admin::new(&of("verify"))?;
    assert_eq!(verify.watermarks(&ventas(0)).await?.high, 10);
    nobody_may_do_more(&rabbitmq, &dead_letters).await
}

async fn nobody_may_do_more(rabbitmq: &RabbitMq, consumers: &Producer) -> Result<()> {
    let of = |name: &str| user(rabbitmq, name, name);
    assert_eq!(consumers.publish(record("ventas", 0, 1)).await, Err(PublishError::Unavailable));
    let reason = consumers.refuses("ventas").context("it is told")?;
    assert!(reason.contains("ventas-0") && reason.contains("may not"), "{reason}");
    publish(consumers, "ventas.dlq", 0, 1..2).await.context("the other topic does not suffer from it")?;
    let refused = Admin::new(&of("writer"))?.watermarks(&ventas(0)).await;
    assert!(matches!(refused, Err(BrokerError::Ask { .. })), "{refused:?}");
    let mut subscription = Subscription::open(&of("writer"), BatchLimits::default(), false)?;
    subscription.start(ventas(0), 0, 1);
    let told = timeout(LIMIT, subscription.next()).await.context("it is told")?;
    assert!(
        matches!(&told, Some(SubscriptionEvent::Failed { reason, .. }) if reason.contains("may not")),
        "{told:?}"
    );
    assert!(subscription.complaint().is_some());
    for name in ["writer", "consumer", "verify"] {
        let refused = Admin::new(&of(name))?.create_topics(&[topic("ventas", 2)]).await;
        assert!(matches!(refused, Err(BrokerError::CreateTopic { .. })), "{name}: {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn whom_the_server_does_not_let_in_is_told_why() -> Result<()> {
    let authority = Authority::new()?;
    let identity = authority.issue("rabbitmq.test")?;
    let options = RabbitMqOptions { tls: Some(identity.clone()), ..RabbitMqOptions::default() };
    let rabbitmq = RabbitMq::start_with(options).await?;
    create_topic(&rabbitmq, "ventas", 1).await?;
    let tls = |ca: Option<std::path::PathBuf>| -> Result<RabbitMqConfig> {
        let mut config = RabbitMqConfig::new(rabbitmq.tls_address().context("it serves TLS")?);
        config.security = RabbitMqSecurity { tls: true, ca, ..RabbitMqSecurity::default() };
        Ok(config)
    };
    let secure = tls(Some(identity.ca.clone()))?;
    let producer = Producer::to(&secure, &ProducerConfig::default(), vec![to("ventas")])?;
    until_available(&producer, true).await?;
    publish(&producer, "ventas", 0, 0..1_000).await?;
    assert_eq!(crate::log::read_at(&secure, "ventas").await?[&0].len(), 1_000, "read over TLS, too");

    let others = Authority::new()?;
    let stranger = others.issue("rabbitmq.test")?;
    let mut elsewhere = config(&rabbitmq);
    elsewhere.vhost = "elsewhere".to_owned();
    let wrong = [
        (user(&rabbitmq, "guest", "wrong"), "password is wrong"),
        (elsewhere, "virtual host"),
        (tls(Some(stranger.ca))?, "TLS"),
        (RabbitMqConfig::new(rabbitmq.amqp_address()), "stream protocol"),
        (RabbitMqConfig::new("nowhere.invalid:5552"), "nowhere.invalid"),
    ];
    for (config, expected) in wrong {
        let producer = Producer::to(&config, &ProducerConfig::default(), vec![to("ventas")])?;
        let told = async || producer.complaint().is_some_and(|complaint| complaint.contains(expected));
        eventually(LIMIT, told).await.with_context(|| format!("{expected}: {:?}", producer.complaint()))?;
        assert_eq!(producer.publish(record("ventas", 0, 1)).await, Err(PublishError::Unavailable));
        let error = Admin::new(&config)?.partitions("ventas").await;
        let Err(BrokerError::Ask { source, .. }) = error else { panic!("{error:?}") };
        assert!(source.to_string().contains(expected), "{source}");
    }
    Ok(())
}

fn user(rabbitmq: &RabbitMq, name: &str, password: &str) -> RabbitMqConfig {
    let mut config = config(rabbitmq);
    config.security.username = name.to_owned();
    config.security.password = Some(password.parse().unwrap_or_else(|never| match never {}));
    config
}

fn rights() -> Result<BTreeMap<String, RabbitMqUser>> {
    let parse = |line: &str| {
        let (name, rights) = line.split_once(':').context("a user")?;
        let of = |right: &str| -> Result<String> {
            let found =
                rights.split_whitespace().find_map(|word| word.strip_prefix(right)?.strip_prefix('='));
            Ok(found.with_context(|| format!("{right} of {name}"))?.to_owned())
        };
        let user = RabbitMqUser {
            name: name.to_owned(),
            password: name.to_owned(),
            configure: of("configure")?,
            write: of("write")?,
            read: of("read")?,
        };
        Ok((user.name.clone(), user))
    };
    RIGHTS.lines().filter(|line| !line.starts_with('#')).map(parse).collect()
}
