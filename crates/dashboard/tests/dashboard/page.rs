use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use blackfriday_event::Category;
use blackfriday_stack::Proxy;
use serde_json::Value;

use crate::browser::Tab;
use crate::names;
use crate::support::Dashboard;

/// The text of a JSON value, as the page keeps it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) fn sales() -> Vec<(Category, &'static str, u64, i64)> {
    let mut sales = vec![(Category::Electronica, "E-1", 4_999_999, 2), (Category::Hogar, "H-1", 1_234, 7)];
    let products = ["R-1", "R-2", "R-3"].into_iter().cycle();
    sales.extend(products.zip(0_u32..40).map(|(product, n)| {
        (Category::Ropa, product, 1_000 + u64::from(n * 37 % 400), 1 + i64::from(n % 4))
    }));
    sales
}

#[tokio::test]
async fn the_page_shows_what_the_store_holds() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    // The student ID ends in 4: the page opens on Ropa.
    for key in ["precio_maximo", "mas_vendido.producto_id", "categorias.Ropa.precio_promedio"] {
        tab.shows(key, None).await?;
    }
    for (key, nothing) in [("ventas", "0"), ("ingresos", "0.00"), ("categorias.Ropa.ventas", "0")] {
        tab.shows(key, Some(nothing)).await?;
    }
    let waiting = Some("Esperando la primera venta…");
    tab.becomes("document.getElementById('freshness').textContent", waiting).await?;
    tab.becomes("document.querySelector('.waiting').textContent", waiting).await?;
    dashboard.count(&sales()).await?;
    dashboard.valkey.command(&["HSET", "country_counts", "Belice", "2", "Guatemala", "3"]).await?;
    dashboard.valkey.command(&["SET", "total_messages", "5"]).await?;
    let (_, all) = dashboard.get("/api/resumen").await?;
    let same = async |path: &str, key: &str| {
        let value = all.pointer(path).filter(|value| !value.is_null());
        ensure!(value.is_some(), "{path} in {all}");
        tab.shows(key, value.map(text).as_deref()).await
    };
    let flat = ["ventas", "unidades", "ingresos", "precio_maximo", "precio_minimo"];
    let deep = ["mas_vendido", "menos_vendido"];
    for name in flat {
        same(&format!("/{name}"), name).await?;
    }
    for (name, part) in deep.into_iter().flat_map(|name| [(name, "producto_id"), (name, "unidades")]) {
        same(&format!("/{name}/{part}"), &format!("{name}.{part}")).await?;
        same(&format!("/categorias/1/{name}/{part}"), &format!("categorias.Ropa.{name}.{part}")).await?;
    }
    for name in ["ventas", "unidades", "ingresos", "precio_promedio", "cantidad_promedio"] {
        same(&format!("/categorias/1/{name}"), &format!("categorias.Ropa.{name}")).await?;
    }
    let first = format!("productos.{}", text(&all["productos"][0]["producto_id"]));
    for (path, key) in [
        ("/ultimo_segundo/ventas", "ultimo_segundo.ventas"),
        ("/pico/ventas", "pico.ventas"),
        ("/clima/total", "clima.total"),
        ("/clima/paises/0/reportes", "clima.Guatemala"),
        ("/productos/0/unidades", &first),
        ("/categorias/2/ventas", "reportes.Hogar"),
    ] {
        same(path, key).await?;
    }
    tab.shows("reportes.Belleza", Some("0")).await?;
    tab.becomes("document.querySelector('[data-key=precio_maximo]').textContent", Some("49,999.99")).await?;

    for (width, size) in [(1280, "desktop"), (390, "phone")] {
        tab.picture(&format!("{size}-light"), width, false).await?;
        tab.picture(&format!("{size}-dark"), width, true).await?;
    }
    dashboard.count(&[(Category::Belleza, "B-1", 500, 1)]).await?;
    tab.shows("ventas", Some("43")).await?;
    tab.shows("reportes.Belleza", Some("1")).await?;

    let origin = format!("http://{}/", dashboard.address);
    let requests = tab.requests();
    ensure!(requests.iter().any(|url| url.contains("/events")), "{requests:?}");
    let is_inside =
        |url: &String| url.starts_with(&origin) || url.starts_with("data:") || url == "about:blank";
    ensure!(requests.iter().all(is_inside), "no request leaves the origin: {requests:?}");
    tab.close().await
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

#[tokio::test]
async fn the_rate_is_zero_after_the_sale_and_the_time_axis_goes_on() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count_from(now_ms()? - 10_000, &sales()[..4]).await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    tab.shows("ultimo_segundo.ventas", Some("0")).await?;
    let (_, totals) = dashboard.get("/api/totales").await?;
    ensure!(totals[0]["ventas_por_segundo"] == 0, "{totals}");
    tab.becomes("document.querySelectorAll('#series .mark').length", Some("4")).await?;
    // The newest bar moves away from the right end.
    let free = "document.getElementById('series').clientWidth - 14 - [...document.querySelectorAll('#series .mark')].at(-1).getBBox().x";
    let room = tab.value(free).await?.context("a bar")?.parse::<f64>()?;
    ensure!(room > 50.0, "{room} px to the right of the newest bar");
    tab.becomes(&format!("{free} > {room} + 20"), Some("true")).await?;
    tab.close().await
}

#[tokio::test]
async fn a_second_that_runs_is_drawn_as_one_that_is_not_over() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    // The same product in each of the next seconds: one of them runs whenever one looks.
    dashboard.count_from(now_ms()? - 2_000, &[(Category::Ropa, "R-1", 100, 1); 20]).await?;
    tab.becomes("document.querySelectorAll('#series .running').length", Some("1")).await?;
    tab.becomes("[...document.querySelectorAll('#series .mark')].at(-1).matches('.running')", Some("true"))
        .await?;
    tab.close().await
}

#[tokio::test]
async fn points_are_read_by_arrow_keys_and_in_a_table() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&sales()).await?;
    let tab = Tab::open(dashboard.address, "/?categoria=Electronica", "en-US").await?;
    tab.shows("ventas", Some("42")).await?;
    let read = "document.getElementById('history-readout').textContent.split(' · ')[1]";
    tab.press("#history", "ArrowLeft").await?;
    tab.becomes(read, Some("49,999.99")).await?;
    tab.press("#history", "Escape").await?;
    tab.becomes("document.getElementById('history-readout').textContent", None).await?;
    tab.click("#history + details summary").await?;
    let cells = "document.querySelector('#history-table td:nth-child(2)').textContent";
    tab.becomes(cells, Some("49,999.99")).await?;
    tab.close().await
}

#[tokio::test]
async fn products_have_names_and_amounts_a_currency() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let workload = names::workload(&folder)?;
    let flags = ["--workload", &workload, "--currency", "GTQ", "--carnet", "3"];
    let mut dashboard = Dashboard::start_with(&flags).await?;
    dashboard.count(&names::SALES).await?;
    let tab = Tab::open(dashboard.address, "/", "es-GT").await?;
    // The id is the key, below the name.
    tab.shows("mas_vendido.producto_id", Some("R-1")).await?;
    let text = |selector: &str| format!("document.querySelector('{selector}').innerText");
    tab.becomes(&text("[data-name=mas_vendido]"), Some("Camisa azul")).await?;
    tab.becomes(&text("[data-name=mas_vendido] + .id"), Some("R-1")).await?;
    tab.becomes(&text("[data-name=menos_vendido]"), Some("R-2")).await?;
    tab.becomes(&text("[data-name=menos_vendido] + .id"), None).await?;
    tab.becomes(
        "document.querySelector('#top-of .row div').innerText.split(/\\s*\\n/).join(' · ')",
        Some("Camisa azul · R-1"),
    )
    .await?;
    // Between sign and number is a space that no line is broken at, or none.
    let amount = |selector: &str| format!("{}.replace(/\\s/g, '')", text(selector));
    tab.becomes(&amount("[data-key=ingresos]"), Some("Q51.50")).await?;
    tab.becomes(&amount("[data-key=precio_maximo]"), Some("Q20.00")).await?;
    tab.becomes(&amount("[data-of=precio_promedio]"), Some("Q15.25")).await?;
    tab.becomes(&text("[data-of=cantidad_promedio]"), Some("2.00")).await?;
    // The chart's, too: its axis, its values, and its words for a screen reader.
    let axis =
        "[...document.querySelectorAll('#history text')].some((of) => of.textContent === 'precio (GTQ)')";
    tab.becomes(axis, Some("true")).await?;
    tab.press("#history", "End").await?;
    let read = "document.getElementById('history-readout').textContent.split(' · ')[1].replace(/\\s/g, '')";
    tab.becomes(read, Some("Q20.00")).await?;
    let named = "document.getElementById('history').getAttribute('aria-label').replace(/\\s/g, '')";
    tab.becomes(named, Some("Historialdeprecios:Q10.50–Q20.00")).await?;
    tab.click("#language").await?;
    tab.becomes(&amount("[data-key=ingresos]"), Some("GTQ51.50")).await?;
    tab.close().await
}

#[tokio::test]
async fn shares_and_the_span_of_the_peak_are_said() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count_from(now_ms()? - 10_000, &sales()[..5]).await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    tab.shows("ventas", Some("5")).await?;
    let share =
        |n| format!("document.querySelectorAll('#reports .share')[{n}].textContent.replace(/\\s/g, '')");
    for (n, expected) in [(0, "20.0%"), (1, "60.0%"), (2, "20.0%"), (3, "0.0%")] {
        tab.becomes(&share(n), Some(expected)).await?;
    }
    let line = "document.getElementById('peak').parentElement.innerText";
    tab.becomes(&format!("/^máximo en 15 min: 1 \\(.+:.+:.+\\)$/.test({line})"), Some("true")).await?;
    tab.close().await
}

#[tokio::test]
async fn the_last_minute_is_held_against_the_one_before() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let now = now_ms()?;
    // Late enough in each minute that a browser that starts slowly is not too late.
    dashboard.count_from_every(now - 65_000, 100, &sales()[..6]).await?;
    dashboard.count_from_every(now - 5_000, 100, &sales()[..9]).await?;
    let tab = Tab::open(dashboard.address, "/", "en-US").await?;
    let said = "document.getElementById('minute').textContent.replace(/\\s/g, '')";
    tab.becomes(said, Some("lastminute:9,+50.0%vs.previous")).await?;
    tab.click("#language").await?;
    tab.becomes(said, Some("últimominuto:9,+50.0%vs.anterior")).await?;
    tab.close().await
}

#[tokio::test]
async fn one_price_lies_between_others_and_has_its_time() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&[(Category::Ropa, "R-1", 4_999, 1)]).await?;
    let tab = Tab::open(dashboard.address, "/?categoria=Ropa", "es").await?;
    let chart = "document.getElementById('history')";
    let dot = "document.querySelector('#history .dots').getBBox()";
    tab.becomes(&format!("{dot}.y > 40 && {dot}.y < {chart}.clientHeight - 60"), Some("true")).await?;
    let times = format!(
        "[...{chart}.querySelectorAll('text')].filter((of) => /^[0-9]+:[0-9]+:[0-9]+$/.test(of.textContent)).length > 2"
    );
    tab.becomes(&times, Some("true")).await?;
    tab.close().await
}

#[tokio::test]
async fn the_page_pauses_goes_on_and_keeps_its_theme() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&sales()).await?;
    let tab = Tab::open(dashboard.address, "/", "en-US").await?;
    tab.shows("ventas", Some("42")).await?;
    tab.click("#pause").await?;
    tab.becomes("document.getElementById('freshness').textContent.startsWith('Paused at')", Some("true"))
        .await?;
    dashboard.count(&[(Category::Ropa, "R-1", 500, 1)]).await?;
    // What comes meanwhile is heard, and not shown.
    tab.value("window.other = new EventSource('/events')").await?;
    tab.value("window.other.addEventListener('resumen', (event) => { window.told = JSON.parse(event.data).ventas; })").await?;
    tab.becomes("window.told", Some("43")).await?;
    tab.shows("ventas", Some("42")).await?;
    tab.click("#pause").await?;
    tab.shows("ventas", Some("43")).await?;

    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = tab.value(ground).await?;
    tab.click("#theme").await?;
    tab.becomes(ground, light.as_deref()).await?;
    tab.click("#theme").await?;
    tab.becomes(ground, Some("rgb(15, 18, 23)")).await?;
    tab.becomes("new URLSearchParams(location.search).get('tema')", Some("dark")).await?;
    tab.close().await
}

#[tokio::test]
async fn sales_of_fifteen_minutes_can_be_shown() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let now = now_ms()?;
    dashboard.count_from(now - 600_000, &sales()[..5]).await?;
    dashboard.count_from(now - 10_000, &sales()[5..10]).await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    let bars = "document.querySelectorAll('#series .mark').length";
    tab.becomes(bars, Some("5")).await?;
    tab.click("#ranges [value='900']").await?;
    tab.becomes(bars, Some("10")).await?;
    // The stream goes on without them.
    dashboard.count_from(now - 1_000, &[(Category::Ropa, "R-1", 500, 1)]).await?;
    tab.becomes(bars, Some("11")).await?;
    tab.click("#ranges [value='180']").await?;
    tab.becomes(bars, Some("6")).await?;
    tab.close().await
}

#[tokio::test]
async fn prices_are_a_band_and_the_line_of_their_mean() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let second = |cents: [u64; 3]| cents.map(|cents| (Category::Ropa, "R-1", cents, 1));
    dashboard.count_from_every(1_700_000_000_000, 300, &second([1_000, 3_000, 123_456])).await?;
    dashboard.count_from_every(1_700_000_001_000, 300, &second([2_000, 2_000, 2_000])).await?;
    dashboard.count_from_every(1_700_000_060_000, 300, &second([500, 1_000, 501])).await?;
    let tab = Tab::open(dashboard.address, "/?categoria=Ropa&lang=es", "es").await?;
    tab.shows("ventas", Some("9")).await?;
    let drawn = |class: &str| format!("document.querySelectorAll('#history .{class}').length");
    // The last second has no neighbour.
    for (class, number) in [("band", "1"), ("mean", "1"), ("spread", "1"), ("dots", "1")] {
        tab.becomes(&drawn(class), Some(number)).await?;
    }
    let named = "document.getElementById('history').getAttribute('aria-label')";
    tab.becomes(named, Some("Historial de precios: 5.00 – 1,234.56")).await?;
    let read = "document.getElementById('history-readout').textContent.split(' · ').slice(1).join(' · ')";
    tab.press("#history", "Home").await?;
    tab.becomes(read, Some("424.85 (10.00 – 1,234.56) · 3 ventas")).await?;
    tab.press("#history", "End").await?;
    tab.becomes(read, Some("6.67 (5.00 – 10.00) · 3 ventas")).await?;
    // The band is where its prices are: below its highest, and around its mean.
    let band = "document.querySelector('#history .band').getBBox()";
    let mean = "document.querySelector('#history .mean').getBBox()";
    tab.becomes(
        &format!("{band}.y < {mean}.y && {band}.y + {band}.height > {mean}.y + {mean}.height"),
        Some("true"),
    )
    .await?;
    tab.click("#history ~ details summary").await?;
    let cells = "[...document.querySelectorAll('#history-table tbody tr:last-child td')].slice(1).map((of) => of.textContent).join(' ')";
    tab.becomes(cells, Some("424.85 10.00 1,234.56 3")).await?;
    tab.click("#language").await?;
    tab.becomes(named, Some("Price history: 5.00 – 1,234.56")).await?;
    tab.picture("prices", 390, true).await?;
    tab.close().await
}

#[tokio::test]
async fn what_does_not_change_is_left_alone() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&sales()).await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    tab.shows("reportes.Hogar", Some("1")).await?;
    tab.value("getSelection().selectAllChildren(document.querySelector('[data-key=\"reportes.Hogar\"]'))")
        .await?;
    tab.value("window.rows = [...document.querySelectorAll('#top .row')]").await?;
    dashboard.count(&[(Category::Ropa, "R-1", 500, 1)]).await?;
    tab.shows("ventas", Some("43")).await?;
    tab.becomes("getSelection().toString()", Some("1")).await?;
    tab.becomes("window.rows.every((row) => row.isConnected)", Some("true")).await?;
    tab.close().await
}

#[tokio::test]
async fn a_lost_server_is_said_in_view_with_the_age_of_the_numbers() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&sales()).await?;
    let proxy = Proxy::to(dashboard.address).await?;
    let tab = Tab::open(proxy.address(), "/", "en-US").await?;
    tab.shows("ventas", Some("42")).await?;
    tab.becomes("document.title", Some("Black Friday")).await?;
    proxy.refuse().await;
    proxy.cut();
    tab.becomes("document.title", Some("⚠ Black Friday")).await?;
    tab.becomes("/\\(.*( ago|now)\\)/.test(document.getElementById('old').textContent)", Some("true"))
        .await?;
    tab.resize(390, false).await?;
    tab.value("scrollTo(0, document.body.scrollHeight)").await?;
    let top = "document.getElementById('banner').getBoundingClientRect().top >= 0";
    tab.becomes(top, Some("true")).await?;
    tab.picture("lost", 390, false).await?;
    tab.close().await
}

#[tokio::test]
async fn category_and_language_can_be_chosen() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&sales()).await?;
    let tab = Tab::open(dashboard.address, "/?categoria=electrónica", "en-US").await?;
    let heading = "document.querySelector('[data-t=ingresos]').textContent";
    tab.shows("categorias.Electronica.ingresos", Some("99999.98")).await?;
    tab.becomes(heading, Some("Revenue")).await?;
    tab.click("#chooser [value=Hogar]").await?;
    tab.shows("categorias.Hogar.mas_vendido.producto_id", Some("H-1")).await?;
    tab.becomes("document.querySelector('#history .dots').getAttribute('d').includes('h0')", Some("true"))
        .await?;
    tab.becomes(
        "document.querySelector('#history-table th:nth-child(2)').textContent",
        Some("Average price"),
    )
    .await?;
    tab.click("#language").await?;
    tab.becomes(heading, Some("Ingresos")).await?;
    tab.becomes("document.documentElement.lang", Some("es")).await?;
    tab.becomes("location.search", Some("?categoria=Hogar&lang=es")).await?;
    tab.close().await
}

#[tokio::test]
async fn what_cannot_be_read_is_a_dash_with_a_note() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(&sales()).await?;
    dashboard.valkey.command(&["HSET", "stats:ingresos:suma", "Ropa", "lots"]).await?;
    let tab = Tab::open(dashboard.address, "/", "es").await?;
    tab.shows("ventas", Some("42")).await?;
    tab.shows("ingresos", None).await?;
    tab.shows("categorias.Ropa.ingresos", None).await?;
    let note = "document.getElementById('unreadable')";
    tab.becomes(&format!("{note}.hidden"), Some("false")).await?;
    tab.becomes(&format!("{note}.textContent.split(': ')[1]"), Some("Ropa · Ingresos")).await?;
    tab.picture("unreadable", 390, false).await?;
    tab.close().await
}
