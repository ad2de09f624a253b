use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blackfriday_event::Category;
use blackfriday_stack::eventually;
use serde_json::{Value, json};

use crate::support::{Dashboard, LIMIT, ensure_unavailable};

const SALES: &[(Category, &str, u64, i64)] =
    &[(Category::Ropa, "R-1", 1_050, 3), (Category::Ropa, "R-2", 2_000, 1), (Category::Hogar, "H-1", 99, 7)];

#[tokio::test]
async fn the_summary_says_what_the_store_holds_and_nothing_else() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    let (status, empty) = dashboard.get("/api/resumen").await?;
    ensure!(status == 200 && empty["ventas"].is_null() && empty["precio_maximo"].is_null(), "{empty}");

    dashboard.count(SALES).await?;
    let (_, all) = dashboard.get("/api/resumen").await?;
    ensure!(all["ventas"] == 3 && all["unidades"] == "11" && all["ingresos"] == "58.43", "{all}");
    ensure!(all["precio_maximo"] == "20.00" && all["precio_minimo"] == "0.99", "{all}");
    ensure!(all["mas_vendido"] == json!({"producto_id": "H-1", "unidades": 7}), "{all}");
    ensure!(all["menos_vendido"] == json!({"producto_id": "R-2", "unidades": 1}), "{all}");
    let age = all["leido_ms"].as_u64().zip(all["ultima_venta_ms"].as_u64()).map(|(read, sold)| read - sold);
    ensure!(age.is_some() && all["frescura_ms"].as_u64() == age, "{all}");
    ensure!(all["productos"].as_array().is_some_and(|products| products.len() == 3), "{all}");
    let (_, first) = dashboard.get("/api/resumen?n=1").await?;
    ensure!(first["productos"].as_array().is_some_and(|products| products.len() == 1), "{first}");
    let (_, many) = dashboard.get("/api/resumen?n=1000").await?;
    ensure!(many["productos"] == all["productos"], "{many}");
    let of = &all["categorias"][Category::Ropa.index()];
    ensure!(of["ventas"] == 2 && of["precio_promedio"] == "15.25", "{of}");
    ensure!(of["cantidad_promedio"] == "2.00" && of["ingresos"] == "51.50", "{of}");
    ensure!(of["historial"].as_array().is_some_and(|history| history.len() == 2), "{of}");
    ensure!(of["precios"].as_array().is_some_and(|prices| prices.len() == 2), "{of}");
    ensure!(all["categorias"][Category::Belleza.index()]["ventas"].is_null(), "nothing was sold there");
    ensure!(all["serie"].as_array().is_some_and(|series| series.len() == 3), "{all}");
    ensure!(all["posiciones"] == json!({"0": 3}) && all["ilegibles"] == json!([]), "{all}");
    Ok(())
}

#[tokio::test]
async fn the_other_routes_are_flat_rows_of_the_same() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(SALES).await?;
    dashboard.valkey.command(&["HSET", "country_counts", "Belice", "2", "Guatemala", "3"]).await?;
    dashboard.valkey.command(&["SET", "total_messages", "5"]).await?;
    let (_, totals) = dashboard.get("/api/totales").await?;
    ensure!(totals[0]["ventas"] == 3 && totals[0]["reportes_clima"] == 5, "{totals}");
    ensure!(totals[0]["precio_minimo"] == "0.99" && totals[0]["frescura_ms"].is_u64(), "{totals}");
    ensure!(totals[0]["mas_vendido"] == "H-1" && totals[0]["menos_vendido_unidades"] == 1, "{totals}");
    ensure!(totals[0]["ventas_por_segundo"] == 0, "these sales are of 2023: {totals}");
    for (path, row, expected) in [
        (
            "/api/productos?categoria=ropa&n=1",
            0,
            json!({"puesto": 1, "producto_id": "R-1", "etiqueta": "R-1", "unidades": 3}),
        ),
        ("/api/productos", 2, json!({"puesto": 3, "producto_id": "R-2", "etiqueta": "R-2", "unidades": 1})),
        ("/api/historial?categoria=Ropa&n=1", 0, json!({"t_ms": 1_700_000_002_000_u64, "precio": "20.00"})),
        (
            "/api/precios?categoria=Ropa",
            0,
            json!({"t_ms": 1_700_000_001_000_u64, "segundos": 1, "ventas": 1, "precio_suma": "10.50",
                "precio_minimo": "10.50", "precio_promedio": "10.50", "precio_maximo": "10.50"}),
        ),
        ("/api/serie?n=1", 0, json!({"t_ms": 1_700_000_003_000_u64, "ventas": 1})),
        ("/api/clima?n=1", 0, json!({"pais": "Guatemala", "reportes": 3})),
        (
            "/api/extremos",
            1 + Category::Ropa.index(),
            json!({"categoria": "Ropa",
                "mas_vendido": "R-1", "mas_vendido_etiqueta": "R-1", "mas_vendido_unidades": 3,
                "menos_vendido": "R-2", "menos_vendido_etiqueta": "R-2", "menos_vendido_unidades": 1}),
        ),
        (
            "/api/categorias",
            Category::Hogar.index(),
            json!({"categoria": "Hogar", "ventas": 1, "unidades": "7", "ingresos": "6.93",
                "precio_promedio": "0.99", "cantidad_promedio": "7.00",
                "mas_vendido": "H-1", "mas_vendido_etiqueta": "H-1", "mas_vendido_unidades": 7,
                "menos_vendido": "H-1", "menos_vendido_etiqueta": "H-1", "menos_vendido_unidades": 7}),
        ),
    ] {
        let (_, rows) = dashboard.get(path).await?;
        ensure!(rows[row] == expected, "{path}: {rows}");
        let flat = |row: &Value| row.as_object().is_some_and(|row| !row.values().any(Value::is_object));
        ensure!(rows.as_array().is_some_and(|rows| rows.iter().all(flat)), "{path}: {rows}");
    }
    Ok(())
}

#[tokio::test]
async fn wrong_parameters_are_named_with_what_is_allowed() -> Result<()> {
    let dashboard = Dashboard::start().await?;
    for (path, field, allowed) in [
        ("/api/productos?categoria=Juguetes", "categoria", "Belleza"),
        ("/api/productos?n=0", "n", "1000"),
        ("/api/productos?n=1&n=2", "n", "once"),
        ("/api/productos?top=3", "top", "categoria"),
        ("/api/serie?n=%FF", "n", "1000"),
        ("/api/historial", "categoria", "Belleza"),
        ("/api/precios", "categoria", "Belleza"),
        ("/api/resumen?categoria=Ropa", "categoria", "n"),
        ("/api/totales?n=1", "n", "takes none"),
        ("/events?categoria=x", "categoria", "Belleza"),
    ] {
        let (status, problem) = dashboard.get(path).await?;
        let error = &problem["errors"][0];
        ensure!(status == 422 && error["field"] == field, "{path}: {status} {problem}");
        ensure!(error["message"].as_str().is_some_and(|text| text.contains(allowed)), "{path}: {problem}");
    }
    ensure!(dashboard.get("/nothing").await?.0 == 404, "an unknown path");
    let (status, document) = dashboard.get("/openapi.json").await?;
    ensure!(status == 200 && document["paths"]["/api/resumen"].is_object(), "{document}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_absent_and_named() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(SALES).await?;
    dashboard.valkey.command(&["HSET", "stats:ingresos:suma", "Ropa", "lots"]).await?;
    let (_, all) = dashboard.get("/api/resumen").await?;
    ensure!(all["ingresos"].is_null() && all["ventas"] == 3, "{all}");
    ensure!(all["categorias"][Category::Hogar.index()]["ingresos"] == "6.93", "{all}");
    ensure!(all["ilegibles"] == json!(["categorias.Ropa.ingresos"]), "{all}");
    dashboard.valkey.command(&["HSET", "serie:precio:Ropa", "1700000001", "1:?"]).await?;
    let (_, all) = dashboard.get("/api/resumen").await?;
    ensure!(all["ilegibles"] == json!(["categorias.Ropa.ingresos", "categorias.Ropa.precios"]), "{all}");
    let (_, rows) = dashboard.get("/api/precios?categoria=Ropa").await?;
    ensure!(rows.as_array().is_some_and(|rows| rows.len() == 1), "{rows}");

    dashboard.valkey.command(&["DEL", "serie:ventas"]).await?;
    dashboard.valkey.command(&["SET", "serie:ventas", "x"]).await?;
    let (status, problem) = dashboard.get("/api/resumen").await?;
    ensure!(status == 500 && problem["type"] == "urn:blackfriday:problem:unreadable", "{problem}");
    ensure!(problem["detail"].as_str().is_some_and(|text| text.contains("WRONGTYPE")), "{problem}");
    Ok(())
}

/// Times that the store was read for somebody.
async fn reads(dashboard: &Dashboard) -> Result<u64> {
    let stats = dashboard.valkey.command(&["INFO", "commandstats"]).await?;
    let of = stats.lines().find_map(|line| line.strip_prefix("cmdstat_exec:calls="));
    Ok(of.map_or(Ok(0), |rest| rest.split(',').next().unwrap_or_default().parse())?)
}

#[tokio::test]
async fn who_asks_at_the_same_time_shares_one_read_of_the_store() -> Result<()> {
    const ASKED: usize = 200;
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(SALES).await?;
    dashboard.get("/api/totales").await?;
    let before = reads(&dashboard).await?;
    ensure!(before > 0, "reads are transactions");
    let paths = ["/api/resumen", "/api/totales", "/api/productos", "/api/extremos"];
    let began = Instant::now();
    let asked = (0..ASKED).map(|n| dashboard.get(paths[n % paths.len()]));
    let answers = futures_util::future::try_join_all(asked).await?;
    ensure!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    ensure!(answers[0].1["ventas"] == 3 && answers[1].1[0]["ventas"] == 3, "{:?}", answers[0]);
    // Twenty a second at the most, however many ask.
    let most = 2 + u64::try_from(began.elapsed().as_millis() / 50)?;
    let made = reads(&dashboard).await? - before;
    ensure!(made <= most, "{made} reads for {ASKED} requests in {:?}", began.elapsed());
    dashboard.count(SALES).await?;
    ensure!(
        dashboard.get("/api/totales").await?.1[0]["ventas"] == 6,
        "nobody gets what was read before they asked"
    );
    Ok(())
}

#[tokio::test]
async fn a_valkey_that_is_gone_or_hangs_is_told_in_time() -> Result<()> {
    let mut dashboard = Dashboard::start().await?;
    dashboard.count(SALES).await?;
    let is_ready = async |ready| {
        let condition = async || dashboard.context.readiness.is_ready() == ready;
        eventually(LIMIT, condition).await.with_context(|| format!("readiness {ready}"))
    };
    let recovers = async || {
        let answers = async || dashboard.get("/api/resumen").await.is_ok_and(|(status, _)| status == 200);
        eventually(LIMIT, answers).await.context("recovers")
    };
    is_ready(true).await?;
    dashboard.valkey.pause()?;
    // Twice: the second meets a connection on which an answer is already overdue.
    for _ in 0..2 {
        let asked = Instant::now();
        ensure_unavailable(&dashboard.ask("/api/resumen").await?)?;
        ensure!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    is_ready(false).await?;
    dashboard.valkey.resume()?;
    recovers().await?;
    is_ready(true).await?;

    dashboard.valkey.stop().await?;
    ensure_unavailable(&dashboard.ask("/api/categorias").await?)?;
    is_ready(false).await?;
    dashboard.valkey.restart().await?;
    recovers().await?;
    Ok(())
}
