use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::error::StackError;

/// Below the range from which Linux takes the ports of outgoing connections (32768 by default), so that no client that
/// reconnects to a stopped server takes or even connects to its own port.
const PORTS: Range<u16> = 15_000..32_000;
const TRIES: usize = 1_000;

/// A port of 127.0.0.1 that was free a moment ago.
///
/// It may be taken before it is used: whoever binds it must be ready to try another one.
///
/// # Errors
/// [`StackError::NoPort`] after 1,000 ports that were all taken.
pub fn free_port() -> Result<u16, StackError> {
    (0..TRIES).map(|_| any_port()).find(|&port| is_free(port)).ok_or(StackError::NoPort)
}

/// Random, because tests that run at once must not all walk the same way.
fn any_port() -> u16 {
    let width = u64::from(PORTS.end - PORTS.start);
    let offset = RandomState::new().hash_one(()) % width;
    PORTS.start + u16::try_from(offset).expect("less than the range's width")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound() {
        let port = free_port().expect("a free port");
        assert!(PORTS.contains(&port));
    }

    #[test]
    fn a_bound_port_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        assert!(!is_free(listener.local_addr().expect("bound").port()));
    }
}
