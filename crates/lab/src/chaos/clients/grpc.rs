use std::net::SocketAddr;
use std::time::Duration;

use tonic::transport::Endpoint;

use super::Client;
use super::answer::of_mark;
use crate::assignment::ProductSaleRequest;
use crate::assignment::product_sale_service_client::ProductSaleServiceClient;
use crate::chaos::ledger::{Sent, Told};

/// Metadata of an error that is the writer's own word.
const MARK: &str = "blackfriday-error";
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(6);

/// A client of the assignment's proto at one writer, without keys and without identities.
pub(super) async fn run(mut client: Client, writer: SocketAddr) {
    let endpoint = Endpoint::from_shared(format!("http://{writer}")).expect("an address makes a URI");
    let channel = endpoint.connect_timeout(CONNECT_LIMIT).timeout(LIMIT).connect_lazy();
    let mut service = ProductSaleServiceClient::new(channel);
    while client.goes_on().await {
        let (name, sale) = (client.name(), client.sale());
        let Some(request) = request(&name, &sale) else { continue };
        client.ledger.sending(&name, &sale, None);
        let told = match service.procesar_venta(request).await {
            Ok(_) => Told::Accepted,
            Err(status) => of_mark(status.metadata().get(MARK).and_then(|mark| mark.to_str().ok())),
        };
        client.ledger.told(&name, told, None);
    }
}

fn request(name: &str, sale: &Sent) -> Option<ProductSaleRequest> {
    let Sent::Sale { category, cents, units } = *sale else { return None };
    Some(ProductSaleRequest {
        categoria: category.into(),
        producto_id: name.to_owned(),
        precio: f64::from(cents) / 100.0,
        cantidad_vendida: i32::try_from(units).ok()?,
    })
}
