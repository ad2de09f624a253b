//! Only what is in the catalogue is sold.

use anyhow::{Context, Result, ensure};
use blackfriday_gateway::{Config, Error, run};
use blackfriday_proto::ErrorCode;
use blackfriday_registry::{Access, RegistryAuth, RegistryClient, reference};
use blackfriday_service::bind;
use blackfriday_stack::free_port;
use blackfriday_workload::{Recipe, Workload, artifact, make};
use clap::Parser;
use serde_json::{Value, json};

use crate::test_writer::TestWriter;
use crate::{Gateway, Relay, loopback};

fn file(folder: &tempfile::TempDir, text: &str) -> Result<String> {
    let path = folder.path().join("catalogue.toml");
    std::fs::write(&path, text)?;
    Ok(path.to_str().context("a path")?.to_owned())
}

fn sale(product: &str, category: u8) -> Value {
    json!({"categoria": category, "producto_id": product, "precio": 1, "cantidad_vendida": 1})
}

#[tokio::test]
async fn a_product_outside_of_the_catalogue_is_refused_by_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = make(&Recipe { title: "small".to_owned(), seed: 7, products: 2 });
    let catalogue = file(&folder, &text)?;
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &["--catalogue", &catalogue])?;

    let products = Workload::parse(&text)?.products;
    let (known, category) = (products[0].id.as_str(), products[0].category as u8);
    let other = category % 4 + 1;
    let right = gateway.http.post("/venta", sale(known, category).to_string()).await?;
    assert_eq!(right.status, 202, "{right:?}");
    for wrong in [sale("order-4711", category), sale(known, other), sale(&known.to_lowercase(), category)] {
        let answer = gateway.http.post("/venta", wrong.to_string()).await?;
        assert_eq!((answer.status.as_u16(), answer.wrong_fields()), (422, vec!["producto_id"]), "{wrong}");
        let mixed = json!([wrong, sale(known, category)]);
        let answer = gateway.http.post("/ventas", mixed.to_string()).await?;
        assert_eq!((answer.status.as_u16(), &answer.json["aceptadas"]), (207, &json!(1)), "{answer:?}");
        let refused = &answer.json["resultados"][0];
        assert_eq!(refused["codigo"], ErrorCode::InvalidField.name());
        assert_eq!(refused["errores"][0]["field"], "producto_id");
    }
    assert!(writer.seen.sales().iter().all(|sale| sale.producto_id == known), "nothing else was sent on");

    let all = Gateway::before(&relay, &[])?;
    assert_eq!(all.http.post("/venta", sale("order-4711", category).to_string()).await?.status, 202);
    Ok(())
}

#[tokio::test]
async fn a_catalogue_is_pulled_from_a_registry() -> Result<()> {
    let server = blackfriday_stack::OciRegistry::start().await?;
    let folder = tempfile::tempdir()?;
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{}\n", server.password().expose()))?;
    let ca = server.ca().context("it speaks TLS")?.to_owned();
    let access = Access {
        ca: Some(std::fs::read(&ca)?),
        auth: RegistryAuth::Basic(server.username().to_owned(), server.password().expose().to_owned()),
        plain_http: false,
    };
    let text = make(&Recipe { title: "small".to_owned(), seed: 7, products: 1 });
    let at = reference(&format!("{}/workloads/small:1", server.host()))?;
    let pushed = artifact::push(&RegistryClient::new(&access)?, &at, text.clone()).await?;

    let (ca, password) = (ca.to_str().context("a path")?, password.to_str().context("a path")?);
    let settings = ["--catalogue", &pushed.pinned, "--catalogue-ca", ca];
    let signed_in = ["--catalogue-username", server.username(), "--catalogue-password-file", password];
    let writer = TestWriter::start()?;
    let relay = Relay::before(&writer).await?;
    let gateway = Gateway::before(&relay, &[&settings[..], &signed_in].concat())?;
    let product = &Workload::parse(&text)?.products[0];
    let right =
        gateway.http.post("/venta", sale(product.id.as_str(), product.category as u8).to_string()).await?;
    assert_eq!(right.status, 202, "{right:?}");
    let wrong = gateway.http.post("/venta", sale("other", product.category as u8).to_string()).await?;
    assert_eq!((wrong.status.as_u16(), wrong.wrong_fields()), (422, vec!["producto_id"]));

    let nobody = Config::try_parse_from(["gateway"].iter().chain(&settings))?;
    let ended = run(nobody, bind(loopback())?, blackfriday_service::Context::new("gateway")).await;
    ensure!(
        matches!(&ended, Err(error) if error.is_unavailable()),
        "it refuses whoever has no password: {ended:?}"
    );
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn without_the_catalogue_it_was_told_to_use_it_does_not_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let not_a_catalogue = file(&folder, "title = 1")?;
    let nobody = format!("oci://127.0.0.1:{}/workloads/friday:1", free_port()?);
    for (catalogue, unavailable) in [
        ("/nonexistent.toml", false),
        (not_a_catalogue.as_str(), false),
        ("oci://no-version", false),
        (nobody.as_str(), true),
    ] {
        let flags = ["gateway", "--catalogue-plain-http", "--catalogue", catalogue];
        let config = Config::try_parse_from(flags)?;
        let ended = run(config, bind(loopback())?, blackfriday_service::Context::new("gateway")).await;
        let Err(error @ Error::Catalogue(_)) = ended else {
            anyhow::bail!("{catalogue}: {ended:?}");
        };
        ensure!(error.is_unavailable() == unavailable, "{catalogue}: {error:?}");
        let cause = std::error::Error::source(&error).context("the cause")?.to_string();
        ensure!(cause.contains(catalogue), "{catalogue} is named: {cause}");
    }
    Ok(())
}
