//! The store against the naive model, through a real Valkey and a real Redis: what is counted, what is
//! refused, what is read.

/// Each of these functions as a test with Valkey, and as one with Redis.
macro_rules! on_both {
    ($($test:ident),* $(,)? $(; async $($waits:ident),+ $(,)?)?) => {
        on_both! { @one on_valkey Valkey [$($test)*] [$($($waits)+)?] }
        on_both! { @one on_redis Redis [$($test)*] [$($($waits)+)?] }
    };
    (@one $module:ident $kind:ident [$($test:ident)*] [$($waits:ident)*]) => {
        mod $module {
            use blackfriday_stack::ValkeyKind;

            $(#[test]
            fn $test() {
                super::$test(ValkeyKind::$kind);
            })*
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $waits() {
                super::$waits(ValkeyKind::$kind).await;
            })*
        }
    };
}

mod access;
mod documented;
mod effects;
mod failures;
mod grafana;
mod idempotency;
mod partitions;
mod permissions;
mod properties;
mod reads;
mod replay;
mod sentinels;
mod server;
mod setup;
mod tampering;
