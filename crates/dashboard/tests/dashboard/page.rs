use anyhow::{Result, ensure};
use blackfriday_event::Category;
use serde_json::Value;

use crate::browser::Tab;
use crate::support::Dashboard;

/// The text of a JSON value, as the page keeps it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn sales() -> Vec<(Category, &'static str, u64, i64)> {
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
    for key in ["ventas", "ingresos", "precio_maximo", "mas_vendido.producto_id", "categorias.Ropa.ventas"] {
        tab.shows(key, None).await?;
    }
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
    tab.shows("reportes.Belleza", None).await?;
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
