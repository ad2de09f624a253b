use blackfriday_event::Timestamp;
use serde_json::{Value, json};

use super::*;

fn read(snapshot: &Snapshot, now_ms: u64) -> Summary {
    let at = Timestamp::from_millis(now_ms).expect("in range");
    let names = Names::from_iter([("R-1", "Camisa azul"), ("R-2", " ")]);
    Summary::of(&Read { snapshot: snapshot.clone(), redis: None, at }, &Category::ALL, &names)
}

fn category(sales: &str, units: &str, revenue: &str) -> CategorySnapshot {
    let text = |text: &str| Some(text.to_owned());
    CategorySnapshot {
        sales: text(sales),
        units_sum: text(units),
        revenue_sum: text(revenue),
        price_mean: text("1.00"),
        units_mean: text("1.00"),
        newest_at_ms: Some(5_500),
        ..CategorySnapshot::default()
    }
}

fn snapshot(categories: [(&'static str, CategorySnapshot); 2]) -> Snapshot {
    let price = Some("1.00".to_owned());
    let categories = categories.into_iter().collect();
    Snapshot { price_min: price.clone(), price_max: price, categories, ..Snapshot::default() }
}

#[test]
fn an_empty_store_has_no_numbers_at_all() {
    let json = serde_json::to_value(read(&Snapshot::default(), 7_000)).expect("serializes");
    let numbers = ["ventas", "unidades", "ingresos", "precio_maximo", "precio_minimo", "mas_vendido"];
    let more = ["menos_vendido", "ultimo_segundo", "pico", "ultima_venta_ms", "frescura_ms"];
    for name in numbers.iter().chain(&more) {
        assert!(json.get(name).is_some_and(Value::is_null), "{name} in {json}");
    }
    assert!(json["clima"]["total"].is_null());
    assert_eq!(json["categorias"].as_array().map(Vec::len), Some(4));
    for categoria in json["categorias"].as_array().expect("an array") {
        assert!(categoria["ventas"].is_null() && categoria["ingresos"].is_null());
    }
    assert_eq!((&json["leido_ms"], &json["ilegibles"]), (&json!(7_000), &json!([])));
}

#[test]
fn totals_are_exact_sums_of_what_the_categories_hold() {
    let ropa = category("2", "18446744073709551615", "0.10");
    let all =
        read(&snapshot([("Ropa", ropa), ("Hogar", category("3", "1", "99999999999999999999.90"))]), 7_000);
    assert_eq!(all.counters.ventas, Some(5));
    assert_eq!(all.counters.unidades.as_deref(), Some("18446744073709551616"));
    assert_eq!(all.counters.ingresos.as_deref(), Some("100000000000000000000.00"));
    assert_eq!(all.frescura_ms, Some(1_500));
    assert!(all.counters.ilegibles.is_empty());
}

#[test]
fn what_cannot_be_read_is_named_and_has_no_total() {
    let mut ropa = category("2", "many", "1.0");
    ropa.price_mean = None;
    ropa.prices = vec![PricesAt::default()];
    ropa.history = ["1.00", "x"].map(|price| PriceAt { at_ms: 5_000, price: price.to_owned() }).to_vec();
    let mut snapshot = snapshot([("Ropa", ropa), ("Hogar", category("3", "1", "2.00"))]);
    snapshot.price_max = Some("-1.00".to_owned());
    snapshot.weather.by_country.insert("Belice".to_owned(), "x".to_owned());
    let counts = read(&snapshot, 7_000).counters;
    let ropa = ["unidades", "ingresos", "precio_promedio", "historial", "precios"];
    let ropa = ropa.map(|name| format!("categorias.Ropa.{name}"));
    let others = ["precio_maximo", "clima.total", "clima.paises.Belice"].map(str::to_owned);
    assert_eq!(counts.ilegibles, [&ropa[..], &others[..]].concat());
    let price = Price { t_ms: 5_000, precio: "1.00".to_owned() };
    assert_eq!(counts.categoria(Category::Ropa).historial, Some(vec![price]));
    assert_eq!((counts.ventas, counts.unidades, counts.ingresos), (Some(5), None, None));
    assert_eq!(counts.precio_minimo.as_deref(), Some("1.00"));
}

#[test]
fn products_have_the_names_that_are_known() {
    let product = |id: &str| ProductUnits { product_id: id.to_owned(), units: 1 };
    let most_sold = ["R-1", "R-2", "R-3"].map(product).to_vec();
    let counts = read(&Snapshot { most_sold, ..Snapshot::default() }, 7_000).counters;
    let names: Vec<_> = counts.productos.iter().map(|of| of.producto.as_deref()).collect();
    assert_eq!(names, [Some("Camisa azul"), None, None]);
    let json = serde_json::to_value(&counts.productos).expect("serializes");
    assert_eq!(json[0]["producto"], "Camisa azul");
    assert!(json[2].get("producto").is_none(), "absent, and not null: {json}");
}

#[test]
fn a_clock_ahead_of_ours_shows_as_a_negative_age() {
    let snapshot = snapshot([("Ropa", category("1", "1", "0.10")), ("Hogar", category("1", "1", "0.10"))]);
    assert_eq!(read(&snapshot, 5_000).frescura_ms, Some(-500));
}

#[test]
fn the_last_second_is_one_that_is_over_and_counted() {
    let series = [(4, 9), (5, 9), (6, 1)];
    let series = series.map(|(second, sales)| SalesAt { second, sales }).to_vec();
    let snapshot = Snapshot { series, ..Snapshot::default() };
    let last = |now| read(&snapshot, now).counters.ultimo_segundo;
    assert_eq!(last(7_499), Some(Second { t_ms: 5_000, ventas: 9 }));
    assert_eq!(last(7_500), Some(Second { t_ms: 6_000, ventas: 1 }));
    assert_eq!(last(17_500), Some(Second { t_ms: 16_000, ventas: 0 }), "no sales after the sale");
    assert_eq!(last(4_999), Some(Second { t_ms: 3_000, ventas: 0 }));
    assert_eq!(last(400), None, "there was no second yet");
    assert_eq!(read(&Snapshot::default(), 7_500).counters.ultimo_segundo, None, "nothing is known of it");
    let peak = read(&snapshot, 7_000).counters.pico;
    assert_eq!(peak, Some(Second { t_ms: 5_000, ventas: 9 }), "of equal ones the newest");
}
