//! Networks of trusted peers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::TrustedProxies;
use super::fault::Fault;

impl TrustedProxies {
    /// Whether this peer is believed. An IPv4 address is the same when it is mapped into IPv6.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|(network, bits)| first_bits(*network, *bits) == first_bits(peer, *bits))
    }
}

impl Default for TrustedProxies {
    /// This machine: `127.0.0.0/8` and `::1`.
    fn default() -> Self {
        Self(vec![(Ipv4Addr::new(127, 0, 0, 0).into(), 8), (Ipv6Addr::LOCALHOST.into(), 128)])
    }
}

/// An address with all but its first bits cleared.
fn first_bits(address: IpAddr, bits: u8) -> IpAddr {
    let cleared = |width: u32| width.saturating_sub(bits.into());
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(cleared(32)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(cleared(128)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// `10.0.0.0/8`, `fd00::/8`, or one address. The network is an IPv4 one where it is mapped into IPv6.
pub(super) fn network(text: &str) -> Result<(IpAddr, u8), Fault> {
    let fault = || Fault::new("not an address or network such as \"10.0.0.0/8\" or \"::1\"");
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let Ok(written) = address.parse::<IpAddr>() else { return Err(fault()) };
    let width = if written.is_ipv4() { 32 } else { 128 };
    let bits = match bits.map(str::parse::<u8>) {
        None => width,
        Some(Ok(bits)) if bits <= width => bits,
        Some(_) => return Err(Fault::new(format!("the part behind / must be a number from 0 to {width}"))),
    };
    let network = match (written.to_canonical(), bits.checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(bits)) if written.is_ipv6() => (address, bits),
        _ => (written, bits),
    };
    if first_bits(network.0, network.1) == network.0 {
        Ok(network)
    } else {
        let meant = first_bits(network.0, network.1);
        Err(Fault::new("an address, and not the first of its network").help(format!("\"{meant}/{}\"", network.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::TrustedProxies;
    use super::network;

    #[test]
    fn a_peer_is_trusted_by_its_network() {
        for (networks, peer, trusted) in [
            (&["127.0.0.0/8"][..], "127.0.0.1", true),
            (&["127.0.0.0/8"], "127.255.255.255", true),
            (&["127.0.0.0/8"], "128.0.0.1", false),
            (&["127.0.0.0/8"], "::ffff:127.0.0.1", true),
            (&["::ffff:10.0.0.0/104"], "10.1.2.3", true),
            (&["10.0.0.1"], "10.0.0.1", true),
            (&["10.0.0.1"], "10.0.0.2", false),
            (&["0.0.0.0/0"], "8.8.8.8", true),
            (&["0.0.0.0/0"], "::1", false),
            (&["::/0"], "fd00::1", true),
            (&["::/0"], "8.8.8.8", false),
            (&["fd00::/8", "10.0.0.0/9"], "10.127.0.1", true),
            (&["fd00::/8", "10.0.0.0/9"], "10.128.0.1", false),
            (&["fd00::/8", "10.0.0.0/9"], "fdff::1", true),
            (&[], "127.0.0.1", false),
        ] {
            let proxies = TrustedProxies(networks.iter().map(|text| network(text).unwrap()).collect());
            assert_eq!(proxies.contains(peer.parse().unwrap()), trusted, "{peer} in {networks:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "::1/129", "example.com", "10.0.0.1/8"]
        {
            assert!(network(text).is_err(), "{text:?}");
        }
        assert_eq!(network("10.1.2.3/8").unwrap_err().suggestion(), Some("\"10.0.0.0/8\""));
    }
}
