use anyhow::{Context as _, Result, ensure};
use blackfriday_event::Category;
use blackfriday_stack::eventually;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Dashboard, LIMIT};

/// The events of a stream, as (name, data).
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn open(dashboard: &Dashboard) -> Result<Self> {
        let mut stream = TcpStream::connect(dashboard.address).await?;
        stream.write_all(b"GET /events HTTP/1.1\r\nhost: dashboard\r\n\r\n").await?;
        Ok(Self(BufReader::new(stream).lines()))
    }

    /// The data of the next event that `wanted` takes; `None` at the stream's end.
    async fn find(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Option<Value>> {
        let mut event = String::new();
        timeout(LIMIT, async {
            while let Some(line) = self.0.next_line().await? {
                if let Some(found) = line.strip_prefix("event: ") {
                    found.clone_into(&mut event);
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let data: Value = serde_json::from_str(data)?;
                    if event == name && wanted(&data) {
                        return Ok(Some(data));
                    }
                }
            }
            Ok(None)
        })
        .await
        .with_context(|| format!("event {name}"))?
    }
}

#[tokio::test]
async fn the_api_says_what_the_store_holds_and_nothing_else() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let (status, empty) = dashboard.get("/api/resumen").await?;
    ensure!(status == 200 && empty["ventas"].is_null() && empty["precio_maximo"].is_null(), "{empty}");

    let ropa = Category::Ropa;
    dashboard
        .count(&[(ropa, "R-1", 1_050, 3), (ropa, "R-2", 2_000, 1), (Category::Hogar, "H-1", 99, 7)])
        .await?;
    let (_, all) = dashboard.get("/api/resumen").await?;
    ensure!(all["ventas"] == 3 && all["precio_maximo"] == "20.00" && all["precio_minimo"] == "0.99", "{all}");
    ensure!(all["mas_vendido"] == json!({"producto_id": "H-1", "unidades": 7}), "{all}");
    ensure!(all["menos_vendido"] == json!({"producto_id": "R-2", "unidades": 1}), "{all}");
    ensure!(all["frescura_ms"].as_u64().is_some_and(|age| age > 1_000_000), "{all}");
    let of = &all["categorias"][Category::Ropa.index()];
    ensure!(
        of["ventas"] == 2 && of["precio_promedio"] == "15.25" && of["cantidad_promedio"] == "2.00",
        "{of}"
    );
    ensure!(of["ingresos"] == "51.50" && of["historial"].as_array().is_some_and(|h| h.len() == 2), "{of}");
    ensure!(all["categorias"][Category::Belleza.index()]["ventas"].is_null(), "nothing was sold there");
    ensure!(all["serie"].as_array().is_some_and(|serie| serie.len() == 3), "{all}");

    let (_, products) = dashboard.get("/api/productos?categoria=ropa&n=1").await?;
    ensure!(products == json!([{"producto_id": "R-1", "unidades": 3}]), "{products}");
    let (_, newest) = dashboard.get("/api/historial?categoria=Ropa&n=1").await?;
    ensure!(newest[0]["precio"] == "20.00", "{newest}");
    for (path, field) in [
        ("/api/productos?categoria=Juguetes", "categoria"),
        ("/api/productos?n=0", "n"),
        ("/api/historial", "categoria"),
    ] {
        let (status, problem) = dashboard.get(path).await?;
        ensure!(status == 422 && problem["errors"][0]["field"] == field, "{path}: {status} {problem}");
    }
    ensure!(dashboard.get("/nothing").await?.0 == 404, "an unknown path");

    dashboard.valkey.stop().await?;
    let (status, problem) = dashboard.get("/api/resumen").await?;
    ensure!(status == 503 && problem["type"] == "urn:blackfriday:problem:unavailable", "{status} {problem}");
    let unready = async || !dashboard.context.readiness.is_ready();
    eventually(LIMIT, unready).await.context("not ready without Valkey")?;
    Ok(())
}

#[tokio::test]
async fn the_stream_tells_changes_trouble_and_the_end() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let mut events = Events::open(&dashboard).await?;
    events
        .find("resumen", |all| all["ventas"].is_null())
        .await?
        .context("the empty store is told at once")?;
    dashboard.count(&[(Category::Ropa, "R-1", 100, 1)]).await?;
    events.find("resumen", |all| all["ventas"] == 1).await?.context("a change is told")?;

    dashboard.valkey.stop().await?;
    events.find("estado", |state| state["valkey"] == false).await?.context("trouble is told")?;
    dashboard.valkey.restart().await?;
    events.find("resumen", |all| all["ventas"] == 1).await?.context("its end is told")?;

    dashboard.context.shutdown.begin();
    ensure!(events.find("none", |_| false).await?.is_none(), "the stream ends at the shutdown");
    timeout(LIMIT, dashboard.running).await.context("the service ends")??;
    Ok(())
}
