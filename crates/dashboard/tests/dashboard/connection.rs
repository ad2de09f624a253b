use anyhow::{Result, ensure};
use blackfriday_event::Category;
use blackfriday_stack::Proxy;

use crate::browser::Tab;
use crate::support::Dashboard;

const SAYS: &str = "document.getElementById('why').textContent";
const IS_HIDDEN: &str = "document.getElementById('banner').hidden";
const FRESHNESS: &str = "document.getElementById('freshness').textContent";

/// Waits for the banner with words that begin so, and until it stood for three seconds without a change.
async fn warned(tab: &Tab, beginning: &str) -> Result<()> {
    tab.becomes(&format!("{SAYS}.startsWith('{beginning}')"), Some("true")).await?;
    let watch = "(() => { window.shown = { since: performance.now(), changes: 0 }; \
                 new MutationObserver(() => { shown.changes += 1; }).observe(document.getElementById('why'), \
                 { childList: true, characterData: true, subtree: true }); return 'watched'; })()";
    ensure!(tab.value(watch).await?.as_deref() == Some("watched"));
    tab.becomes("performance.now() - shown.since > 3000", Some("true")).await?;
    tab.becomes("shown.changes", Some("0")).await?;
    tab.becomes(&format!("{SAYS}.startsWith('{beginning}')"), Some("true")).await
}

async fn calm(tab: &Tab) -> Result<()> {
    tab.becomes(IS_HIDDEN, Some("true")).await?;
    tab.becomes(&format!("{FRESHNESS}.length > 1"), Some("true")).await
}

#[tokio::test]
async fn the_page_says_when_it_lost_the_connection_and_when_it_is_back() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&[(Category::Ropa, "R-1", 100, 1)]).await?;
    let proxy = Proxy::to(dashboard.address).await?;
    let tab = Tab::open(proxy.address(), "/", "es").await?;
    tab.becomes("document.getElementById('why').getAttribute('role')", Some("alert")).await?;
    tab.shows("ventas", Some("1")).await?;
    calm(&tab).await?;

    proxy.refuse().await;
    proxy.cut();
    warned(&tab, "Sin conexión").await?;
    tab.picture("banner-phone", 390, false).await?;
    tab.picture("banner-desktop-dark", 1280, true).await?;
    dashboard.count(&[(Category::Ropa, "R-1", 100, 1)]).await?;
    proxy.heal().await?;
    calm(&tab).await?;
    tab.shows("ventas", Some("2")).await?;

    proxy.stall();
    warned(&tab, "El servidor no da señales").await?;
    dashboard.count(&[(Category::Ropa, "R-1", 100, 1)]).await?;
    proxy.heal().await?;
    calm(&tab).await?;
    tab.shows("ventas", Some("3")).await?;
    tab.close().await
}

#[tokio::test]
async fn the_page_says_when_valkey_is_away_or_unreadable() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&[(Category::Ropa, "R-1", 100, 1)]).await?;
    let tab = Tab::open(dashboard.address, "/?lang=en", "es").await?;
    calm(&tab).await?;
    dashboard.valkey.pause()?;
    warned(&tab, "Valkey does not answer").await?;
    dashboard.valkey.resume()?;
    calm(&tab).await?;
    dashboard.valkey.command(&["RENAME", "serie:ventas", "kept"]).await?;
    dashboard.valkey.command(&["SET", "serie:ventas", "x"]).await?;
    warned(&tab, "Valkey holds data that cannot be read").await?;
    dashboard.valkey.command(&["RENAME", "kept", "serie:ventas"]).await?;
    calm(&tab).await?;
    tab.shows("ventas", Some("1")).await?;

    dashboard.context.shutdown.begin();
    warned(&tab, "No connection").await?;
    tab.close().await
}
