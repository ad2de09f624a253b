//! What the weather's log, store and services say of themselves, where they run already: whether RabbitMQ blocks its writers,
//! whether its streams are there, whether Redis takes writes, and who is not ready.
//!
//! The servers are asked inside of their pods, since the network policies let nobody else in. Nothing here is a problem for a
//! deployment, which may be what mends it.

use anyhow::Result;
use blackfriday_terminal::failure::Denied;
use serde_json::Value;

use super::object::{Answer, List, Object, Pod};
use super::report::Check;
use crate::shell::{Shell, is_late, last_lines};

const RABBITMQCTL: [&str; 10] = [
    "-n",
    "rabbitmq",
    "exec",
    "clima-rabbit-server-0",
    "-c",
    "rabbitmq",
    "--",
    "rabbitmqctl",
    "--quiet",
    "--formatter=json",
];
const INFO: [&str; 14] = [
    "-n",
    "redis",
    "exec",
    "redis-0",
    "-c",
    "redis",
    "--",
    "/bin/redis-cli",
    "--no-auth-warning",
    "--user",
    "readiness",
    "--pass",
    "none",
    "info",
];
const SERVICES: [&str; 4] = ["kafka-writer", "rabbit-writer", "kafka-consumer", "rabbit-consumer"];
/// What the job `rabbitmq-setup` makes.
const STREAMS: [&str; 2] = ["clima-queue", "clima.dlq-0"];

/// Asks what runs of the overlay's weather system.
///
/// # Errors
/// No cluster answers.
pub(super) async fn look(shell: &Shell, objects: &[Object], pods: &Answer<List<Pod>>) -> Result<Vec<Check>> {
    let has = |name: &str| objects.iter().any(|object| object.metadata.name == name);
    let runs = |namespace: &str, name: &str| {
        let Answer::Is(pods) = pods else { return false };
        let is_it = |pod: &Pod| pod.metadata.namespace == namespace && pod.metadata.name == name;
        pods.items.iter().any(|pod| is_it(pod) && pod.status.phase == "Running")
    };
    let mut checks = Vec::new();
    if has("rabbitmq-setup") && runs("rabbitmq", "clima-rabbit-server-0") {
        for (name, words, judge) in [
            ("rabbitmq", &["status"][..], alarms as fn(&Value) -> Check),
            ("streams", &["list_queues", "name", "state"], streams),
        ] {
            let told = told(shell, name, &[&RABBITMQCTL[..], words].concat()).await?;
            let is_silent = told.is_err();
            checks.push(
                told.and_then(|text| json(name, &text)).map_or_else(|silent| silent, |told| judge(&told)),
            );
            // A server that is busy has enough to do with one tool's start.
            if is_silent {
                break;
            }
        }
    }
    if has("redis") && runs("redis", "redis-0") {
        checks.push(told(shell, "redis", &INFO).await?.map_or_else(|silent| silent, |text| redis(&text)));
    }
    if has("rabbit-writer") {
        checks.extend(services(shell).await?);
    }
    Ok(checks)
}

/// What a server's own tool prints; a check that says so if it does not answer, or not in time: a busy node takes minutes for
/// such a tool's start.
async fn told(shell: &Shell, name: &'static str, words: &[&str]) -> Result<Result<String, Check>> {
    let why = match shell.attempt(words, None).await {
        Ok(done) if done.is_ok => return Ok(Ok(String::from_utf8_lossy(&done.stdout).into_owned())),
        Ok(done) => last_lines(&done.stderr),
        Err(error) if is_late(&error) => error.to_string(),
        Err(error) => return Err(error),
    };
    let seen = format!("it does not tell: {why}");
    Ok(Err(Check::warning(name, seen, shell.line(words.iter().copied()).to_string())))
}

fn json(name: &'static str, text: &str) -> Result<Value, Check> {
    serde_json::from_str(text).map_err(|_| {
        Check::warning(
            name,
            "it tells something else than JSON",
            "kubectl -n rabbitmq logs clima-rabbit-server-0",
        )
    })
}

fn alarms(status: &Value) -> Check {
    let name = "rabbitmq";
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let alarms = status["alarms"].as_array().map_or(&[][..], Vec::as_slice);
    let alarms: Vec<_> = alarms
        .iter()
        .map(|alarm| format!("{} at {}", text(&alarm["resource"]), text(&alarm["node"])))
        .collect();
    if alarms.is_empty() {
        return Check::ok(name, format!("{}, no alarms", text(&status["rabbitmq_version"])));
    }
    let seen = format!("it blocks its writers: {}", alarms.join(", "));
    Check::warning(name, seen, "less docs/operations.md     # RabbitAlarm")
}

fn streams(queues: &Value) -> Check {
    let name = "streams";
    let queues = queues.as_array().map_or(&[][..], Vec::as_slice);
    let state = |stream: &str| {
        let queue = queues.iter().find(|queue| queue["name"] == stream)?;
        Some(queue["state"].as_str().unwrap_or("?"))
    };
    let missing: Vec<_> = STREAMS.iter().filter(|stream| state(stream).is_none()).copied().collect();
    if !missing.is_empty() {
        let seen = format!("{} are not there: the deployment makes them", missing.join(", "));
        return Check::warning(name, seen, "kubectl -n rabbitmq logs job/rabbitmq-setup");
    }
    let down: Vec<_> = STREAMS.iter().filter(|stream| state(stream) != Some("running")).copied().collect();
    if down.is_empty() {
        return Check::ok(name, format!("{} have a leader", STREAMS.join(", ")));
    }
    let seen = format!("{} have no leader: nothing can be written there", down.join(", "));
    Check::warning(name, seen, "less docs/operations.md     # StreamWithoutLeader")
}

fn redis(info: &str) -> Check {
    let name = "redis";
    let value = |key: &str| {
        let of = |line: &str| Some(line.trim().strip_prefix(key)?.strip_prefix(':')?.to_owned());
        info.lines().find_map(of).unwrap_or_default()
    };
    let number = |key: &str| value(key).parse::<u64>().unwrap_or_default();
    let (used, limit) = (number("used_memory"), number("maxmemory"));
    let told = |seen: String, section: &str| {
        Check::warning(name, seen, format!("less docs/operations.md     # {section}"))
    };
    if value("loading") == "1" {
        return told("it still reads its append-only file".to_owned(), "StoreAway");
    }
    if value("aof_last_write_status") == "err" {
        return told("it cannot write its append-only file, and takes no writes".to_owned(), "StoreAway");
    }
    if limit > 0 && used > limit / 10 * 8 {
        return told(format!("{used} of {limit} bytes are used; full, it takes no writes"), "StoreFills");
    }
    Check::ok(name, format!("{}, {used} of {limit} bytes are used", value("redis_version")))
}

/// Who of the weather's services is deployed and has no pod that is ready.
async fn services(shell: &Shell) -> Result<Option<Check>> {
    let name = "weather";
    let words =
        [&["-n", "blackfriday", "get", "deployments"][..], &SERVICES, &["--ignore-not-found", "-o", "json"]];
    let found = match shell.json(&words.concat(), None).await {
        Ok(found) => found,
        Err(error) if error.is::<Denied>() => return Ok(None),
        Err(error) if is_late(&error) => {
            let remedy = "kubectl -n blackfriday get deployments";
            return Ok(Some(Check::warning(name, error.to_string(), remedy)));
        }
        Err(error) => return Err(error),
    };
    Ok(readiness(name, &found))
}

fn readiness(name: &'static str, found: &Value) -> Option<Check> {
    let deployments = found["items"].as_array().filter(|items| !items.is_empty())?;
    let away = deployments
        .iter()
        .filter(|deployment| deployment["status"]["availableReplicas"].as_u64().unwrap_or(0) == 0);
    let away: Vec<_> = away.filter_map(|deployment| deployment["metadata"]["name"].as_str()).collect();
    Some(match away.first() {
        None => Check::ok(name, format!("{} have pods that are ready", SERVICES.join(", "))),
        Some(first) => {
            let remedy = format!("kubectl -n blackfriday logs -l app.kubernetes.io/name={first}");
            Check::warning(name, format!("{} have no pod that is ready", away.join(", ")), remedy)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::report::Verdict;
    use super::*;

    #[tokio::test]
    async fn a_tool_that_takes_too_long_is_one_check_of_all() {
        let shell = Shell::of(&["sh", "-c"], Duration::from_millis(50));
        let silent = told(&shell, "rabbitmq", &["sleep 60"]).await.expect("it goes on").expect_err("silent");
        assert_eq!((silent.name, silent.verdict), ("rabbitmq", Verdict::Warning));
        assert!(silent.seen.contains("did not end within 0.05 s"), "{}", silent.seen);
        let shell = Shell::of(&["sh", "-c"], Duration::from_secs(20));
        assert_eq!(
            told(&shell, "redis", &["echo role:master"]).await.expect("it goes on"),
            Ok("role:master\n".to_owned())
        );
    }

    #[test]
    fn an_alarm_of_rabbitmq_is_told() {
        let status = |found: &Value| alarms(&json!({"rabbitmq_version": "4.2.6", "alarms": found}));
        assert_eq!(status(&json!([])).seen, "4.2.6, no alarms");
        let alarm = json!({"node": "rabbit@localhost", "resource": "disk", "type": "resource_limit"});
        let check = status(&json!([alarm]));
        assert!(
            check.verdict == Verdict::Warning && check.seen.ends_with("disk at rabbit@localhost"),
            "{check:?}"
        );
    }

    #[test]
    fn a_stream_is_missing_or_has_no_leader() {
        let queue = |name: &str, state: &str| json!({"name": name, "state": state});
        let check = |queues: &[Value]| streams(&Value::Array(queues.to_vec()));
        let letters = queue("clima.dlq-0", "running");
        assert_eq!(check(&[queue("clima-queue", "running"), letters.clone()]).verdict, Verdict::Ok);
        let down = check(&[queue("clima-queue", "down"), letters.clone()]);
        assert!(down.seen.starts_with("clima-queue have no leader"), "{down:?}");
        let missing = check(&[letters]);
        assert!(missing.seen.starts_with("clima-queue are not there"), "{missing:?}");
    }

    #[test]
    fn a_full_or_broken_redis_is_told() {
        let info = |used: u64, aof: &str| {
            format!(
                "# Server\r\nredis_version:8.0.2\r\nloading:0\r\nused_memory:{used}\r\nused_memory_human:1M\r\nmaxmemory:1000\r\naof_last_write_status:{aof}\r\n"
            )
        };
        assert_eq!(redis(&info(800, "ok")).seen, "8.0.2, 800 of 1000 bytes are used");
        assert!(redis(&info(801, "ok")).seen.contains("801 of 1000"));
        assert!(redis(&info(1, "err")).seen.contains("takes no writes"));
        assert!(redis("loading:1\r\n").seen.contains("reads its append-only file"));
        assert_eq!(
            redis("used_memory:5\r\nmaxmemory:0\r\n").verdict,
            Verdict::Ok,
            "without a limit it is never full"
        );
    }

    #[test]
    fn services_without_a_pod_are_named() {
        let of = |name: &str, available: u64| json!({"metadata": {"name": name}, "status": {"availableReplicas": available}});
        let check = |items: Value| readiness("weather", &json!({ "items": items }));
        assert_eq!(check(json!([])), None);
        assert_eq!(check(json!([of("kafka-writer", 2)])).expect("a check").verdict, Verdict::Ok);
        let found = check(json!([of("kafka-writer", 1), of("rabbit-writer", 0)])).expect("a check");
        assert_eq!(found.seen, "rabbit-writer have no pod that is ready");
    }
}
