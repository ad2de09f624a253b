//! The weather of both stores, a Valkey and a Redis, side by side.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blackfriday_stack::{Valkey, ValkeyOptions, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Tab;
use crate::support::{Dashboard, LIMIT};

const PASSWORD: &str = "s3cret";

/// A dashboard over two servers. It may do in Redis what the file for its user says, and no more.
struct Both {
    dashboard: Dashboard,
    redis: Valkey,
    _folder: TempDir,
}

impl Both {
    async fn start() -> Result<Self> {
        let redis = Valkey::start_redis_with(ValkeyOptions::default()).await?;
        let_in(&redis).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("password");
        std::fs::write(&file, format!("{PASSWORD}\n"))?;
        let file = file.to_str().context("a path in UTF-8")?;
        let settings = [
            ["--weather-redis-url", redis.url()],
            ["--weather-redis-username", "dashboard"],
            ["--weather-redis-password-file", file],
        ];
        let dashboard = Dashboard::start_with(settings.as_flattened()).await?;
        Ok(Self { dashboard, redis, _folder: folder })
    }

    async fn resumen(&self) -> Result<Value> {
        let (status, all) = self.dashboard.get("/api/resumen").await?;
        ensure!(status == 200, "{all}");
        Ok(all["clima"].clone())
    }
}

/// Makes the user, which a server forgets when it stops.
async fn let_in(redis: &Valkey) -> Result<()> {
    let password = format!(">{PASSWORD}");
    let rights = include_str!("../../../store/acl/dashboard.acl").split_whitespace().skip(1);
    let words: Vec<_> = ["ACL", "SETUSER"].into_iter().chain(rights).chain([&*password]).collect();
    redis.command(&words).await?;
    Ok(())
}

async fn count(server: &Valkey, reports: &[(&str, u32)]) -> Result<()> {
    for (country, count) in reports {
        server.command(&["HSET", "country_counts", country, &count.to_string()]).await?;
    }
    let total: u32 = reports.iter().map(|(_, count)| count).sum();
    server.command(&["SET", "total_messages", &total.to_string()]).await?;
    Ok(())
}

#[tokio::test]
async fn both_stores_are_told_and_what_they_disagree_on() -> Result<()> {
    let both = Both::start().await?;
    let nothing = json!({"total": null, "motivo": null, "difiere": false});
    ensure!(both.resumen().await?["redis"] == nothing, "{}", both.resumen().await?);
    count(&both.dashboard.valkey, &[("Belice", 2), ("Guatemala", 3)]).await?;
    count(&both.redis, &[("Guatemala", 3)]).await?;
    let weather = both.resumen().await?;
    ensure!(weather["total"] == 5, "{weather}");
    ensure!(weather["redis"] == json!({"total": 3, "motivo": null, "difiere": true}), "{weather}");
    let rows = json!([
        {"pais": "Guatemala", "reportes": 3, "reportes_redis": 3, "difiere": false},
        {"pais": "Belice", "reportes": 2, "reportes_redis": null, "difiere": true},
    ]);
    ensure!(both.dashboard.get("/api/clima").await?.1 == rows && weather["paises"] == rows, "{weather}");
    let (_, totals) = both.dashboard.get("/api/totales").await?;
    ensure!(totals[0]["reportes_clima"] == 5 && totals[0]["reportes_clima_redis"] == 3, "{totals}");
    ensure!(totals[0]["clima_difiere"] == true, "{totals}");

    count(&both.redis, &[("Belice", 2), ("Guatemala", 3)]).await?;
    ensure!(both.resumen().await?["redis"]["difiere"] == false, "{}", both.resumen().await?);
    both.redis.command(&["HSET", "country_counts", "Belice", "x"]).await?;
    let (_, all) = both.dashboard.get("/api/resumen").await?;
    ensure!(all["ilegibles"] == json!(["clima.redis.paises.Belice"]), "{all}");
    Ok(())
}

#[tokio::test]
async fn a_redis_that_is_gone_or_hangs_takes_nothing_else_along() -> Result<()> {
    let both = Both::start().await?;
    count(&both.dashboard.valkey, &[("Belice", 2)]).await?;
    count(&both.redis, &[("Belice", 2)]).await?;
    ensure!(both.resumen().await?["redis"]["difiere"] == false, "{}", both.resumen().await?);
    let away = json!({"total": null, "motivo": "ausente", "difiere": null});
    let belice = json!([{"pais": "Belice", "reportes": 2, "reportes_redis": null, "difiere": null}]);
    both.redis.pause()?;
    let asked = Instant::now();
    let weather = both.resumen().await?;
    ensure!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    ensure!(weather["redis"] == away && weather["paises"] == belice, "{weather}");
    both.redis.resume()?;
    is_back(&both).await.context("it goes on after a pause")?;

    both.redis.stop().await?;
    ensure!(both.resumen().await?["redis"] == away, "{}", both.resumen().await?);
    ensure!(both.dashboard.context.readiness.is_ready(), "readiness is Valkey's alone");
    both.redis.restart().await?;
    ensure!(both.resumen().await?["redis"] == away, "a refused login is no number");
    let_in(&both.redis).await?;
    count(&both.redis, &[("Belice", 2)]).await?;
    is_back(&both).await.context("it goes on after a restart")
}

async fn is_back(both: &Both) -> Result<()> {
    let agrees = async || both.resumen().await.is_ok_and(|weather| weather["redis"]["difiere"] == false);
    Ok(eventually(LIMIT, agrees).await?)
}

#[tokio::test]
async fn the_page_has_both_side_by_side_with_a_mark_when_they_differ() -> Result<()> {
    let both = Both::start().await?;
    count(&both.dashboard.valkey, &[("Belice", 2), ("Guatemala", 3)]).await?;
    count(&both.redis, &[("Belice", 2), ("Guatemala", 3)]).await?;
    let tab = Tab::open(both.dashboard.address, "/", "en").await?;
    let mark = "document.getElementById('agreement').textContent";
    for (key, number) in [
        ("total", "5"),
        ("redis.total", "5"),
        ("Guatemala", "3"),
        ("redis.Guatemala", "3"),
        ("redis.Belice", "2"),
    ] {
        tab.shows(&format!("clima.{key}"), Some(number)).await?;
    }
    tab.becomes(mark, Some("Valkey and Redis agree")).await?;
    count(&both.redis, &[("Belice", 1), ("Guatemala", 3)]).await?;
    tab.shows("clima.redis.total", Some("4")).await?;
    tab.becomes(mark, Some("≠ Valkey and Redis differ")).await?;
    let differs = "document.querySelector('.row.differs span').textContent";
    tab.becomes(differs, Some("Belice")).await?;
    tab.picture("two-stores", 1280, false).await?;
    tab.picture("two-stores-phone", 390, true).await?;
    both.redis.pause()?;
    tab.shows("clima.redis.total", None).await?;
    tab.becomes(mark, Some("Redis does not answer.")).await?;
    tab.shows("clima.total", Some("5")).await?;
    tab.close().await
}

#[tokio::test]
async fn without_a_second_store_the_page_has_one() -> Result<()> {
    let dashboard = Dashboard::start().await?;
    count(&dashboard.valkey, &[("Belice", 2)]).await?;
    let (_, all) = dashboard.get("/api/resumen").await?;
    let alone = json!({"total": 2, "paises": [{"pais": "Belice", "reportes": 2}]});
    ensure!(all["clima"] == alone, "{all}");
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    tab.shows("clima.Belice", Some("2")).await?;
    let shown =
        "[...document.querySelectorAll('[data-second], #agreement')].filter((part) => !part.hidden).length";
    tab.becomes(shown, Some("0")).await?;
    tab.close().await
}
