use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use blackfriday_stack::eventually;
use chromiumoxide::cdp::browser_protocol::emulation::{
    MediaFeature, SetDeviceMetricsOverrideParams, SetEmulatedMediaParams,
};
use chromiumoxide::cdp::browser_protocol::network::{
    EnableParams, EventRequestWillBeSent, SetUserAgentOverrideParams,
};
use chromiumoxide::cdp::js_protocol::runtime::EvaluateParams;
use chromiumoxide::page::ScreenshotParams;
use chromiumoxide::{Browser, BrowserConfig, Page};
use futures_util::StreamExt;
use tempfile::TempDir;

use crate::support::LIMIT;

const CHROMIUM: &str = "/usr/bin/chromium";

/// Numbers on more than one line or wider than their tile, labels of more than two lines, and texts of charts that reach out of them.
const CUT: &str = "(() => {
    const big = [...document.querySelectorAll('.big')].filter((of) => of.scrollWidth > of.clientWidth || of.getClientRects().length != 1 || of.offsetHeight > 60);
    const out = [...document.querySelectorAll('.chart text')].filter((of) => of.getBBox().x < 0 || of.getBBox().x + of.getBBox().width > of.ownerSVGElement.clientWidth);
    const lines = (of) => of.scrollHeight / parseFloat(getComputedStyle(of).lineHeight);
    const long = [...document.querySelectorAll('.row span, .row .soft, [data-name], .id')].filter((of) => lines(of) > 2.1);
    return [...big, ...out, ...long].map((of) => of.textContent).join(' | ');
})()";

/// Every rule of axe's for WCAG 2.2 at level AA, and what it calls good practice.
const RUN_AXE: &str = "(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const { violations } = await axe.run(document, { runOnly: { type: 'tag', values: tags } });
    return violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.target.join(' ')).join(', ')}`).join('; ');
})()";

/// A page in a browser of its own, with the address of everything it asked for.
pub(crate) struct Tab {
    page: Page,
    browser: Browser,
    requests: Arc<Mutex<Vec<String>>>,
    _profile: TempDir,
}

impl Tab {
    /// Opens `path` in a browser that speaks `language`.
    pub(crate) async fn open(address: SocketAddr, path: &str, language: &str) -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let browser = launch(profile.path()).await?;
        let page = browser.new_page("about:blank").await?;
        page.execute(EnableParams::default()).await?;
        let agent = browser.version().await?.user_agent;
        let speaks =
            SetUserAgentOverrideParams::builder().user_agent(agent).accept_language(language).build();
        page.execute(speaks.map_err(anyhow::Error::msg)?).await?;
        let mut sent = page.event_listener::<EventRequestWillBeSent>().await?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Some(event) = sent.next().await {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(event.request.url.clone());
            }
        });
        page.goto(format!("http://{address}{path}")).await?;
        Ok(Self { page, browser, requests, _profile: profile })
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What an expression is, as text; `None` if it is null.
    pub(crate) async fn value(&self, expression: &str) -> Result<Option<String>> {
        let found = self.page.evaluate(format!("String(({expression}) ?? '') || null")).await?;
        Ok(found.into_value().unwrap_or_default())
    }

    /// Waits until an expression is this text.
    pub(crate) async fn becomes(&self, expression: &str, expected: Option<&str>) -> Result<()> {
        let as_expected =
            async || self.value(expression).await.is_ok_and(|found| found.as_deref() == expected);
        if eventually(LIMIT, as_expected).await.is_err() {
            anyhow::bail!("{expression} is {:?}, not {expected:?}", self.value(expression).await?);
        }
        Ok(())
    }

    /// Waits until the exact text behind a number on the page is this; `None` for a dash.
    pub(crate) async fn shows(&self, key: &str, expected: Option<&str>) -> Result<()> {
        let element = format!("document.querySelector('[data-key=\"{key}\"]')");
        self.becomes(&format!("{element}.dataset.value"), expected).await?;
        if expected.is_none() {
            self.becomes(&format!("{element}.textContent"), Some("–")).await?;
        }
        Ok(())
    }

    /// What axe finds that shuts somebody out: each rule, and where it is broken.
    pub(crate) async fn barriers(&self) -> Result<Option<String>> {
        let axe =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/axe/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(axe).context("axe-core is missing: run ./dev setup")?;
        self.page.evaluate_expression(axe).await?;
        let run = EvaluateParams::builder().expression(RUN_AXE).await_promise(true).return_by_value(true);
        let found: String =
            self.page.evaluate_expression(run.build().map_err(anyhow::Error::msg)?).await?.into_value()?;
        Ok(Some(found).filter(|found| !found.is_empty()))
    }

    pub(crate) async fn click(&self, selector: &str) -> Result<()> {
        self.page.find_element(selector).await?.click().await?;
        Ok(())
    }

    /// Presses a key on what has the focus.
    pub(crate) async fn press(&self, selector: &str, key: &str) -> Result<()> {
        self.page.find_element(selector).await?.focus().await?.press_key(key).await?;
        Ok(())
    }

    /// Takes a picture of the whole page, to be looked at by people.
    pub(crate) async fn picture(&self, name: &str, width: i64, dark: bool) -> Result<()> {
        self.resize(width, dark).await?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let png = ScreenshotParams::builder().full_page(true).build();
        self.page.save_screenshot(png, folder.join(format!("{name}.png"))).await?;
        Ok(())
    }

    /// Gives the page a width, and waits until everything fits.
    pub(crate) async fn resize(&self, width: i64, dark: bool) -> Result<()> {
        let size = SetDeviceMetricsOverrideParams::new(width, 900, 1.0, width < 600);
        self.page.execute(size).await?;
        let scheme = MediaFeature::new("prefers-color-scheme", if dark { "dark" } else { "light" });
        self.page.execute(SetEmulatedMediaParams::builder().feature(scheme).build()).await?;
        // Charts are drawn again for the new width.
        let drawn = "document.getElementById('series').getAttribute('viewBox').split(' ')[2] == document.getElementById('series').clientWidth";
        self.becomes(drawn, Some("true")).await?;
        let fits = self.value("document.documentElement.scrollWidth <= innerWidth").await?;
        ensure!(fits.as_deref() == Some("true"), "no horizontal scroll at {width} px");
        let cut = self.value(CUT).await?;
        ensure!(cut.is_none(), "at {width} px these are cut: {cut:?}");
        Ok(())
    }

    pub(crate) async fn close(mut self) -> Result<()> {
        self.browser.close().await?;
        tokio::time::timeout(Duration::from_secs(10), self.browser.wait())
            .await
            .context("Chromium ends")??;
        Ok(())
    }
}

async fn launch(profile: &Path) -> Result<Browser> {
    ensure!(Path::new(CHROMIUM).exists(), "{CHROMIUM} is missing: run ./dev setup");
    let config = BrowserConfig::builder()
        .chrome_executable(CHROMIUM)
        .user_data_dir(profile)
        .no_sandbox()
        .args(["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .build()
        .map_err(anyhow::Error::msg)?;
    let (browser, mut handler) = Browser::launch(config).await.context("start Chromium")?;
    tokio::spawn(async move { while handler.next().await.is_some() {} });
    Ok(browser)
}
