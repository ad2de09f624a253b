//! TLS and users on every hop, each user with no more than it needs; and what happens where they are wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blackfriday_broker::kafka::{KafkaConfig, KafkaSecurity, SecurityProtocol};
use blackfriday_broker::{OutgoingRecord, Producer, ProducerConfig};
use blackfriday_e2e::{Pipeline, Service, get, post};
use blackfriday_stack::{
    Authority, Grant, Identity, Kafka, KafkaOptions, SecureListener, Valkey, ValkeyOptions, eventually,
};
use tempfile::TempDir;
use tokio::time::timeout;

const SALE: &str = r#"{"categoria":"Ropa","producto_id":"P-1","precio":10.5,"cantidad_vendida":1}"#;
const LIMIT: Duration = Duration::from_secs(60);
const WRITERS: [Service; 2] = [Service::WriterA, Service::WriterB];
/// Users and their passwords, the same in Kafka and in Valkey.
const USERS: [(&str, &str); 4] = [
    ("writer", "hunter2-writer"),
    ("consumer", "hunter2-consumer"),
    ("dashboard", "hunter2-dashboard"),
    ("verify", "hunter2-verify"),
];

/// A pipeline with everything secured.
struct Secured {
    pipeline: Pipeline,
    authority: Authority,
    strangers: Authority,
    passwords: TempDir,
    /// Where the log of a service's newest run begins.
    since: BTreeMap<Service, usize>,
}

impl Secured {
    async fn start() -> Result<Self> {
        let (authority, strangers) = (Authority::new()?, Authority::new()?);
        let passwords = tempfile::tempdir()?;
        for (user, password) in USERS {
            fs::write(passwords.path().join(user), format!("{password}\n"))?;
        }
        let (kafka, valkey) = tokio::try_join!(kafka(&authority), valkey(&authority))?;
        let pipeline = Pipeline::prepare(kafka, valkey).await?;
        let mut secured = Self { pipeline, authority, strangers, passwords, since: BTreeMap::new() };
        secured.configure()?;
        secured.pipeline.start_all().await?;
        Ok(secured)
    }

    fn configure(&mut self) -> Result<()> {
        let (certificate, relay) = (self.authority.issue("writer")?, self.authority.issue("relay")?);
        let kafka = self.pipeline.kafka.secure_bootstrap().context("a secure listener")?;
        let valkey = self.pipeline.valkey.tls_url().context("TLS")?;
        for (user, services) in [
            ("writer", &WRITERS[..]),
            ("consumer", &[Service::Consumer]),
            ("dashboard", &[Service::Dashboard]),
            ("verify", &[]),
        ] {
            let client = self.authority.issue(user)?;
            let mut set = |name: &str, value: &str| {
                self.pipeline.set(services, name, value);
                if user == "verify" {
                    self.pipeline.set_of_commands(name, value);
                }
            };
            let password = path(&self.passwords.path().join(user));
            set("BLACKFRIDAY_KAFKA_BROKERS", &kafka);
            set("BLACKFRIDAY_KAFKA_SECURITY_PROTOCOL", "sasl_ssl");
            set("BLACKFRIDAY_KAFKA_USERNAME", user);
            set("BLACKFRIDAY_KAFKA_PASSWORD_FILE", &password);
            set("BLACKFRIDAY_KAFKA_CA", &path(&client.ca));
            set("BLACKFRIDAY_VALKEY_URL", &valkey);
            set("BLACKFRIDAY_VALKEY_USERNAME", user);
            set("BLACKFRIDAY_VALKEY_PASSWORD_FILE", &password);
            set("BLACKFRIDAY_VALKEY_CA", &path(&client.ca));
            set("BLACKFRIDAY_VALKEY_CERTIFICATE", &path(&client.certificate));
            set("BLACKFRIDAY_VALKEY_KEY", &path(&client.key));
        }
        self.pipeline.set(
            &WRITERS,
            "BLACKFRIDAY_WRITER_SERVER_TLS_CERTIFICATE",
            &path(&certificate.certificate),
        );
        self.pipeline.set(&WRITERS, "BLACKFRIDAY_WRITER_SERVER_TLS_KEY", &path(&certificate.key));
        self.pipeline.set(&WRITERS, "BLACKFRIDAY_WRITER_SERVER_TLS_CLIENT_CA", &path(&certificate.ca));
        self.pipeline.set(&[Service::Relay], "BLACKFRIDAY_WRITER_TLS_SERVER_NAME", "writer");
        self.set_relay(&relay);
        Ok(())
    }

    fn set_relay(&mut self, identity: &Identity) {
        let relay = &[Service::Relay];
        self.pipeline.set(relay, "BLACKFRIDAY_WRITER_TLS_CA", &path(&identity.ca));
        self.pipeline.set(relay, "BLACKFRIDAY_WRITER_TLS_CERTIFICATE", &path(&identity.certificate));
        self.pipeline.set(relay, "BLACKFRIDAY_WRITER_TLS_KEY", &path(&identity.key));
    }

    async fn restart(&mut self, services: &[Service]) -> Result<()> {
        for service in services {
            self.pipeline.terminate(*service).await?;
            self.since.insert(*service, self.pipeline.log(*service).len());
            self.pipeline.spawn(*service)?;
        }
        Ok(())
    }

    /// The service lives, says what is wrong, and is not ready.
    async fn complains(&self, service: Service, of: &str) -> Result<()> {
        let since = self.since.get(&service).copied().unwrap_or(0);
        let said = || self.pipeline.log(service)[since..].contains(of);
        let told = eventually(LIMIT, async || said()).await;
        told.with_context(|| format!("{service:?} says {of}; its log:\n{}", self.pipeline.log(service)))?;
        let admin = self.pipeline.admin(service);
        ensure!(get(admin, "/livez").await?.status.is_success(), "{service:?} is dead");
        ensure!(!get(admin, "/readyz").await?.status.is_success(), "{service:?} is ready");
        Ok(())
    }

    async fn are_ready(&self, services: &[Service]) -> Result<()> {
        for service in services {
            self.pipeline.wait_ready(*service, true).await?;
        }
        Ok(())
    }

    fn password_file(&self, user: &str) -> String {
        path(&self.passwords.path().join(user))
    }

    async fn refuses_sales(&self) -> Result<()> {
        let answer = post(self.pipeline.address(Service::Gateway), "/venta", SALE).await?;
        ensure!(answer.status.as_u16() == 503 && answer.retry_after_s.is_some(), "{answer:?}");
        Ok(())
    }

    async fn load_and_verify(&self, name: &str) -> Result<()> {
        let load = self.pipeline.load(name, &["--rate", "200", "--duration", "3s"])?;
        load.finish(LIMIT).await?;
        let table = self.pipeline.verify(&[&load]).await?;
        ensure!(table["accepted"].as_u64().is_some_and(|accepted| accepted > 0), "nothing: {table}");
        Ok(())
    }
}

async fn kafka(authority: &Authority) -> Result<Kafka> {
    let secure = SecureListener {
        identity: Some(authority.issue("kafka")?),
        users: USERS.map(|(user, password)| (user.to_owned(), password.to_owned())).to_vec(),
        with_acls: true,
        ..SecureListener::default()
    };
    let kafka = Kafka::start_with(KafkaOptions { secure: Some(secure), ..KafkaOptions::default() }).await?;
    for user in ["writer", "consumer", "verify"] {
        let text = fs::read_to_string(crates().join("broker/acl").join(user).with_extension("acl"))?;
        let grants = text.lines().map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            let mut word = || words.next().context("three words a line");
            Ok(Grant { operation: word()?, resource: word()?, name: word()? })
        });
        kafka.grant(user, &grants.collect::<Result<Vec<_>>>()?).await?;
    }
    Ok(kafka)
}

async fn valkey(authority: &Authority) -> Result<Valkey> {
    let tls = Some(authority.issue("valkey")?);
    let valkey = Valkey::start_with(ValkeyOptions { tls, ..ValkeyOptions::default() }).await?;
    for (user, password) in USERS.into_iter().skip(1) {
        let rules = fs::read_to_string(crates().join("store/acl").join(user).with_extension("acl"))?;
        let password = format!(">{password}");
        let command: Vec<_> =
            ["ACL", "SETUSER"].into_iter().chain(rules.split_whitespace().skip(1)).collect();
        valkey.command(&[&command[..], &[&password]].concat()).await?;
    }
    Ok(valkey)
}

fn crates() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in `crates`")
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hop_can_be_secured_and_says_where_it_is_not_let_in() -> Result<()> {
    let mut secured = Secured::start().await?;
    secured.load_and_verify("first").await?;
    users_write_only_where_they_should(&secured).await?;
    kafka_lets_nobody_else_in(&mut secured).await?;
    valkey_lets_nobody_else_in(&mut secured).await?;
    writers_let_nobody_else_in(&mut secured).await?;
    secured.load_and_verify("last").await?;
    for service in Service::ALL {
        let log = secured.pipeline.log(service);
        ensure!(!log.contains("hunter2"), "{service:?} prints a password:\n{log}");
        ensure!(!log.contains("Group authorization failed"), "{service:?} misses a right:\n{log}");
    }
    Ok(())
}

async fn users_write_only_where_they_should(secured: &Secured) -> Result<()> {
    for (user, password) in USERS {
        let mut kafka = KafkaConfig::new(secured.pipeline.kafka.secure_bootstrap().context("a listener")?);
        kafka.security = KafkaSecurity {
            protocol: SecurityProtocol::SaslSsl,
            username: Some(user.to_owned()),
            password: Some(password.parse()?),
            ca: Some(secured.authority.ca()),
            ..KafkaSecurity::default()
        };
        let producer = Producer::new(&kafka.into(), &ProducerConfig::default(), "ventas")?;
        let sees_the_topic = user != "dashboard";
        if sees_the_topic {
            timeout(LIMIT, producer.availability().watch().wait_for(|available| *available)).await??;
        }
        for (topic, writers) in [("ventas", &["writer"]), ("ventas.dlq", &["consumer"])] {
            // Nothing is no sale: it becomes a dead letter, and must not disturb the verification.
            let record = OutgoingRecord { topic: topic.to_owned(), ..OutgoingRecord::default() };
            let published = producer.publish(record).await;
            let may = writers.contains(&user);
            ensure!(published.is_ok() == may, "{user} writes to {topic}: {published:?}");
        }
    }
    Ok(())
}

async fn kafka_lets_nobody_else_in(secured: &mut Secured) -> Result<()> {
    let clients = [Service::WriterA, Service::WriterB, Service::Consumer];
    let (wrong, file) = (secured.password_file("wrong"), "BLACKFRIDAY_KAFKA_PASSWORD_FILE");
    fs::write(&wrong, "hunter2-wrong\n")?;
    secured.pipeline.set(&clients, file, &wrong);
    secured.restart(&clients).await?;
    for service in clients {
        secured.complains(service, "--kafka-password-file").await?;
    }
    secured.refuses_sales().await?;
    let [of_writer, of_consumer] = ["writer", "consumer"].map(|user| secured.password_file(user));
    secured.pipeline.set(&WRITERS, file, &of_writer);
    secured.pipeline.set(&[Service::Consumer], file, &of_consumer);

    let (ours, strangers) = (path(&secured.authority.ca()), path(&secured.strangers.ca()));
    secured.pipeline.set(&clients, "BLACKFRIDAY_KAFKA_CA", &strangers);
    secured.restart(&clients).await?;
    for service in clients {
        secured.complains(service, "--kafka-ca").await?;
    }
    secured.refuses_sales().await?;
    secured.pipeline.set(&clients, "BLACKFRIDAY_KAFKA_CA", &ours);
    secured.restart(&clients).await?;
    secured.are_ready(&clients).await
}

/// The consumer goes on as soon as what was wrong is mended.
async fn valkey_lets_nobody_else_in(secured: &mut Secured) -> Result<()> {
    let clients = [Service::Consumer, Service::Dashboard];
    let file = secured.password_file("valkey");
    fs::write(&file, "hunter2-wrong\n")?;
    secured.pipeline.set(&clients, "BLACKFRIDAY_VALKEY_PASSWORD_FILE", &file);
    secured.restart(&clients).await?;
    secured.complains(Service::Consumer, "--valkey-password-file").await?;
    secured.complains(Service::Dashboard, "starting").await?;
    fs::write(&file, "hunter2-consumer\n")?;
    secured.are_ready(&[Service::Consumer]).await?;
    fs::write(&file, "hunter2-dashboard\n")?;
    secured.are_ready(&[Service::Dashboard]).await?;
    let file = secured.password_file("consumer");
    secured.pipeline.set(&[Service::Consumer], "BLACKFRIDAY_VALKEY_PASSWORD_FILE", &file);

    let (ours, strangers) = (path(&secured.authority.ca()), path(&secured.strangers.ca()));
    secured.pipeline.set(&clients, "BLACKFRIDAY_VALKEY_CA", &strangers);
    secured.restart(&clients).await?;
    secured.complains(Service::Consumer, "--valkey-ca").await?;
    secured.pipeline.set(&clients, "BLACKFRIDAY_VALKEY_CA", &ours);
    secured.restart(&clients).await?;
    secured.are_ready(&clients).await
}

async fn writers_let_nobody_else_in(secured: &mut Secured) -> Result<()> {
    let (right, stranger) = (secured.authority.issue("relay")?, secured.strangers.issue("relay")?);
    let unknown = Identity { ca: stranger.ca.clone(), ..right.clone() };
    let known_by_nobody = Identity { ca: right.ca.clone(), ..stranger };
    for (identity, reason) in [(unknown, "--writer-tls-ca)"), (known_by_nobody, "--writer-tls-certificate)")]
    {
        secured.set_relay(&identity);
        secured.restart(&[Service::Relay]).await?;
        secured.complains(Service::Relay, reason).await?;
        secured.refuses_sales().await?;
    }
    secured.set_relay(&right);
    secured.restart(&[Service::Relay]).await?;
    secured.are_ready(&[Service::Relay]).await
}
