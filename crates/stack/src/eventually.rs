use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{sleep, timeout};

use crate::error::StackError;

const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(5))
    .with_max_delay(LONGEST_PAUSE)
    .without_max_times();
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks `condition` again and again, with pauses of 5 to 100 ms, until it is true.
///
/// # Errors
/// [`StackError::Never`] if it is not true within `limit`, also if asking hangs.
///
/// ```
/// # use std::time::Duration;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime").block_on(async {
/// blackfriday_stack::eventually(Duration::from_secs(5), async || true).await?;
/// # Ok::<(), blackfriday_stack::StackError>(()) }).expect("true at once");
/// ```
pub async fn eventually(limit: Duration, condition: impl AsyncFnMut() -> bool) -> Result<(), StackError> {
    timeout(limit, until(condition)).await.map_err(|_| StackError::Never { limit })
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let mut pauses = PAUSES.build();
    while !condition().await {
        sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn says_that_it_never_came_true() {
        let error = eventually(Duration::from_millis(20), async || false).await;
        assert_eq!(error.expect_err("never true").to_string(), "the condition did not come true within 20ms");
    }

    #[tokio::test]
    async fn the_limit_holds_for_a_condition_that_hangs() {
        let error = eventually(Duration::from_millis(20), std::future::pending).await;
        assert!(matches!(error, Err(StackError::Never { .. })));
    }

    #[tokio::test]
    async fn asks_until_it_is_true() {
        let mut asked = 0;
        let done = eventually(Duration::from_secs(1), async || {
            asked += 1;
            asked == 3
        });
        done.await.expect("true at the third try");
        assert_eq!(asked, 3);
    }
}
