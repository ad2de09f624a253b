//! How the page lies on screens of all sizes, and for whom it is there.

use anyhow::{Context as _, Result, ensure};
use blackfriday_event::Category;
use blackfriday_stack::Proxy;

use crate::browser::Tab;
use crate::page::sales;
use crate::support::Dashboard;

#[tokio::test]
async fn rows_of_tiles_are_whole_and_their_numbers_of_one_size() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    let sizes = "[...document.querySelectorAll('.tiles')].every((row) => new Set([...row.querySelectorAll('.big')].map((of) => getComputedStyle(of).fontSize)).size === 1)";
    // The last tile of a row ends where the row does.
    let ends = "[...document.querySelectorAll('.tiles')].every((row) => Math.abs(row.lastElementChild.getBoundingClientRect().right - row.getBoundingClientRect().right) < 1.5)";
    let check = async || {
        for width in [320, 390, 768, 1280, 1920, 2560] {
            tab.resize(width, false).await?;
            tab.becomes(sizes, Some("true")).await.with_context(|| format!("{width} px"))?;
            tab.becomes(ends, Some("true")).await.with_context(|| format!("{width} px"))?;
        }
        anyhow::Ok(())
    };
    tab.shows("ventas", Some("0")).await?;
    tab.shows("ultimo_segundo.ventas", Some("0")).await?;
    check().await?;
    dashboard.count(&[(Category::Ropa, "R-1", 999_999_999, 99_999); 90]).await?;
    tab.shows("ventas", Some("90")).await?;
    check().await?;
    tab.close().await
}

#[tokio::test]
async fn grafana_is_linked_where_somebody_says_where_it_is() -> Result<()> {
    let address = "http://grafana.test/d/black-friday?a=1&b=2";
    let dashboard = Dashboard::start_with(&["--grafana-url", address]).await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    tab.becomes("document.getElementById('grafana').href", Some(address)).await?;
    tab.becomes("document.getElementById('grafana').checkVisibility()", Some("true")).await?;
    ensure!(tab.barriers().await?.is_none(), "{:?}", tab.barriers().await?);
    tab.close().await?;
    let dashboard = Dashboard::start().await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    tab.becomes("document.getElementById('grafana').checkVisibility()", Some("false")).await?;
    tab.close().await
}

#[tokio::test]
async fn nobody_is_shut_out() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let proxy = Proxy::to(dashboard.address).await?;
    let tab = Tab::open(proxy.address(), "/", "es").await?;
    let barriers = async |state: &str| {
        for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
            tab.resize(width, dark).await?;
            let found = tab.barriers().await?;
            ensure!(found.is_none(), "{state}, {width} px, dark {dark}: {found:?}");
        }
        anyhow::Ok(())
    };
    tab.becomes("document.getElementById('freshness').textContent", Some("Esperando la primera venta…"))
        .await?;
    barriers("empty").await?;
    dashboard.count(&sales()).await?;
    tab.shows("ventas", Some("42")).await?;
    tab.click("#series + details summary").await?;
    barriers("with sales").await?;
    proxy.refuse().await;
    proxy.cut();
    tab.becomes("document.getElementById('banner').hidden", Some("false")).await?;
    barriers("without a server").await?;
    // What would be found.
    tab.value("document.body.append(new Image())").await?;
    ensure!(tab.barriers().await?.is_some_and(|found| found.starts_with("image-alt")), "axe sees the page");
    tab.close().await
}

#[tokio::test]
async fn huge_numbers_and_long_names_are_whole_at_every_width() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let long = ["W".repeat(64), format!("{}-2", "W".repeat(62))];
    let huge = long.iter().map(|product| (Category::Ropa, product.as_str(), 999_999_999, 9_999));
    let huge: Vec<_> = huge.chain([(Category::Ropa, "R-1", 1, 1)]).cycle().take(90).collect();
    dashboard.count(&huge).await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    tab.shows("ventas", Some("90")).await?;
    let rows = "[...document.querySelectorAll('#top .row span')].slice(0, 2).map((of) => of.textContent)";
    tab.becomes(&format!("new Set({rows}).size"), Some("2")).await?;
    for width in [320, 390, 768, 1280, 2560] {
        tab.picture(&format!("huge-{width}"), width, width > 1000).await?;
    }
    tab.close().await
}
