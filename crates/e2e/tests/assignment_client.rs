//! A client generated from the assignment's four fields works unchanged, also next to one that knows more.

use anyhow::{Result, ensure};
use blackfriday_e2e::{Pipeline, Service};
use blackfriday_lab::assignment::product_sale_service_client::ProductSaleServiceClient;
use blackfriday_lab::assignment::{CategoriaProducto, ProductSaleRequest};
use serde_json::Value;
use tonic::Code;

#[tokio::test]
async fn a_client_of_the_original_proto_is_served() -> Result<()> {
    let pipeline = Pipeline::start(&[]).await?;
    let writer = format!("http://{}", pipeline.address(Service::WriterA));
    let mut client = ProductSaleServiceClient::connect(writer).await?;
    let sale = |categoria| ProductSaleRequest {
        categoria,
        producto_id: "P-17".to_owned(),
        precio: 499.99,
        cantidad_vendida: 2,
    };

    let answer = client.procesar_venta(sale(CategoriaProducto::Electronica.into())).await?;
    ensure!(answer.get_ref().estado == "OK", "{answer:?}");
    let refused = client.procesar_venta(sale(CategoriaProducto::Unspecified.into())).await;
    let status = refused.err().ok_or_else(|| anyhow::anyhow!("category 0 is refused"))?;
    ensure!(status.code() == Code::InvalidArgument && status.message().contains("categoria"), "{status:?}");

    let records = pipeline.run("tail", &["--topic", "ventas"]).await?;
    let records: Vec<Value> = records.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(records.len() == 1 && records[0]["sale"]["producto_id"] == "P-17", "{records:?}");
    pipeline.verify(&[]).await?;
    Ok(())
}
