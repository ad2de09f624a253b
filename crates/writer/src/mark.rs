use blackfriday_proto::{ErrorCode, WRITER_MARK};
use http::{HeaderValue, Response};
use tonic::{Code, Status};

/// Puts the writer's mark on an answer that ends a call with an error, whether a call, the gate or the server gave it.
pub(crate) fn marked<B>(mut response: Response<B>) -> Response<B> {
    let status = Status::from_header_map(response.headers());
    if let Some(status) = status.filter(|status| status.code() != Code::Ok)
        && !response.headers().contains_key(WRITER_MARK)
    {
        let name = ErrorCode::of_grpc(status.code()).name();
        response.headers_mut().insert(WRITER_MARK, HeaderValue::from_static(name));
    }
    response
}
