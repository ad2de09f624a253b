//! Places of event streams: so many for all, and of these so many for one client, so that one client does not take all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    All,
    /// The client has its share.
    OfAddress,
}

/// The places. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    most_of_address: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    taken: watch::Sender<usize>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    address: IpAddr,
}

impl Seats {
    pub(crate) fn new(most: usize, most_of_address: usize) -> Self {
        let by_address = Mutex::default();
        Self(Arc::new(Inner { most, most_of_address, by_address, taken: watch::Sender::new(0) }))
    }

    /// One more for this client.
    pub(crate) fn take(&self, address: IpAddr) -> Result<Seat, Full> {
        let address = client(address);
        let mut by_address = self.0.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.0.taken.borrow() >= self.0.most {
            return Err(Full::All);
        }
        let of_address = by_address.entry(address).or_default();
        if *of_address >= self.0.most_of_address {
            return Err(Full::OfAddress);
        }
        *of_address += 1;
        self.0.taken.send_modify(|taken| *taken += 1);
        Ok(Seat { seats: self.clone(), address })
    }

    /// Follows how many are taken.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.0.taken.subscribe()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut by_address = self.seats.0.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_address) = by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                by_address.remove(&self.address);
            }
        }
        self.seats.0.taken.send_modify(|taken| *taken -= 1);
    }
}

/// The client that an address means: one host has the whole of an IPv6 /64 (RFC 6177).
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_its_share_and_no_more() {
        let address = |text: &str| text.parse().expect("an address");
        let seats = Seats::new(3, 2);
        let one = [seats.take(address("10.0.0.1")), seats.take(address("::ffff:10.0.0.1"))];
        assert!(one.iter().all(Result::is_ok));
        assert_eq!(seats.take(address("10.0.0.1")).err(), Some(Full::OfAddress));
        let _other = seats.take(address("10.0.0.2")).expect("a place");
        assert_eq!(seats.take(address("10.0.0.3")).err(), Some(Full::All));
        drop(one);
        assert_eq!(*seats.watch().borrow(), 1);
        let _six = [seats.take(address("2001:db8::1")), seats.take(address("2001:db8::2"))];
        assert_eq!(seats.0.by_address.lock().expect("whole")[&address("2001:db8::")], 2);
    }
}
