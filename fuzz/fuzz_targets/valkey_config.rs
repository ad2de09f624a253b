//! Any text in the files that `valkey-config` reads: it is one word, one user, or refused; a `sentinel.conf` is renewed once.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    text.lines().for_each(blackfriday_valkey_config::any_line);
    blackfriday_valkey_config::any_line(text);
    blackfriday_valkey_config::any_sentinel_file(text);
    blackfriday_valkey_config::any_sentinel_file(&format!(
        "sentinel monitor blackfriday valkey-1 6379 9\n{text}"
    ));
});
