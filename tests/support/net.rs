//! What the system knows of TCP connections on this machine: whether what one side sent has reached the other.
//!
//! A write that has returned, or a socket that was closed, may still be on its way under load, even on one machine.

use std::net::{IpAddr, SocketAddr};

/// One line of `/proc/net/tcp`: the state and the bytes not acknowledged yet.
struct Entry {
    state: u8,
    unacknowledged: u64,
}

const FIN_WAIT2: u8 = 5;
const TIME_WAIT: u8 = 6;
const LISTEN: u8 = 10;

/// The connections with this local address, and this remote one where one is given.
fn entries(local: SocketAddr, remote: Option<SocketAddr>) -> Vec<Entry> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the system's table");
    let entry = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let matches = words[1] == hex(local) && remote.is_none_or(|remote| words[2] == hex(remote));
        let state = u8::from_str_radix(words[3], 16).expect("a state");
        let queue = words[4].split(':').next().expect("two queues");
        let unacknowledged = u64::from_str_radix(queue, 16).expect("a length");
        matches.then_some(Entry { state, unacknowledged })
    };
    table.lines().skip(1).filter_map(entry).collect()
}

/// An address as the table has it.
fn hex(address: SocketAddr) -> String {
    let IpAddr::V4(ip) = address.ip() else { panic!("an IPv4 address") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), address.port())
}

/// Whether the other side's system has every byte that was sent.
pub fn has_arrived(local: SocketAddr, remote: SocketAddr) -> bool {
    entries(local, Some(remote)).iter().all(|entry| entry.unacknowledged == 0)
}

/// Whether the other sides' systems know of the end of every connection to `server` that the server has closed.
pub fn ends_are_known(server: SocketAddr) -> bool {
    entries(server, None).iter().all(|entry| [FIN_WAIT2, TIME_WAIT, LISTEN].contains(&entry.state))
}
