use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::Problem;

/// Bytes over the limit that are read and thrown away, so that the client sees its answer instead of a reset.
const MAX_DISCARDED_BYTES: usize = 32 << 20;

/// A body could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It has more bytes than allowed.
    #[error("the body has more than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive in time")]
    Late,
    /// The client went away.
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
}

/// Reads a whole body of at most `limit` bytes, until `deadline`.
///
/// # Errors
/// Too large, late, or broken off.
pub async fn read_body(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    deadline: Instant,
) -> Result<Bytes, BodyError> {
    timeout_at(deadline, read(headers, body, limit)).await.unwrap_or(Err(BodyError::Late))
}

async fn read(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return discard(body, limit).await;
    }
    let Some(first) = data(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        return discard(body, limit).await;
    }
    // Most bodies arrive whole.
    if announced == Some(first.len()) {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(more) = data(&mut body).await? {
        if whole.len() + more.len() > limit {
            drop(whole);
            return discard(body, limit).await;
        }
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}

async fn discard(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    let mut discarded = 0;
    while let Some(data) = data(&mut body).await? {
        discarded += data.len();
        if discarded > MAX_DISCARDED_BYTES {
            break;
        }
    }
    Err(BodyError::TooLarge { limit })
}

async fn data(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::Broken(error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let detail = self.to_string();
        match self {
            Self::TooLarge { .. } => Problem::new(413, "too-large", "Too large", detail),
            Self::Late => Problem::new(408, "late", "The request did not arrive in time", detail),
            Self::Broken(_) => Problem::new(400, "broken-off", "The request broke off", detail),
        }
        .into_response()
    }
}
