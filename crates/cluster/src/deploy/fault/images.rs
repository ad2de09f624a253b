/// What to do about an image that cannot be had, by what the kubelet says.
pub(super) fn advice(message: &str) -> &'static str {
    let said = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["no space left", "507 ", "insufficient storage"]) {
        "a disk is full, the node's or the registry's: make room there, then run deploy again"
    } else if says(&["x509", "certificate", "http response to https"]) {
        "the node does not trust the registry: docs/registry.md says how it learns to; then run deploy again"
    } else if says(&["unauthorized", "authorization failed", "401", "403", "denied", "no basic auth"]) {
        "the registry refuses the password of the Secret registry-pull: run deploy again with --registry and the right \
         BLACKFRIDAY_REGISTRY_USERNAME and BLACKFRIDAY_REGISTRY_PASSWORD_FILE; or the pod's account names no such Secret: \
         in the overlay components/registry-access comes after whatever brings accounts, and pods that wait from before \
         that are to be deleted"
    } else if says(&["not found", "notfound", "manifest unknown"]) {
        "the registry has no such image: push it again, by deploy without --no-push"
    } else if says(&["no such host", "connection refused", "timeout", "dial tcp", "no route"]) {
        "the node cannot reach the registry: is it running, and does the node know its name? docs/registry.md"
    } else if says(&["not present with pull policy", "invalidimagename"]) {
        "the node does not have the image: load it there, or let deploy push it to a registry"
    } else {
        "docs/registry.md says what a node needs to pull from the registry"
    }
}
