//! Users of servers and of Sentinels, in Valkey's words: <https://valkey.io/topics/acl/>.

use blackfriday_telemetry::access::Secret;
use sha2::{Digest as _, Sha256};

use crate::value::word;

/// The users of a server's `users.acl`, ours and then the given ones. The user `default` may do everything with the password;
/// a probe without a password may only ask whether the server answers, one with a password also whether its primary does.
pub(crate) fn of_server(password: &Secret, readiness: Option<&Secret>, given: Vec<String>) -> Vec<String> {
    let (login, asks) = match readiness {
        None => ("nopass".to_owned(), "+ping"),
        Some(password) => (format!("#{}", hash(password)), "+ping +info"),
    };
    let own = [
        format!("user default on sanitize-payload #{} ~* &* +@all", hash(password)),
        format!("user readiness on {login} resetkeys resetchannels -@all {asks}"),
    ];
    own.into_iter().chain(given).collect()
}

/// Anybody may ask a Sentinel who is primary, and listen. Only a Sentinel may change it.
pub(crate) fn of_sentinel(peer_password: &Secret) -> [String; 2] {
    let asks = "+auth +client|setinfo +client|setname +hello +info +ping +psubscribe +punsubscribe +role \
        +sentinel|get-master-addr-by-name +sentinel|get-primary-addr-by-name +sentinel|master +sentinel|masters \
        +sentinel|primaries +sentinel|primary +sentinel|replicas +sentinel|sentinels +sentinel|slaves +subscribe \
        +unsubscribe";
    [
        format!("user default on nopass resetkeys &* -@all {asks}"),
        format!("user {PEER} on #{} ~* &* +@all", hash(peer_password)),
    ]
}

/// As whom Sentinels log in to each other.
pub(crate) const PEER: &str = "peer";

/// A line of the file `users.acl`: a user, or nothing.
pub(crate) fn given(line: &str) -> Result<Option<String>, &'static str> {
    if line.starts_with('#') {
        return Ok(None);
    }
    let wrong = "user NAME RULE… is wanted, with a blank between them";
    let mut words = line.split(' ');
    let (Some("user"), Some(name)) = (words.next(), words.next()) else { return Err(wrong) };
    if matches!(name, "default" | "readiness") {
        return Err("default and readiness may not be defined here");
    }
    let rules: Vec<_> = words.collect();
    let is_rule = |rule: &&str| !rule.is_empty() && rule.bytes().all(|byte| byte.is_ascii_graphic());
    if word(name).is_err() || rules.is_empty() || !rules.iter().all(is_rule) {
        return Err(wrong);
    }
    Ok(Some(line.to_owned()))
}

fn hash(password: &Secret) -> String {
    Sha256::digest(password.expose()).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// What holds of any line.
#[cfg(any(test, fuzzing))]
pub(crate) fn is_a_user_of_its_own_or_refused(line: &str) {
    let Ok(Some(user)) = given(line) else { return };
    let words: Vec<_> = user.split(' ').collect();
    assert!(words[0] == "user" && words.len() > 2 && user.is_ascii());
    assert!(!user.contains(char::is_control) && !["default", "readiness"].contains(&words[1]));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_line_is_a_user_of_its_own_or_refused(line in prop_oneof![
            any::<String>(), "(user|#|User)? ?[a-z@]{0,9} ?((on|~a:\\*|[+]get|\u{301}|\t) ?){0,4}",
        ]) {
            is_a_user_of_its_own_or_refused(&line);
        }
    }

    #[test]
    fn a_user_is_a_line_of_words() {
        let line = "user consumer on #00 ~a:* %R~b resetchannels +ping +client|setname";
        assert_eq!(given(line).expect("a user").as_deref(), Some(line));
        assert_eq!(given("# user x on").expect("a comment"), None);
        let wrong = [
            "user",
            "user x",
            "user  x on",
            "user x  on",
            "user x on ",
            "User x on",
            " user x on",
            "user x\ton",
            "user x@y on",
            "user x on\r",
            "user x ñ",
            "default on",
            "user default on",
            "user readiness nopass",
        ];
        for line in wrong {
            assert!(given(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn passwords_are_kept_as_hashes() {
        let password: Secret = "0123456789abcdef".parse().expect("any text");
        let hash = "#9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
        let users = of_server(&password, None, vec!["user x on".to_owned()]);
        assert_eq!(users[0], format!("user default on sanitize-payload {hash} ~* &* +@all"));
        assert_eq!(users[1], "user readiness on nopass resetkeys resetchannels -@all +ping");
        assert_eq!(users[2], "user x on");
        let users = of_server(&password, Some(&password), Vec::new());
        assert_eq!(users[1], format!("user readiness on {hash} resetkeys resetchannels -@all +ping +info"));
        let [anybody, peer] = of_sentinel(&password);
        assert_eq!(peer, format!("user peer on {hash} ~* &* +@all"));
        assert!(
            !anybody.contains("  ") && anybody.ends_with("+sentinel|slaves +subscribe +unsubscribe"),
            "{anybody}"
        );
    }
}
