//! Any message of a call: a sale, many, a weather report. What is taken is handed on as the same.
#![no_main]

use std::fmt::Debug;

use blackfriday_event::FieldErrors;
use blackfriday_proto::blackfriday::{ProductSaleBatchRequest, ProductSaleRequest};
use blackfriday_proto::clima::WeatherReport;
use blackfriday_proto::{SaleCommand, WeatherCommand};
use libfuzzer_sys::fuzz_target;
use prost::Message;

/// Refused with its fields named, or the same after another hop.
fn holds<M, C>(message: M)
where
    M: Message + Default + From<C>,
    C: TryFrom<M, Error = FieldErrors> + Clone + PartialEq + Debug,
{
    match C::try_from(message) {
        Ok(command) => {
            let on = M::from(command.clone()).encode_to_vec();
            let back = M::decode(&*on).expect("what was encoded");
            assert_eq!(C::try_from(back).expect("what was taken"), command);
        }
        Err(errors) => assert!(!errors.0.is_empty()),
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = ProductSaleRequest::decode(bytes) {
        holds::<_, SaleCommand>(request);
    }
    if let Ok(request) = ProductSaleBatchRequest::decode(bytes) {
        request.ventas.into_iter().for_each(holds::<_, SaleCommand>);
    }
    if let Ok(report) = WeatherReport::decode(bytes) {
        holds::<_, WeatherCommand>(report);
    }
});
