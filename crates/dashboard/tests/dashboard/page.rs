use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_event::Category;
use blackfriday_stack::eventually;
use chromiumoxide::cdp::browser_protocol::emulation::{
    MediaFeature, SetDeviceMetricsOverrideParams, SetEmulatedMediaParams,
};
use chromiumoxide::page::ScreenshotParams;
use chromiumoxide::{Browser, BrowserConfig, Page};
use futures_util::StreamExt;

use crate::support::{Dashboard, LIMIT};

const CHROMIUM: &str = "/usr/bin/chromium";

async fn browser(profile: &Path) -> Result<Browser> {
    ensure!(Path::new(CHROMIUM).exists(), "{CHROMIUM} is missing: run ./dev setup");
    let config = BrowserConfig::builder()
        .chrome_executable(CHROMIUM)
        .user_data_dir(profile)
        .no_sandbox()
        .args(["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--lang=es"])
        .build()
        .map_err(anyhow::Error::msg)?;
    let (browser, mut handler) = Browser::launch(config).await.context("start Chromium")?;
    tokio::spawn(async move { while handler.next().await.is_some() {} });
    Ok(browser)
}

/// The exact text behind a number on the page; `None` if it shows a dash.
async fn shown(page: &Page, key: &str) -> Result<Option<String>> {
    let script = format!("document.querySelector('[data-key=\"{key}\"]').dataset.value ?? null");
    Ok(page.evaluate(script).await?.into_value().unwrap_or_default())
}

async fn shows(page: &Page, key: &str, expected: &str) -> Result<()> {
    let as_expected = async || shown(page, key).await.is_ok_and(|found| found.as_deref() == Some(expected));
    let waited = eventually(LIMIT, as_expected).await;
    waited.with_context(|| format!("{key} shows {expected}"))?;
    Ok(())
}

async fn truth(page: &Page, script: &str) -> bool {
    page.evaluate(script).await.ok().and_then(|found| found.into_value().ok()).unwrap_or(false)
}

async fn look(page: &Page, name: &str, width: i64, dark: bool) -> Result<()> {
    page.execute(SetDeviceMetricsOverrideParams::new(width, 1400, 1.0, width < 600)).await?;
    let scheme = MediaFeature::new("prefers-color-scheme", if dark { "dark" } else { "light" });
    page.execute(SetEmulatedMediaParams::builder().feature(scheme).build()).await?;
    let fits = "document.documentElement.scrollWidth <= innerWidth";
    ensure!(truth(page, fits).await, "no horizontal scroll at {width} px");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let png = ScreenshotParams::builder().full_page(true).build();
    page.save_screenshot(png, folder.join(format!("{name}.png"))).await?;
    Ok(())
}

#[tokio::test]
async fn the_page_shows_what_the_store_holds() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let profile = tempfile::tempdir()?;
    let mut browser = browser(profile.path()).await?;
    let page = browser.new_page(format!("http://{}/", dashboard.address)).await?;
    let empty = async || shown(&page, "ventas").await.is_ok_and(|found| found.is_none());
    eventually(LIMIT, empty).await.context("an empty store shows no number")?;

    let mut sales = vec![(Category::Electronica, "E-1", 49_999, 2), (Category::Hogar, "H-1", 1_234, 7)];
    let products = ["R-1", "R-2", "R-3"].into_iter().cycle();
    sales.extend(products.zip(0_u32..40).map(|(product, n)| {
        (Category::Ropa, product, 1_000 + u64::from(n * 37 % 400), 1 + i64::from(n % 4))
    }));
    dashboard.count(&sales).await?;
    shows(&page, "ventas", "42").await?;
    let (_, all) = dashboard.get("/api/resumen").await?;
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for key in ["precio_maximo", "precio_minimo"] {
        shows(&page, key, &text(&all[key])).await?;
    }
    shows(&page, "mas_vendido.producto_id", &text(&all["mas_vendido"]["producto_id"])).await?;
    // The student ID ends in 4: the page opens on Ropa.
    for name in ["ventas", "precio_promedio", "cantidad_promedio", "ingresos"] {
        let value = text(&all["categorias"][Category::Ropa.index()][name]);
        shows(&page, &format!("categorias.Ropa.{name}"), &value).await?;
    }
    ensure!(
        shown(&page, "reportes.Belleza").await?.is_none(),
        "nothing was sold there, so no number is shown"
    );

    look(&page, "desktop-light", 1280, false).await?;
    look(&page, "desktop-dark", 1280, true).await?;
    look(&page, "phone", 390, false).await?;

    dashboard.count(&[(Category::Belleza, "B-1", 500, 1)]).await?;
    shows(&page, "ventas", "43").await?;
    shows(&page, "reportes.Belleza", "1").await?;
    let local = "performance.getEntriesByType('resource').every(entry => new URL(entry.name).origin === location.origin)";
    ensure!(truth(&page, local).await, "no request leaves the origin");

    dashboard.context.shutdown.begin();
    let warned = async || truth(&page, "!document.getElementById('banner').hidden").await;
    eventually(LIMIT, warned).await.context("the page says that it lost the connection")?;
    browser.close().await?;
    tokio::time::timeout(Duration::from_secs(10), browser.wait()).await.context("Chromium ends")??;
    Ok(())
}
