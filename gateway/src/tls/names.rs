//! What clients may call this machine: the names and addresses in our own certificate.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// Names in one certificate, at most: a machine full of bridges has hundreds of addresses.
const MAX_NAMES: usize = 100;

/// What was set, and what does not change while we run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    fixed: Vec<String>,
}

impl Names {
    /// `more` are names and addresses that the settings know; unspecified addresses name nobody.
    pub(crate) fn new(more: impl IntoIterator<Item = String>) -> Self {
        let unspecified = |name: &String| name.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified());
        let bare = |name: String| name.trim_matches(['[', ']']).to_owned();
        Self {
            fixed: more
                .into_iter()
                .map(bare)
                .filter(|name| !name.is_empty() && !unspecified(name))
                .collect(),
        }
    }

    /// Everything that holds at this moment.
    pub(super) fn now(&self) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = self.fixed.iter().cloned().collect();
        all.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        if let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
            let host = host.trim();
            if !host.is_empty() && host.is_ascii() {
                all.insert(host.to_owned());
                // As the machine calls itself in a network without a name server.
                if !host.contains('.') {
                    all.insert(format!("{host}.local"));
                }
            }
        }
        for address in addresses() {
            if all.len() < MAX_NAMES {
                all.insert(address.to_string());
            }
        }
        all
    }
}

/// Of all interfaces, without those that mean something only on one wire.
fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let of_interface = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|it| IpAddr::from(it.ip()));
        let v6 = || address.as_sockaddr_in6().map(|it| IpAddr::from(it.ip()));
        v4.or_else(v6)
    };
    let local = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => Ipv6Addr::is_unicast_link_local(address),
    };
    interfaces
        .filter_map(of_interface)
        .filter(|address| !local(address))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_named_and_so_is_this_machine() {
        let names =
            Names::new(["gw.example.org", "0.0.0.0", "[::]", "", "[fd00::1]"].map(str::to_owned));
        let all = names.now();
        for expected in ["gw.example.org", "fd00::1", "localhost", "127.0.0.1", "::1"] {
            assert!(all.contains(expected), "{expected} in {all:?}");
        }
        assert!(!all.contains("0.0.0.0") && !all.contains("::") && !all.contains(""));
        assert!(all.iter().any(|name| name.contains('.')));
    }
}
