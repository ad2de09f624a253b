use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::io;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::error::StackError;

/// Below the range from which Linux takes the ports of outgoing connections (32768 by default), so that no client that
/// reconnects to a stopped server takes or even connects to its own port.
const PORTS: Range<u16> = 15_000..32_000;
const TRIES: usize = 1_000;

/// Where a server listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortChoice {
    /// On any port that is free.
    #[default]
    Any,
    /// On this one if it is free, else on any.
    Rather(u16),
    /// On this one.
    Only(u16),
}

impl PortChoice {
    /// A port of 127.0.0.1 that was free a moment ago.
    ///
    /// # Errors
    /// [`StackError::PortTaken`] if only one was wanted; [`StackError::NoPort`] after 1,000 ports that were all taken.
    pub fn choose(self) -> Result<u16, StackError> {
        match self {
            Self::Rather(port) | Self::Only(port) if can_be_served(port) => Ok(port),
            Self::Only(port) => Err(StackError::PortTaken { port }),
            Self::Any | Self::Rather(_) => free_port(),
        }
    }
}

/// As a server tries it: connections that its predecessor has closed, and that linger, are not in the way.
fn can_be_served(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A port of 127.0.0.1 that was free a moment ago.
///
/// It may be taken before it is used: whoever binds it must be ready to try another one.
///
/// # Errors
/// [`StackError::NoPort`] after 1,000 ports that were all taken.
pub fn free_port() -> Result<u16, StackError> {
    (0..TRIES).map(|_| any_port()).find(|&port| is_free(port)).ok_or(StackError::NoPort)
}

/// A port of 127.0.0.1 that is kept for a process which is started later, maybe again and again: [`free_port`] gives it to
/// nobody meanwhile, in no process.
///
/// Linux lets several sockets with `SO_REUSEADDR`, which every server sets, be bound to a port while none of them listens;
/// so the process that it is for can take it all the same (socket(7)).
#[derive(Debug)]
pub struct KeptPort {
    number: u16,
    _socket: OwnedFd,
}

impl KeptPort {
    /// Takes one.
    ///
    /// # Errors
    /// [`StackError::NoPort`] after 1,000 ports that were all taken.
    pub fn new() -> Result<Self, StackError> {
        let kept = || {
            let number = any_port();
            // Shared only once it is taken: else two could keep the same one.
            let socket = bound(number).ok()?;
            set_socket_reuseaddr(&socket, true).ok()?;
            Some(Self { number, _socket: socket })
        };
        (0..TRIES).find_map(|_| kept()).ok_or(StackError::NoPort)
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Random, because tests that run at once must not all walk the same way.
fn any_port() -> u16 {
    let width = u64::from(PORTS.end - PORTS.start);
    let offset = RandomState::new().hash_one(()) % width;
    PORTS.start + u16::try_from(offset).expect("less than the range's width")
}

fn is_free(port: u16) -> bool {
    bound(port).is_ok()
}

/// A socket that has taken a port from everybody, and listens to nobody.
fn bound(port: u16) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

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

    #[test]
    fn a_port_that_is_taken_is_not_chosen() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let taken = listener.local_addr().expect("bound").port();
        let only = PortChoice::Only(taken).choose().expect_err("taken").to_string();
        assert_eq!(only, format!("another process listens on 127.0.0.1:{taken}"));
        assert!(PORTS.contains(&PortChoice::Rather(taken).choose().expect("another one")));
        drop(listener);
        for choice in [PortChoice::Only(taken), PortChoice::Rather(taken)] {
            assert_eq!(choice.choose().expect("free"), taken);
        }
    }

    #[test]
    fn a_port_that_is_kept_is_not_free_and_can_be_listened_on() {
        let kept = KeptPort::new().expect("a free port");
        assert!(!is_free(kept.number()));
        for _ in 0..2 {
            let address = (Ipv4Addr::LOCALHOST, kept.number());
            let listener = TcpListener::bind(address).expect("by the process that it is for");
            TcpStream::connect(address).expect("it listens");
            drop(listener);
            assert!(!is_free(kept.number()));
        }
    }
}
