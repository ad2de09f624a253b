//! The names of products and the currency, which whoever sets up the dashboard says: told where they are known, and nowhere
//! else.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use blackfriday_dashboard::{Config, Error, run};
use blackfriday_event::Category;
use blackfriday_registry::{Access, RegistryAuth, RegistryClient, reference};
use blackfriday_service::{Context, bind};
use blackfriday_stack::{OciRegistry, Proxy, eventually};
use blackfriday_workload::artifact;
use clap::Parser;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Dashboard, LIMIT};

const WORKLOAD: &str = r#"
title = "small"
seed = 1
arrivals = [{ at = 0.0, rate = 1.0 }]
[[products]]
id = "R-1"
name = "Camisa azul"
category = "Ropa"
price = 10.5
weight = 1
"#;

/// A workload's file, in which one product of the two that are sold has a name.
pub(crate) fn workload(folder: &TempDir) -> Result<String> {
    let path = folder.path().join("workload.toml");
    std::fs::write(&path, WORKLOAD)?;
    Ok(path.to_str().context("a path")?.to_owned())
}

pub(crate) const SALES: [(Category, &str, u64, i64); 2] =
    [(Category::Ropa, "R-1", 1_050, 3), (Category::Ropa, "R-2", 2_000, 1)];

/// Waits until they are read.
async fn has_names(dashboard: &Dashboard) -> Result<()> {
    let named = async || {
        let answer = dashboard.get("/api/productos").await;
        answer.is_ok_and(|(_, rows)| rows[0]["producto"] == "Camisa azul")
    };
    eventually(LIMIT, named).await.context("names come as soon as they can be read")
}

#[tokio::test]
async fn names_and_currency_are_told_where_they_are_known() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut dashboard =
        Dashboard::start_with(&["--workload", &workload(&folder)?, "--currency", "gtq"]).await?;
    dashboard.count(&SALES).await?;
    has_names(&dashboard).await?;
    let (_, all) = dashboard.get("/api/resumen").await?;
    ensure!(all["moneda"] == "GTQ", "{all}");
    let named = json!({"producto_id": "R-1", "producto": "Camisa azul", "unidades": 3});
    let unknown = json!({"producto_id": "R-2", "unidades": 1});
    ensure!(all["productos"] == json!([named, unknown]), "{all}");
    ensure!(all["mas_vendido"] == named && all["menos_vendido"] == unknown, "{all}");
    let of = &all["categorias"][Category::Ropa.index()];
    ensure!(of["mas_vendido"] == named && of["productos"][1] == unknown, "{of}");
    let (_, rows) = dashboard.get("/api/productos").await?;
    ensure!(rows[0]["producto"] == "Camisa azul" && rows[0]["etiqueta"] == "Camisa azul (R-1)", "{rows}");
    ensure!(rows[1].get("producto").is_none() && rows[1]["etiqueta"] == "R-2", "{rows}");
    let (_, rows) = dashboard.get("/api/extremos").await?;
    ensure!(rows[0]["mas_vendido_etiqueta"] == "Camisa azul (R-1)", "{rows}");

    let (_, all) = Dashboard::start().await?.get("/api/resumen").await?;
    ensure!(all.get("moneda").is_none(), "nobody said one: {all}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_workload_ends_it() -> Result<()> {
    let config = Config::try_parse_from(["test", "--workload", file!()])?;
    let listener = bind(([127, 0, 0, 1], 0).into())?;
    let ended = run(config, listener, Context::new("dashboard")).await;
    ensure!(matches!(ended, Err(Error::Names(_))), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_away_costs_nothing_but_names() -> Result<()> {
    let server = OciRegistry::start().await?;
    let ca = server.ca().context("it speaks TLS")?;
    let auth = RegistryAuth::Basic(server.username().to_owned(), server.password().expose().to_owned());
    let access = Access { ca: Some(std::fs::read(ca)?), auth, plain_http: false };
    let at = reference(&format!("{}/workloads/small:1", server.host()))?;
    let pushed = artifact::push(&RegistryClient::new(&access)?, &at, WORKLOAD.to_owned()).await?;

    let proxy = Proxy::to(server.host()).await?;
    proxy.refuse().await;
    let there = pushed.pinned.replace(&server.host(), &proxy.address().to_string());
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path");
    let (ca, password) = (text(ca)?, text(&server.password_file())?);
    let signed_in = ["--ca", &ca, "--username", server.username(), "--password-file", &password];
    let mut dashboard =
        Dashboard::start_with(&[&["--workload", there.as_str()][..], &signed_in].concat()).await?;
    dashboard.count(&SALES).await?;
    let (status, rows) = dashboard.get("/api/productos").await?;
    ensure!(status == 200 && rows[0]["etiqueta"] == "R-1", "{rows}");

    proxy.accept().await?;
    has_names(&dashboard).await?;
    server.stop().await?;
    Ok(())
}
