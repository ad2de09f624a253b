//! REST API: takes a sale, hands it to the Go client, and answers 202 once that has answered.

use std::env;
use std::error::Error;
use std::time::Duration;

use actix_web::web::{Data, Json};
use actix_web::{App, HttpResponse, HttpServer, post};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What is no such sale is answered 400 by actix-web.
#[derive(Deserialize, Serialize)]
struct Sale {
    categoria: Category,
    producto_id: String,
    precio: f64,
    cantidad_vendida: i32,
}

#[derive(Deserialize, Serialize)]
enum Category {
    Electronica,
    Ropa,
    Hogar,
    Belleza,
}

struct Next {
    http: Client,
    url: String,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let http = Client::builder().timeout(ANSWER_LIMIT).build()?;
    let next = Data::new(Next { http, url: format!("{}/procesar", env::var("GO_SERVICE_URL")?) });
    let app = move || App::new().app_data(next.clone()).service(take);
    HttpServer::new(app).bind(env::var("LISTEN")?)?.run().await?;
    Ok(())
}

#[post("/venta")]
async fn take(sale: Json<Sale>, next: Data<Next>) -> HttpResponse {
    match next.http.post(&next.url).json(&sale).send().await.map(|answer| answer.status()) {
        Ok(StatusCode::OK) => {
            HttpResponse::Accepted().content_type("application/json").body(r#"{"estado":"OK"}"#)
        }
        Ok(StatusCode::BAD_REQUEST) => HttpResponse::BadRequest().finish(),
        Ok(_) | Err(_) => HttpResponse::BadGateway().finish(),
    }
}
