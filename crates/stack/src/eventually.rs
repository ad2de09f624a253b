use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::StackError;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks `condition` again and again, with pauses of 5 to 100 ms, until it is true.
///
/// `what` says the condition in words, for the error. The limit also holds for a condition that hangs.
///
/// # Errors
/// [`StackError::Never`] if it is not true within `limit`.
///
/// ```
/// # use std::time::Duration;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime").block_on(async {
/// blackfriday_stack::eventually(Duration::from_secs(5), "the position is 10", || async { true }).await?;
/// # Ok::<(), blackfriday_stack::StackError>(()) }).expect("true at once");
/// ```
pub async fn eventually<F, C>(limit: Duration, what: &str, mut condition: C) -> Result<(), StackError>
where
    C: FnMut() -> F,
    F: Future<Output = bool>,
{
    let never = || StackError::Never { what: what.to_owned(), limit };
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    while !timeout_at(deadline, condition()).await.map_err(|_| never())? {
        if Instant::now() + pause > deadline {
            return Err(never());
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_the_condition_that_never_came_true() {
        let error = eventually(Duration::from_millis(20), "pigs fly", || async { false }).await;
        assert_eq!(error.expect_err("never true").to_string(), "not within 20ms: pigs fly");
    }

    #[tokio::test]
    async fn the_limit_holds_for_a_condition_that_hangs() {
        let error = eventually(Duration::from_millis(20), "an answer", std::future::pending).await;
        assert!(matches!(error, Err(StackError::Never { .. })));
    }

    #[tokio::test]
    async fn asks_until_it_is_true() {
        let mut asked = 0;
        let done = eventually(Duration::from_secs(1), "asked thrice", || {
            asked += 1;
            std::future::ready(asked == 3)
        });
        done.await.expect("true at the third try");
        assert_eq!(asked, 3);
    }
}
